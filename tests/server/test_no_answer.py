"""A question that its passage does not answer gets "", by the threshold of the request, the setting or the artifact."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import edit_manifest
from tests.server.questions import CONTEXT, LONG_TEXT, QUESTION, ask, post
from tests.server.server_process import run_until_exit
from tools.local_server import LocalServer
from tools.squad.examples import read_examples

HELD_OUT = Path(__file__).parents[2] / "models" / "demo" / "held_out.json"
IMPOSSIBLE = {"handle_impossible_answer": True}
FIELDS = {"question", "score", "start", "end", "answer", "precision", "version", "null_score"}


def strangers(count: int) -> list[dict[str, str]]:
    """Held-out questions, each with the passage of another question."""
    examples = read_examples(str(HELD_OUT))[::7]
    moved = [*examples[20:], *examples[:20]]
    return [{"question": one.question, "context": other.context} for one, other in zip(examples, moved, strict=True)][
        :count
    ]


def differences(client: httpx.Client, bodies: list[dict[str, str]]) -> list[float]:
    """The null logit sum minus the best span's, for each question."""
    found = []
    for body in bodies:
        first, second = ask(client, **body, parameters={**IMPOSSIBLE, "top_k": 2, "return_logits": True})["answers"]
        span = first if first["answer"] else second
        assert first["null_logit"] == second["null_logit"]
        found.append(first["null_logit"] - span["logit"])
    return found


def test_the_difference_tells_questions_about_other_passages_apart(client: httpx.Client) -> None:
    own = [{"question": one.question, "context": one.context} for one in read_examples(str(HELD_OUT))[::7]][:12]
    with_answer, without = differences(client, own), differences(client, strangers(12))
    higher = sum(no > yes for no in without for yes in with_answer)
    assert higher > 0.75 * len(without) * len(with_answer)


def test_the_threshold_of_a_request_decides(client: httpx.Client) -> None:
    for body in strangers(5):
        (difference,) = differences(client, [body])
        for threshold, is_empty in ((difference - 0.01, True), (difference, False), (difference + 0.01, False)):
            found = ask(client, **body, parameters={**IMPOSSIBLE, "no_answer_threshold": threshold})
            assert (found["answer"] == "") == is_empty
            assert (found["start"], found["end"]) == (0, 0) or not is_empty
            assert (found["score"] == found["null_score"]) == is_empty
            plain = ask(client, **body, parameters={"no_answer_threshold": threshold})
            assert plain["answer"] != ""


def test_every_form_reports_the_null_score_and_only_if_no_answer_competes(client: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    one = ask(client, **item, parameters=IMPOSSIBLE)
    assert set(one) == FIELDS
    answer = {name: one[name] for name in ("score", "start", "end", "answer", "null_score")}
    assert ask(client, inputs=item, parameters=IMPOSSIBLE) == answer
    assert ask(client, inputs=[item, {**item, "parameters": {}}], parameters=IMPOSSIBLE)[0] == answer
    assert "null_score" not in ask(client, inputs=[item, {**item, "parameters": {}}], parameters=IMPOSSIBLE)[1]
    assert ask(client, instances=[item], parameters=IMPOSSIBLE)["predictions"] == [one]
    assert ask(client, question=[QUESTION], context=[CONTEXT], parameters=IMPOSSIBLE) == [answer]
    line = json.dumps({**item, "parameters": IMPOSSIBLE}) + "\n"
    headers = {"Content-Type": "application/jsonlines"}
    assert client.post("/invocations", content=line, headers=headers).json() == one
    several = ask(client, inputs=item, parameters={**IMPOSSIBLE, "top_k": 3})
    assert {each["null_score"] for each in several} == {one["null_score"]}
    assert "null_score" not in ask(client, **item)
    assert set(ask(client, inputs=item, parameters={"return_logits": True})) == {
        "score",
        "start",
        "end",
        "answer",
        "logit",
    }


def test_a_large_body_gets_the_same_in_its_own_process(client: httpx.Client) -> None:
    parameters = {**IMPOSSIBLE, "top_k": 2, "return_logits": True, "no_answer_threshold": -1000}
    small = ask(client, question=QUESTION, context=LONG_TEXT[:2000], parameters=parameters)
    large = ask(client, question=QUESTION, context=LONG_TEXT[:2000], parameters=parameters, padding="x" * 40_000)
    assert large == small
    assert small["answer"] == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"no_answer_threshold": "1"}, "parameters.no_answer_threshold: must be a number"),
        ({"no_answer_threshold": True}, "parameters.no_answer_threshold: must be a number"),
        ({"return_logits": 1}, "parameters.return_logits: must be true or false"),
        ({"null_score_diff_threshold": 1}, "parameters: has a name that is not known; did you mean no_answer_thr"),
    ],
)
def test_a_wrong_parameter_gets_a_message(client: httpx.Client, parameters: dict[str, Any], message: str) -> None:
    response = client.post("/invocations", json={"question": QUESTION, "context": CONTEXT, "parameters": parameters})
    assert response.status_code == 422
    assert response.json()["error"].startswith(message)


def test_the_setting_takes_the_place_of_the_artifacts_threshold(artifact_copy: Path, tmp_path: Path) -> None:
    edit_manifest(artifact_copy, lambda manifest: manifest.update(no_answer_threshold=-1000))
    settings = {"PRECISIONS": "INT8", "RUNG_STEP": "128", "WIDE_LANE": "false", "NO_ANSWER_THRESHOLD": "1000"}
    with LocalServer(artifact_copy, settings, log=tmp_path / "log") as server:
        assert server.info()["model"]["no_answer_threshold"] == 1000
        for padding in ("", "x" * 40_000):  # here, and in a text process
            body = {"question": QUESTION, "context": CONTEXT, "parameters": IMPOSSIBLE, "padding": padding}
            assert post(server, body).json()["answer"] != ""


def test_a_threshold_that_is_no_number_ends_the_start(demo_dir: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(demo_dir), "NO_ANSWER_THRESHOLD": "inf"})
    assert ended.returncode == 78
    assert "NO_ANSWER_THRESHOLD='inf': must be a number, and neither NaN nor infinite" in ended.stdout
