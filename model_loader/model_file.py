"""The description of one model file, as a lane needs it.

The description is plain data, because it is also sent to the zygote, which does not import pydantic.
"""

from dataclasses import dataclass
from typing import Literal

from container.precision import Precision

Engine = Literal["ipex-torchscript", "torchscript", "openvino"]
InputName = Literal["input_ids", "attention_mask", "token_type_ids"]


@dataclass(frozen=True)
class ModelFile:
    """One model file.

    inputs: the names of the model's input tensors, in order.
    fused_groups: the number of fused groups in a warm pass (with OpenVINO: of linear layers in this precision), or None
    if the artifact does not record it.
    """

    precision: Precision
    path: str
    engine: Engine
    inputs: tuple[InputName, ...]
    fused_groups: int | None
