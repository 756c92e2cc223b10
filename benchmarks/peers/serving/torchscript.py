"""Load our artifact's INT8 TorchScript as IPEX's documentation says, without our server's code."""

import json
from pathlib import Path

import torch


def load_module(artifact: Path) -> tuple[torch.jit.ScriptModule, list[str]]:
    """Return the module, and the names of its input tensors in order."""
    manifest = json.loads((artifact / "manifest.json").read_text())
    # Our server does this too. Otherwise the TensorExpr fuser compiles parts of the graph again for each length.
    torch._C._jit_set_texpr_fuser_enabled(False)
    module = torch.jit.load(artifact / manifest["precisions"]["INT8"]["file"], map_location="cpu").eval()
    return module, manifest["inputs"]
