"""`evaluate --against`: the answers beside those of transformers' own pipeline with the same checkpoint."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.tools.command import error_of, run_tool
from tests.tools.demo_files import DEMO, HELD_OUT
from tools.local_server import LocalServer
from tools.squad.examples import read_examples

QUESTIONS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own file: CSV without gold answers, whose last question is too long and whose first has no words."""
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "question", "context"))
        rows.writerow(("blank", " ", "The lighthouse was built in 1871."))
        rows.writerows((one.id, one.question, one.context) for one in read_examples(str(HELD_OUT))[:QUESTIONS])
        rows.writerow(("long", "Who built the lighthouse? " * 20, "Zoë Müller built the lighthouse in 1871."))
    return path


@pytest.fixture(scope="module")
def run(demo_dir: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], list[Any]]:
    """What the command prints, its report, and the changed answers."""
    folder = tmp_path_factory.mktemp("against")
    files = ("--journal", folder / "journal", "--output", folder / "report", "--changed", folder / "changed")
    done = run_tool("evaluate", "--model-dir", demo_dir, "--data", data, "--against", DEMO, *files)
    assert done.returncode == 0, done.stderr
    assert "INT8: asking: 42 of 42" in done.stderr  # the progress, as lines where the output is not a terminal
    changed = [json.loads(line) for line in (folder / "changed").read_text().splitlines()]
    assert list((folder / "journal").iterdir()) == []
    return done.stdout, json.loads((folder / "report").read_text()), changed


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of transformers with numpy 2
def test_the_answers_of_the_pipeline_are_those_that_a_user_of_transformers_gets(run: tuple[Any, ...]) -> None:
    pipeline = transformers.pipeline("question-answering", model=str(DEMO), device="cpu")
    found = run[1]["pipeline_answers"]
    for example in read_examples(str(HELD_OUT))[:4]:
        expected = pipeline(question=example.question, context=example.context, max_answer_len=30)
        assert found[example.id] == expected["answer"]


def test_fp32_answers_like_the_pipeline_and_every_changed_answer_is_listed(run: tuple[Any, ...]) -> None:
    printed, report, changed = run
    assert list(report["answers"]) == ["FP32", "INT8"]
    theirs = report["pipeline_answers"]
    assert len(theirs) == QUESTIONS + 2
    assert theirs["blank"] == ""
    for precision, answers in report["answers"].items():
        differing = [name for name in theirs if answers[name] != theirs[name]]
        assert report["agreement"][precision]["answers_changed"] == len(differing)
        assert report["agreement"][precision]["same_answer"] == len(theirs) - len(differing)
        assert set(differing) <= {one["id"] for one in changed}
    assert report["agreement"]["FP32"]["same_answer"] >= 0.95 * len(theirs)  # windows and spans are not cut alike
    assert 0 < report["agreement"]["INT8"]["answers_changed"] < 0.4 * len(theirs)
    smallest = [min(one["overlap"].values()) for one in changed]
    assert smallest == sorted(smallest)
    for one in changed:
        assert one["pipeline"] == theirs[one["id"]]
        assert one["answers"] == {precision: answers[one["id"]] for precision, answers in report["answers"].items()}
    assert "demo, mine.csv: 42 questions, compared with the pipeline" in printed
    assert changed[0]["question"] in printed
    assert "1 question(s) with more than 64 tokens were cut" in printed


def test_a_server_is_compared_too(server: LocalServer, data: Path, tmp_path: Path) -> None:
    done = run_tool(
        "evaluate", "--url", server.url, "--data", data, "--against", DEMO, "--precisions", "fp32", "--limit", 4,
        "--max-answer-len", 3, "--journal", tmp_path, "--output", tmp_path / "report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report").read_text())
    assert report["answers"]["FP32"] == report["pipeline_answers"]
    assert report["rules"]["max_answer_len"] == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--against", "models"), "cannot load|has no config.json"),
        (("--against", DEMO, "--calibrate"), "--calibrate needs scores"),
        (("--allow-pickle",), "for --against"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    demo_dir: Path, data: Path, arguments: tuple[object, ...], reason: str
) -> None:
    ended = run_tool("evaluate", "--model-dir", demo_dir, "--data", data, *arguments)
    line = error_of(ended) if ended.returncode == 1 else ended.stderr
    assert ended.returncode in (1, 2)
    assert any(part in line for part in reason.split("|"))
