"""The engine seam: TorchScript files to models on numpy arrays. The only module of the server that imports torch.

IPEX's kernels come from its shared library alone: that takes 0.1 s, importing the Python package 8 s, and the fused
groups and the logits are the same (docs/decisions/0002). The library's static initialiser registers the fusing passes.
"""

import importlib
import importlib.util
import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_loader.errors import ArtifactInvalid, PrecisionUnsupported, WarmupFailed
from model_loader.model_file import ModelFile

log = logging.getLogger(__name__)

# TorchScript's profiling executor: the first pass of all profiles, the second fuses; both get a short window. From then
# on a length's first pass compiles it where groups are fused, and its next is what it costs.
FUSING_PASSES = 2
FUSING_TOKENS = 16
Logits = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class WarmRung:
    """What warming one rung showed."""

    cost_ms: float
    fused_groups: int


class QAModel:
    """One TorchScript model. Not thread-safe: compiled shapes belong to the thread that met them."""

    def __init__(self, module: torch.jit.ScriptModule, file: ModelFile) -> None:
        self.file = file
        self.warm_rungs: set[int] = set()
        self._module = module
        self._is_fused = False

    def forward(self, input_ids: np.ndarray, context_offset: int, rung: int) -> Logits:
        """Run one window, padded to a rung.

        Shapes: input_ids (T,) integers with T <= rung; the result is two (T,) float32 arrays, start and end logits.
        """
        tokens = len(input_ids)
        ids, mask, types = arrays = np.zeros(
            (3, 1, rung), dtype=np.int64
        )  # one numpy block: torch's own calls cost more
        ids[0, :tokens] = input_ids
        mask[0, :tokens] = 1
        types[0, context_offset:tokens] = 1
        named = dict(zip(("input_ids", "attention_mask", "token_type_ids"), torch.from_numpy(arrays), strict=True))
        with torch.inference_mode():
            output = self._module(*(named[name] for name in self.file.inputs))
        if isinstance(output, dict):  # the AWS sample traced a model that returns names
            output = (output["start_logits"], output["end_logits"])
        start, end = (part.float().numpy() for part in output[:2])  # (1, rung) each; BF16's own logits are bfloat16
        return start[0, :tokens], end[0, :tokens]

    def warm(self, rung: int) -> WarmRung:
        """Compile one rung, time it, and prove that the fused groups are there.

        Raises: WarmupFailed.
        """
        window = np.ones(rung, dtype=np.int64)
        try:
            if not self._is_fused:
                for _ in range(FUSING_PASSES):
                    self.forward(window[:FUSING_TOKENS], FUSING_TOKENS // 4, min(FUSING_TOKENS, rung))
                self._is_fused = True
            for _ in range(2 if self.file.fused_groups != 0 else 1):
                start = time.perf_counter()
                logits = self.forward(window, rung // 4, rung)
                cost_ms = (time.perf_counter() - start) * 1000
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise WarmupFailed(f"{self.file.precision} cannot run {rung} tokens: {reason}") from error
        if not all(part.shape == (rung,) and np.isfinite(part).all() for part in logits):
            raise WarmupFailed(f"{self.file.precision} gives no finite logits at {rung} tokens")
        fused_groups = count_fused_groups()
        expected = self.file.fused_groups
        if expected is not None and fused_groups != expected:
            raise WarmupFailed(
                f"{self.file.precision} runs {fused_groups} fused groups, {expected} when it was made: "
                "fusion is off, so it would be slow and give other numbers. Check the torch and IPEX versions"
            )
        self.warm_rungs.add(rung)
        return WarmRung(cost_ms, fused_groups)


def load(file: ModelFile) -> QAModel:
    """Read a TorchScript file; runs no pass and starts no thread, so that a process may fork afterwards.

    NOTE: TorchScript is code. Its hash is checked before; who makes the artifact is trusted (docs/security.md).
    Raises: PrecisionUnsupported without the engine's libraries, ArtifactInvalid where torch cannot read the file.
    """
    if file.engine == "ipex-torchscript":
        _load_ipex_kernels()
    # Pointwise leftovers gain nothing from the TensorExpr fuser, and it compiles again for each length.
    torch._C._jit_set_texpr_fuser_enabled(False)
    try:
        module = torch.jit.load(file.path, map_location="cpu").eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactInvalid(f"torch cannot load {file.path}: {reason}. Make the artifact again") from error
    return QAModel(module, file)


def count_fused_groups() -> int:
    """How many LLGA fusion groups the graph that ran last has: 7 a layer and 2 for a BERT in INT8."""
    graph = torch.jit.last_executed_optimized_graph()
    return len(graph.findAllNodes("ipex::LlgaFusionGroup", True))


def _load_ipex_kernels() -> None:
    # The fusing pass says at each first run that it will go away; the versions are pinned.
    warnings.filterwarnings("ignore", message="JIT pass will be deprecated")
    spec = importlib.util.find_spec("intel_extension_for_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise PrecisionUnsupported("this model needs intel-extension-for-pytorch 2.8.0, which is not installed")
    library = Path(spec.submodule_search_locations[0]) / "lib" / "libintel-ext-pt-cpu.so"
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        log.warning("cannot load %s alone (%s); importing the package instead", library, error)
        importlib.import_module("intel_extension_for_pytorch")
