"""Request bodies have the length and the precision that a benchmark asks for."""

import json
from pathlib import Path

import pytest

from benchmarks import traffic
from serve.qa.features import Featurizer, WindowLimits
from tools.benchmark.load_generator import Load, Sample
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.squad.examples import Example

CUTTER = Cutter(Featurizer(Path("models/demo/tokenizer.json")), WindowLimits(384, 128, 64))


@pytest.mark.parametrize("tokens", [5, 128, 384])
def test_a_body_of_a_length_is_one_window_of_so_many_tokens(tokens: int) -> None:
    body = json.loads(traffic.body_of_length(tokens))
    ((window,),) = traffic.windows([Example("", body["question"], body["context"], ())], CUTTER)
    assert len(window.input_ids) == tokens


def test_a_body_names_a_precision_only_if_one_is_asked_for() -> None:
    examples = [Example("", "Who?", "Zoë.", ())]
    assert json.loads(traffic.bodies(examples)[0]) == {"question": "Who?", "context": "Zoë."}
    assert json.loads(traffic.bodies(examples, "FP32")[0])["version"] == "FP32"


@pytest.mark.parametrize(("number", "expected"), [(3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))])
def test_questions_are_spread_evenly(number: int, expected: list[int]) -> None:
    examples = [Example(str(index), "", "", ()) for index in range(10)]
    assert [int(example.id) for example in traffic.spread(examples, number)] == expected


def test_a_request_that_was_not_answered_is_reported() -> None:
    load = Load([Sample(0, 0, 1, 200), Sample(0, 0, 1, 429), Sample(0, 0, 1, 500)])
    with pytest.raises(ToolError, match=r"answered 1 of 3 requests and refused 1; .*\{500: 1\}"):
        traffic.check_all_answered(load, 3)
    traffic.check_all_answered(Load([Sample(0, 0, 1, 200)]), 1)
