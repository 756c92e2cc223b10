"""TorchScript files, with or without the kernels of Intel Extension for PyTorch (IPEX).

This module loads IPEX's kernels from IPEX's shared library instead of importing its Python package. Loading the library
takes 0.1 s and importing the package 8 s; the fused groups and the logits are the same (docs/decisions/0002). When the
library is loaded, it registers the passes that fuse the graph.
"""

import importlib
import importlib.util
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import torch

from model_loader.engines.qa_model import Inputs, Logits, QAModel
from model_loader.errors import ArtifactInvalid, PrecisionUnsupported
from model_loader.model_file import ModelFile

log = logging.getLogger(__name__)

# TorchScript profiles the graph in the model's first pass and fuses it in the second, so both run on a short window.
FUSING_PASSES = 2
FUSING_TOKENS = 16


class TorchScriptModel(QAModel):
    """One TorchScript model."""

    def __init__(self, module: torch.jit.ScriptModule, file: ModelFile) -> None:
        super().__init__(file)
        self._module = module
        self._is_fused = False

    def use_threads(self, threads: int) -> None:
        """Run on so many OpenMP threads. The kernels' layouts depend on the number."""
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)

    def pin_threads(self) -> None:
        """Pin each thread of the OpenMP team to a core of its own.

        The team exists since the first pass. Left to the scheduler, two of its threads now and then share a core, and
        the pass takes twice as long.
        """
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == 1 or len(threads := sorted(int(tid) for tid in os.listdir("/proc/self/task"))) < len(cores):
            return
        for index, thread in enumerate(threads):
            os.sched_setaffinity(thread, {cores[index % len(cores)]})

    def count_fused_groups(self) -> int:
        """Return the number of fused LLGA groups in the graph that ran last. BERT in INT8 has 7 per layer, and 2."""
        graph = torch.jit.last_executed_optimized_graph()
        return len(graph.findAllNodes("ipex::LlgaFusionGroup", True))

    @property
    def passes_to_warm(self) -> int:
        """If the graph has fused groups, the first pass compiles them for a new shape."""
        return 2 if self.file.fused_groups != 0 else 1

    def _prepare(self, tokens: int) -> None:
        if self._is_fused:
            return
        window = np.ones(min(FUSING_TOKENS, tokens), dtype=np.int64)
        for _ in range(FUSING_PASSES):
            self.forward(window, FUSING_TOKENS // 4, len(window))
        self._is_fused = True

    def _run(self, inputs: Inputs) -> Logits:
        with torch.inference_mode():
            output = self._module(*(torch.from_numpy(inputs[name]) for name in self.file.inputs))
        if isinstance(output, dict):  # the models of the AWS sample return a dict
            output = (output["start_logits"], output["end_logits"])
        start, end = (part.float().numpy() for part in output[:2])  # BF16's logits are bfloat16
        return start, end


def load(file: ModelFile) -> TorchScriptModel:
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
    return TorchScriptModel(module, file)


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
