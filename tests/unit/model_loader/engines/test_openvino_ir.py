"""OpenVINO's files are loaded, run and warmed, in this process and in a fork of it. The tests write small models."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset15 as operations

from container.cpu import Cpu
from container.precision import Precision
from model_loader.engines.load import load
from model_loader.engines.openvino_cpu import computes_in_bf16, needs_static_shapes
from model_loader.engines.openvino_ir import OpenVINOModel
from model_loader.errors import ArtifactInvalid, WarmupFailed
from model_loader.model_file import InputName, ModelFile

INPUTS: tuple[InputName, ...] = ("input_ids", "attention_mask", "token_type_ids")
WIDTH = 64


def write(path: Path, inputs: tuple[InputName, ...] = INPUTS) -> None:
    """Write a model with one linear layer. Its logits are the tokens plus 1000 times the mask, and the types."""
    given = {name: operations.parameter([-1, -1], np.int64, name) for name in INPUTS}
    for name, node in given.items():
        node.output(0).set_names({name})
    numbers = {name: operations.convert(node, np.float32) for name, node in given.items()}
    ids = operations.add(numbers["input_ids"], operations.multiply(numbers["attention_mask"], np.float32(1000)))
    # A linear layer that multiplies each token by the identity: (B, T, 1) x (1, WIDTH) x (WIDTH, 1).
    spread = operations.matmul(
        operations.unsqueeze(ids, np.int64(2)), np.full((1, WIDTH), 1 / WIDTH, np.float32), False, False
    )
    start = operations.squeeze(operations.matmul(spread, np.ones((WIDTH, 1), np.float32), False, False), np.int64(2))
    model = openvino.Model([start, numbers["token_type_ids"]], [given[name] for name in inputs], "small")
    openvino.save_model(model, path, compress_to_fp16=False)


def described(path: Path, **changes: Any) -> ModelFile:
    fields: dict[str, Any] = {"precision": "FP32", "engine": "openvino", "inputs": INPUTS, "fused_groups": None}
    return ModelFile(path=str(path), **{**fields, **changes})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    write(path)
    return described(path)


def test_a_window_is_padded_to_the_rung_and_the_padding_has_no_logits(file: ModelFile) -> None:
    start, end = load(file, threads=1).forward(np.array([101, 7, 102, 8, 102]), context_offset=3, rung=16)
    assert start.tolist() == pytest.approx([1101, 1007, 1102, 1008, 1102])
    assert end.tolist() == [0, 0, 0, 1, 1]
    assert (start.dtype, end.dtype) == (np.float32, np.float32)


def test_the_next_call_leaves_the_logits_of_the_last_one_alone(file: ModelFile) -> None:
    model = load(file, threads=1)
    start, _ = model.forward(np.array([101, 7]), context_offset=1, rung=16)
    model.forward(np.array([5, 6]), context_offset=1, rung=16)
    assert start.tolist() == pytest.approx([1101, 1007])


def test_linear_layers_in_the_precision_of_the_file_are_counted(file: ModelFile) -> None:
    model = load(file, threads=1)
    counted = model.warm(32).fused_groups
    assert counted >= 1
    assert model.warm_rungs == {32}
    with pytest.raises(WarmupFailed, match=f"FP32 has {counted} fused groups, but had 99 at quantization"):
        load(described(Path(file.path), fused_groups=99), threads=1).warm(32)
    # The same file promises INT8 here, and nothing in it is quantized.
    assert load(described(Path(file.path), precision="INT8"), threads=1).warm(32).fused_groups == 0


def test_a_fork_runs_the_model_that_it_inherits(file: ModelFile) -> None:
    model = load(file, threads=1)
    model.warm(384)
    expected = model.forward(np.arange(1, 300), context_offset=9, rung=384)
    reading, writing = os.pipe()
    if os.fork() == 0:
        found = model.forward(np.arange(1, 300), context_offset=9, rung=384)
        os.write(writing, b"equal" if np.array_equal(found, expected) else b"different")
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 100) == b"equal"
    os.wait()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core is left nowhere to go")
def test_a_fork_stays_on_its_core_during_a_pass(file: ModelFile) -> None:
    model = load(file, threads=1)
    model.warm(384)
    core = max(os.sched_getaffinity(0))
    ready, is_pinned = os.pipe()
    if (fork := os.fork()) == 0:
        os.sched_setaffinity(0, {core})
        os.write(is_pinned, b"1")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            model.forward(np.arange(1, 300), context_offset=9, rung=384)
        os._exit(0)
    os.read(ready, 1)
    seen = set()
    while os.waitpid(fork, os.WNOHANG) == (0, 0):
        with contextlib.suppress(ProcessLookupError):
            seen |= {frozenset(os.sched_getaffinity(fork))}
    assert seen == {frozenset({core})}


def test_loading_leaves_the_process_all_its_cores(file: ModelFile) -> None:
    before = os.sched_getaffinity(0)
    load(file, threads=1)
    assert os.sched_getaffinity(0) == before


def test_shapes_that_are_compiled_alone_give_the_same_logits(file: ModelFile) -> None:
    core = openvino.Core()
    static = OpenVINOModel(file, core, {"INFERENCE_PRECISION_HINT": "f32"}, has_static_shapes=True)
    window = np.arange(5, 25)
    for rung in (32, 64, 32):
        expected = load(file, threads=1).forward(window, context_offset=4, rung=rung)
        assert np.array_equal(static.forward(window, context_offset=4, rung=rung), expected)
    static.warm(48, windows=2)
    assert static.warm_batches == {(48, 2)}


def test_int8_has_static_shapes_where_amx_crashes_with_others() -> None:
    amx, vnni = (Cpu("any", isa, ((0,),), None) for isa in ("AVX512_CORE_AMX", "AVX512_CORE_VNNI"))
    assert needs_static_shapes("INT8", amx)
    assert not needs_static_shapes("FP32", amx)
    assert not needs_static_shapes("INT8", vnni)


@pytest.mark.parametrize(
    ("precision", "isa", "expected"),
    [
        ("FP32", "AVX512_CORE_AMX", False),
        ("INT8", "AVX512_CORE_AMX", True),
        ("INT8", "AVX512_CORE_BF16", True),
        ("INT8", "AVX512_CORE_VNNI", False),
        ("INT8", "ARM_BF16", False),
        ("BF16", "ARM_BF16", True),
    ],
)
def test_what_is_not_quantized_is_computed_in_bf16_where_the_cpu_has_it(
    precision: Precision, isa: str, expected: bool
) -> None:
    assert computes_in_bf16(precision, Cpu("any", isa, ((0,),), None)) is expected


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("no model")
    with pytest.raises(ArtifactInvalid, match="OpenVINO cannot load .*model.xml: "):
        load(described(tmp_path / "model.xml"), threads=1)


def test_a_model_without_token_types_is_not_given_any(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    tokens = operations.parameter([-1, -1], np.int64, "input_ids")
    tokens.output(0).set_names({"input_ids"})
    numbers = operations.convert(tokens, np.float32)
    openvino.save_model(openvino.Model([numbers, operations.negative(numbers)], [tokens], "one"), path)
    model = load(described(path, inputs=("input_ids",)), threads=1)
    start, end = model.forward(np.array([3, 4]), context_offset=1, rung=16)
    assert (start.tolist(), end.tolist()) == ([3, 4], [-3, -4])


def test_openvino_and_nncf_find_no_package_that_sends_reports() -> None:
    script = (
        "import sys; from model_loader.engines.openvino_ir import send_no_reports; send_no_reports();"
        "import nncf, openvino; print([name for name, module in sys.modules.items() if 'telemetry' in name and module])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "openvino_telemetry" not in ended.stdout
