"""Load TorchScript files, and run windows on them. Other modules pass and receive numpy arrays only.

This module loads IPEX's kernels from IPEX's shared library instead of importing its Python package. Loading the library
takes 0.1 s and importing the package 8 s; the fused groups and the logits are the same (docs/decisions/0002). When the
library is loaded, it registers the passes that fuse the graph.
"""

import importlib
import importlib.util
import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_loader.errors import ArtifactInvalid, PrecisionUnsupported, WarmupFailed
from model_loader.ladder import Batch
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput

log = logging.getLogger(__name__)

# TorchScript profiles the graph in the model's first pass and fuses it in the second, so both run on a short window.
FUSING_PASSES = 2
FUSING_TOKENS = 16

Logits = tuple[np.ndarray, np.ndarray]  # start logits and end logits


@dataclass(frozen=True)
class WarmRung:
    """The measurements from warming one shape.

    cost_ms, cpu_ms: milliseconds of one call, on the clock and on the CPUs.
    """

    cost_ms: float
    cpu_ms: float
    fused_groups: int


class QAModel:
    """One TorchScript model. It is not thread-safe: only the thread that compiled a shape can use it."""

    def __init__(self, module: torch.jit.ScriptModule, file: ModelFile) -> None:
        self.file = file
        self.warm_rungs: set[int] = set()  # for one window
        self.warm_batches: set[Batch] = set()
        self._module = module
        self._is_fused = False

    def forward(self, input_ids: np.ndarray, context_offset: int, rung: int) -> Logits:
        """Run one window, padded to a rung, and return its start logits and its end logits.

        Shapes: input_ids is (T,) integers with T <= rung. The result is two arrays (T,) of float32.
        """
        return self.forward_batch([ModelInput(input_ids, context_offset)], rung)[0]

    def forward_batch(self, windows: Sequence[ModelInput], rung: int) -> list[Logits]:
        """Run windows in one call, each padded to a rung, and return the start and end logits of each.

        Shapes: the input_ids of each window are (T,) integers with T <= rung, and its two arrays are (T,) float32.
        """
        # One numpy array for all three inputs, because calls to torch take longer.
        ids, mask, types = arrays = np.zeros((3, len(windows), rung), dtype=np.int64)
        for row, window in enumerate(windows):
            tokens = len(window.input_ids)
            ids[row, :tokens] = window.input_ids
            mask[row, :tokens] = 1
            types[row, window.context_offset : tokens] = 1
        named = dict(zip(("input_ids", "attention_mask", "token_type_ids"), torch.from_numpy(arrays), strict=True))
        with torch.inference_mode():
            output = self._module(*(named[name] for name in self.file.inputs))
        if isinstance(output, dict):  # the models of the AWS sample return a dict
            output = (output["start_logits"], output["end_logits"])
        start, end = (part.float().numpy() for part in output[:2])  # (W, rung) each; BF16's logits are bfloat16
        lengths = [len(window.input_ids) for window in windows]
        return [(start[row, :tokens], end[row, :tokens]) for row, tokens in enumerate(lengths)]

    def warm(self, rung: int, windows: int = 1) -> WarmRung:
        """Compile one shape, measure its cost, and check that the graph is fused and the logits are finite.

        windows: the number of windows in one call.

        Raises: WarmupFailed.
        """
        window = np.ones(rung, dtype=np.int64)
        batch = [ModelInput(window, rung // 4)] * windows
        try:
            if not self._is_fused:
                for _ in range(FUSING_PASSES):
                    self.forward(window[:FUSING_TOKENS], FUSING_TOKENS // 4, min(FUSING_TOKENS, rung))
                self._is_fused = True
            # If the graph has fused groups, the first pass compiles them for this shape, and the second shows the cost.
            for _ in range(2 if self.file.fused_groups != 0 else 1):
                start, cpu_start = time.perf_counter(), time.process_time()
                logits = self.forward_batch(batch, rung)
                cost_ms, cpu_ms = ((time.perf_counter() - start) * 1000, (time.process_time() - cpu_start) * 1000)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise WarmupFailed(f"{self.file.precision} cannot run {_described(rung, windows)}: {reason}") from error
        if not all(part.shape == (rung,) and np.isfinite(part).all() for pair in logits for part in pair):
            raise WarmupFailed(
                f"{self.file.precision} returned NaN, infinity or too few logits for {_described(rung, windows)}"
            )
        fused_groups = count_fused_groups()
        expected = self.file.fused_groups
        if expected is not None and fused_groups != expected:
            raise WarmupFailed(
                f"{self.file.precision} has {fused_groups} fused groups, but had {expected} at quantization. Without "
                "fusion it is slow and returns different logits. Check the versions of torch and IPEX"
            )
        if windows == 1:
            self.warm_rungs.add(rung)
        else:
            self.warm_batches.add(Batch(rung, windows))
        return WarmRung(cost_ms, cpu_ms, fused_groups)

    def forget_warm(self) -> None:
        """Note that nothing is warm: compiled shapes belong to a number of threads, which is about to change."""
        self.warm_rungs.clear()
        self.warm_batches.clear()


def _described(rung: int, windows: int) -> str:
    return f"a window of {rung} tokens" if windows == 1 else f"{windows} windows of {rung} tokens in one call"


def load(file: ModelFile) -> QAModel:
    """Load a TorchScript file. This runs no pass and starts no thread, so the process can still fork safely.

    TorchScript is code: loading a file trusts whoever made it (docs/security.md). open_artifact has checked its hash.

    Raises: PrecisionUnsupported if the engine's libraries are missing, ArtifactInvalid if torch cannot load the file.
    """
    if file.engine == "ipex-torchscript":
        _load_ipex_kernels()
    # The TensorExpr fuser would compile the remaining pointwise operations again for each length, and gains nothing.
    torch._C._jit_set_texpr_fuser_enabled(False)
    try:
        module = torch.jit.load(file.path, map_location="cpu").eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactInvalid(f"torch cannot load {file.path}: {reason}. Make the artifact again") from error
    return QAModel(module, file)


def count_fused_groups() -> int:
    """Return the number of fused LLGA groups in the graph that ran last. BERT in INT8 has 7 per layer, and 2 more."""
    graph = torch.jit.last_executed_optimized_graph()
    return len(graph.findAllNodes("ipex::LlgaFusionGroup", True))


def _load_ipex_kernels() -> None:
    # IPEX warns of its own fusing pass that it will be deprecated. The versions are pinned, so this does no harm.
    warnings.filterwarnings("ignore", message="JIT pass will be deprecated")
    spec = importlib.util.find_spec("intel_extension_for_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise PrecisionUnsupported("the model needs intel-extension-for-pytorch 2.8.0, which is not installed")
    library = Path(spec.submodule_search_locations[0]) / "lib" / "libintel-ext-pt-cpu.so"
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        log.warning("cannot load %s (%s): importing the whole package instead", library, error)
        importlib.import_module("intel_extension_for_pytorch")
