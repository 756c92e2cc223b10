"""What a lane needs to know to run one model file. Plain data: it crosses to processes that have no pydantic."""

from dataclasses import dataclass
from typing import Literal

from container.precision import Precision

Engine = Literal["ipex-torchscript", "torchscript"]
InputName = Literal["input_ids", "attention_mask", "token_type_ids"]


@dataclass(frozen=True)
class ModelFile:
    """One TorchScript file. inputs: its tensors in order; fused_groups: None where nobody wrote the number down."""

    precision: Precision
    path: str
    engine: Engine
    inputs: tuple[InputName, ...]
    fused_groups: int | None
