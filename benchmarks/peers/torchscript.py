"""Our artifact's INT8 TorchScript as the peers load it: IPEX's documented way, without our server's code."""

import json
from pathlib import Path

import torch


def load_module(artifact: Path) -> tuple[torch.jit.ScriptModule, list[str]]:
    """The module, and the names of its tensors in order."""
    manifest = json.loads((artifact / "manifest.json").read_text())
    # As our server does, in the peers' favour: else the TensorExpr fuser compiles leftovers again for each length.
    torch._C._jit_set_texpr_fuser_enabled(False)
    module = torch.jit.load(artifact / manifest["precisions"]["INT8"]["file"], map_location="cpu").eval()
    return module, manifest["inputs"]
