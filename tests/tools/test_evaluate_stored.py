"""What evaluate finds for the scores of an artifact: a calibration, and the threshold of SQuAD v2.0."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_loader import manifest
from tests.tools.command import error_of, run_tool
from tests.tools.demo_files import HELD_OUT
from tests.tools.evaluation import evaluate, report_of
from tools.local_server import LocalServer
from tools.squad.examples import read_examples
from tools.squad.metric import exact_match_v2, f1_v2


def test_calibrate_stores_a_calibration_that_the_next_run_uses(artifact_copy: Path, tmp_path: Path) -> None:
    arguments = ("--model-dir", artifact_copy, "--data", HELD_OUT, "--precisions", "int8", "--limit", 110)
    done = evaluate(tmp_path, *arguments, "--calibrate", "--plot", tmp_path / "plots" / "reliability.png")
    assert done.returncode == 0, done.stderr
    before = report_of(tmp_path)
    assert (tmp_path / "plots" / "reliability.png").read_bytes().startswith(b"\x89PNG")
    content = manifest.read(artifact_copy)
    assert content.temperature is not None
    assert content.calibration is not None
    assert (content.calibration.questions, content.calibration.precision) == (110, "INT8")
    error = before["reliability"]["INT8"]["expected_calibration_error"]
    assert content.calibration.error_before == pytest.approx(error)
    again = evaluate(tmp_path, *arguments)
    assert again.returncode == 0, again.stderr
    after = report_of(tmp_path)
    assert after["answers"] == before["answers"]
    assert after["reliability"]["INT8"]["expected_calibration_error"] == pytest.approx(
        content.calibration.error_after, abs=1e-6
    )
    assert after["answer_scores"] != before["answer_scores"]
    assert f"temperature is {content.temperature:g}" in done.stdout.replace("\n", " ")


# SQuAD v2.0


@pytest.fixture(scope="module")
def with_impossible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some held-out questions, each asked about its own context and about another one, which does not answer it."""
    examples = read_examples(str(HELD_OUT))[::8]
    strangers = examples[7:] + examples[:7]
    paragraphs = []
    ways: list[dict[str, Any]] = [
        {"answers": []},
        {"answers": [{"text": ""}]},
        {"answers": [{"text": "plausible"}], "is_impossible": True},
    ]
    for number, (one, stranger) in enumerate(zip(examples, strangers, strict=True)):
        assert one.context != stranger.context
        possible = {"id": one.id, "question": one.question, "answers": [{"text": text} for text in one.answers]}
        impossible = {"id": f"no-{one.id}", "question": stranger.question, **ways[number % 3]}
        paragraphs.append({"context": one.context, "qas": [possible, impossible]})
    path = tmp_path_factory.mktemp("v2") / "v2.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": paragraphs}]}))
    return path


def test_v2_allows_no_answer_and_scores_questions_with_and_without_an_answer(
    demo_dir: Path, server: LocalServer, with_impossible: Path, tmp_path: Path
) -> None:
    done = evaluate(tmp_path, "--model-dir", demo_dir, "--data", with_impossible)
    assert done.returncode == 0, done.stderr
    report = report_of(tmp_path)
    assert report["rules"]["handle_impossible_answer"] is True
    assert report["data"]["metric"] == "SQuAD v2.0"
    examples = read_examples(str(with_impossible))
    for precision, answers in report["answers"].items():
        scores = report["scores"][precision]
        for kind, chosen in (
            (scores, examples),
            (scores["has_answer"], [one for one in examples if one.answers]),
            (scores["no_answer"], [one for one in examples if not one.answers]),
        ):
            pairs = [(answers[one.id], one.answers) for one in chosen]
            assert kind["questions"] == len(chosen)
            assert kind["exact_match"] == pytest.approx(100 * np.mean([exact_match_v2(*pair) for pair in pairs]))
            assert kind["f1"] == pytest.approx(100 * np.mean([f1_v2(*pair) for pair in pairs]))
        assert (
            scores["has_answer"]["f1"] > scores["no_answer"]["f1"]
        )  # the demo model was not trained on questions without an answer
        thresholds = report["best_no_answer_thresholds"][precision]
        assert thresholds["best_exact"] >= scores["exact_match"]
        assert thresholds["best_f1"] >= scores["f1"]
    assert "SQuAD v2.0" in done.stdout
    assert "correct without answer" in done.stdout
    assert "the best thresholds on null logit sum" in done.stdout
    over_http = evaluate(tmp_path, "--url", server.url, "--data", with_impossible)
    assert over_http.returncode == 0, over_http.stderr
    assert report_of(tmp_path)["answers"] == report["answers"]


def test_the_best_threshold_is_stored_in_the_manifest_and_gives_the_best_f1(
    artifact_copy: Path, with_impossible: Path, tmp_path: Path
) -> None:
    arguments = ("--model-dir", artifact_copy, "--data", with_impossible, "--precisions", "int8")
    done = evaluate(tmp_path, *arguments, "--save-no-answer-threshold")
    assert done.returncode == 0, done.stderr
    found = report_of(tmp_path)["best_no_answer_thresholds"]["INT8"]
    content = json.loads((artifact_copy / "manifest.json").read_text())
    assert content["no_answer_threshold"] == found["best_f1_thresh"] != 0
    assert "no_answer_threshold is" in done.stdout
    again = evaluate(tmp_path, *arguments)
    assert again.returncode == 0, again.stderr
    assert report_of(tmp_path)["scores"]["INT8"]["f1"] == pytest.approx(found["best_f1"])
    assert report_of(tmp_path)["best_no_answer_thresholds"]["INT8"] == found


def test_what_is_stored_needs_an_artifact_and_the_questions_that_it_takes(demo_dir: Path, tmp_path: Path) -> None:
    for option in ("--save-no-answer-threshold", "--calibrate"):
        remote = run_tool("evaluate", "--url", "http://127.0.0.1:1", "--data", HELD_OUT, option)
        assert remote.returncode == 2
        assert f"{option} needs --model-dir" in remote.stderr
    before = (demo_dir / "manifest.json").read_bytes()
    one = ("--model-dir", demo_dir, "--data", HELD_OUT, "--limit", 1, "--precisions", "int8")
    done = evaluate(tmp_path, *one, "--save-no-answer-threshold")
    assert "held_out.json has no question without an answer" in error_of(done)
    done = evaluate(tmp_path, *one, "--calibrate")
    assert "--calibrate needs at least 100 questions, and 1 of held_out.json would be asked" in error_of(done)
    assert (demo_dir / "manifest.json").read_bytes() == before
