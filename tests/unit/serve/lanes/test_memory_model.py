"""The expected memory depends on the engine, and is near what was measured."""

import pytest

from container.cpu import Cpu
from serve.lanes.memory_model import OPENVINO, OPENVINO_STATIC, TORCHSCRIPT, ModelSize, memory_model
from serve.lanes.plan import Choices, make_plan

VNNI = Cpu("any", "AVX512_CORE_BF16", ((0, 1),), None)
AMX = Cpu("any", "AVX512_CORE_AMX", ((0, 1),), None)


def test_each_engine_has_its_own_figures() -> None:
    assert memory_model("ipex-torchscript", AMX) is memory_model("torchscript", VNNI) is TORCHSCRIPT
    assert memory_model("openvino", VNNI) is OPENVINO
    assert memory_model("openvino", AMX) is OPENVINO_STATIC


@pytest.mark.parametrize(("model", "file_mb", "measured_mb"), [("BERT-base", 110.2, 1153), ("demo", 23.3, 704)])
def test_openvino_takes_what_was_measured(model: str, file_mb: float, measured_mb: float) -> None:
    """docs/openvino.md has the measurements: INT8 with narrow, wide and background lanes on two cores."""
    plan = make_plan(VNNI, Choices(max_batch_windows=1), ModelSize({"INT8": file_mb}, 384, OPENVINO), None)
    assert plan.memory_mb == pytest.approx(measured_mb, rel=0.1)


def test_shapes_that_are_compiled_alone_make_the_ladder_coarser_where_memory_is_short() -> None:
    steps = [
        make_plan(AMX, Choices(), ModelSize({"INT8": 110.2}, 384, engine), 3000).rung_step
        for engine in (OPENVINO, OPENVINO_STATIC)
    ]
    assert steps[0] == 16 < steps[1]
