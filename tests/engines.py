"""Which tests need torch. `make test-openvino` runs the server's tests where torch and IPEX are not installed."""

from types import ModuleType

import pytest


def needs_torch() -> ModuleType:
    """Return torch, or skip the test where it is not installed, as on a server that has only OpenVINO."""
    torch: ModuleType = pytest.importorskip("torch", reason="torch is not installed")
    return torch
