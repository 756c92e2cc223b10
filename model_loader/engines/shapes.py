"""Whether OpenVINO can run a model with windows of any length."""

from container.cpu import Cpu
from container.precision import Precision


def needs_static_shapes(precision: Precision, cpu: Cpu) -> bool:
    """Return whether each shape must be compiled alone, which takes memory for another copy of the weights.

    INT8 models that accept any shape are reported to crash at short lengths on CPUs with AMX
    (https://github.com/openvinotoolkit/openvino/issues/37577, versions 2026.1 to 2026.3).
    """
    return precision == "INT8" and "AMX" in cpu.isa
