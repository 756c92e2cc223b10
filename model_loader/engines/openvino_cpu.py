"""How OpenVINO runs a model on a CPU: with windows of any length or not, and in which numbers."""

from container.cpu import Cpu
from container.precision import Precision


def needs_static_shapes(precision: Precision, cpu: Cpu) -> bool:
    """Return whether each shape must be compiled alone, which takes memory for another copy of the weights.

    INT8 models that accept any shape are reported to crash at short lengths on CPUs with AMX
    (https://github.com/openvinotoolkit/openvino/issues/37577, versions 2026.1 to 2026.3).
    """
    return precision == "INT8" and "AMX" in cpu.isa


def computes_in_bf16(precision: Precision, cpu: Cpu) -> bool:
    """Return whether everything that is not quantized is computed in BF16.

    In INT8 models, that saves about 5 % of a pass where the CPU has BF16, and changes the logits by less than INT8 does
    (docs/decisions/0016). It was not tried on ARM.
    """
    return precision == "BF16" or (precision == "INT8" and cpu.has_bf16 and not cpu.isa.startswith("ARM"))
