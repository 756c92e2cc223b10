"""How much memory the processes of a model take, by engine. The figures fit measurements (docs/benchmarks.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from container.cpu import Cpu
from container.precision import Precision
from model_loader.engines.openvino_cpu import needs_static_shapes
from model_loader.model_file import Engine

Shares = Mapping[Precision, float]  # multiples of the size of each precision's file


@dataclass(frozen=True, eq=False)
class MemoryModel:
    """The proportional set sizes of one engine. Shares belong to each precision that is loaded.

    There is one object for each engine, so two models have the same engine if they have the same object.

    Attributes:
        fixed_mb: the HTTP process, and the engine in the zygote.
        libraries_mb: the part of it that the engine's libraries use, which the zygotes of all models share.
        weights: in the zygote: weights, packed weights and the longest rung.
        rung: each further rung.
        lane_mb: a lane of one core.
        lane: what a lane of one core does not share with the zygote.
        wide_mb: a wide lane.
        wide: a wide lane's own packed weights and longest rung.
    """

    fixed_mb: float
    libraries_mb: float
    weights: Shares
    rung: Shares
    lane_mb: float
    lane: Shares
    wide_mb: float
    wide: Shares

    def zygote_mb(self, file_mb: Shares, rungs: int) -> float:
        """Return the memory of the HTTP process and the zygote. rungs: how many are warm besides the longest."""
        return self.fixed_mb + _sum(file_mb, self.weights) + self.ladder_mb(file_mb, rungs)

    def ladder_mb(self, file_mb: Shares, rungs: float) -> float:
        """Return the memory of so many rungs besides the longest, in one process."""
        return rungs * _sum(file_mb, self.rung)

    def lane_of_one_core_mb(self, file_mb: Shares) -> float:
        """Return the memory of a lane of one core."""
        return self.lane_mb + _sum(file_mb, self.lane)

    def wide_lane_mb(self, file_mb: Shares, rungs: int) -> float:
        """Return the memory of a wide lane, which warms its rungs itself."""
        return self.wide_mb + _sum(file_mb, self.wide) + self.ladder_mb(file_mb, rungs)


def _sum(file_mb: Shares, shares: Shares) -> float:
    return sum(size * shares[precision] for precision, size in file_mb.items())


# Fitted to BERT-base and the demo model within 7 %.
TORCHSCRIPT = MemoryModel(
    fixed_mb=650,
    libraries_mb=270,
    weights={"INT8": 2.0, "BF16": 2.0, "FP32": 1.3},
    rung={"INT8": 0.05, "BF16": 0.02, "FP32": 0.01},
    lane_mb=60,
    lane={"INT8": 0.25, "BF16": 0.25, "FP32": 0.1},
    wide_mb=0,
    wide={"INT8": 0.9, "BF16": 0.9, "FP32": 0.3},
)
# Fitted to BERT-base and the demo model in INT8 within 9 %; the other precisions are estimates on the safe side.
OPENVINO = MemoryModel(
    fixed_mb=250,
    libraries_mb=40,
    weights={"INT8": 2.6, "BF16": 2.5, "FP32": 1.8},
    rung={"INT8": 0.05, "BF16": 0.02, "FP32": 0.01},
    lane_mb=20,
    lane={"INT8": 0.02, "BF16": 0.05, "FP32": 0.05},
    wide_mb=180,
    wide={"INT8": 1.8, "BF16": 1.8, "FP32": 0.9},
)
# Each rung is compiled alone, with a copy of the packed weights.
OPENVINO_STATIC = replace(OPENVINO, rung={**OPENVINO.rung, "INT8": 1.0})


@dataclass(frozen=True)
class ModelSize:
    """What the plan must know of a model. file_mb: the size of each precision's files. max_seq_len: in tokens."""

    file_mb: Shares
    max_seq_len: int
    memory: MemoryModel = TORCHSCRIPT


def memory_model(engine: Engine, cpu: Cpu) -> MemoryModel:
    """Return the figures of an engine on a CPU."""
    if engine != "openvino":
        return TORCHSCRIPT
    return OPENVINO_STATIC if needs_static_shapes("INT8", cpu) else OPENVINO
