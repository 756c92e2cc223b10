"""Answers over the wire, from functions that fail."""

import pytest

from tools.answers.source import remote_answers
from tools.errors import ToolError
from tools.squad.examples import Example
from tools.squad.rules import EVALUATION_RULES


@pytest.mark.parametrize("response", [b"", b"{", b"[]", b'{"predictions": []}'])
def test_an_invalid_response_raises_an_error_with_the_id_of_its_question(response: bytes) -> None:
    with pytest.raises(ToolError, match="question q7: the response is not an answer of this project's server"):
        list(remote_answers(lambda body: response, "INT8", [Example("q7", "Who?", "Zoë did.", ())], EVALUATION_RULES))


def test_after_an_error_the_remaining_questions_are_not_asked() -> None:
    asked = []

    def ask(body: bytes) -> bytes:
        asked.append(body)
        raise ToolError("no")

    examples = [Example(f"q{number}", "Who?", "Zoë did.", ()) for number in range(1000)]
    with pytest.raises(ToolError, match="question q0: no"):
        list(remote_answers(ask, "INT8", examples, EVALUATION_RULES))
    assert len(asked) < 1000
