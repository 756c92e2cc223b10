"""Answers over the wire, from functions that fail."""

import json

import pytest

from serve.errors import InvalidRequest
from serve.qa.features import WindowLimits
from tests.unit.tools.test_local_model import FEATURIZER, LIMITS, LONG_QUESTIONS, ids
from tools.answers.source import remote_answers
from tools.errors import RequestRefused, ToolError
from tools.local_model import Cutter
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit
from tools.squad.rules import EVALUATION_RULES


@pytest.mark.parametrize("response", [b"", b"{", b"[]", b'{"predictions": []}'])
def test_an_invalid_response_raises_an_error_with_the_id_of_its_question(response: bytes) -> None:
    with pytest.raises(ToolError, match="question q7: the response is not an answer of this project's server"):
        list(remote_answers(lambda body: response, "INT8", [Example("q7", "Who?", "Zoë did.", ())], EVALUATION_RULES))


def server_like(body: bytes) -> bytes:
    """Answer with the token ids of the question, or refuse it with the server's own message."""
    request = json.loads(body)
    limits = WindowLimits(384, 128, request["parameters"]["max_question_len"])
    try:
        ids = FEATURIZER.encode_question(request["question"], limits)
    except InvalidRequest as error:
        raise RequestRefused("server", 422, str(error)) from None
    return json.dumps({"answer": " ".join(map(str, ids)), "score": 1}).encode()


def test_over_the_wire_questions_are_cut_at_the_same_token_as_in_this_process() -> None:
    limit, cutter = QuestionLimit(64), Cutter(FEATURIZER, LIMITS)
    examples = [Example(f"q{number}", question, "text", ()) for number, question in enumerate(LONG_QUESTIONS)]
    examples += [Example("blank", " ", "text", ()), Example("invisible", "\u200b", "text", ())]
    for _ in ("FP32", "INT8"):
        found = list(remote_answers(server_like, "INT8", examples, EVALUATION_RULES, limit))
        here = [cutter.fitted(example) for example in examples]
        assert [reply.answer for reply in found] == [
            " ".join(map(str, ids(one.question))) if one else "" for one in here
        ]
    assert limit.cut == cutter.question_limit.cut == {f"q{number}" for number in range(len(LONG_QUESTIONS))}
    assert limit.blank == cutter.question_limit.blank == {"blank", "invisible"}


def test_after_an_error_the_remaining_questions_are_not_asked() -> None:
    asked = []

    def ask(body: bytes) -> bytes:
        asked.append(body)
        raise ToolError("no")

    examples = [Example(f"q{number}", "Who?", "Zoë did.", ()) for number in range(1000)]
    with pytest.raises(ToolError, match="question q0: no"):
        list(remote_answers(ask, "INT8", examples, EVALUATION_RULES))
    assert len(asked) < 1000
