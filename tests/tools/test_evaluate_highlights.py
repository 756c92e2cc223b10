"""evaluate.highlights on the demo model and on a token-relevance model: the sentences that answer the questions."""

import re
from pathlib import Path

from tests.tools.command import error_of, run_tool
from tests.tools.demo_files import HELD_OUT


def test_the_best_sentences_hold_the_answers(demo_dir: Path) -> None:
    done = run_tool(
        *("evaluate.highlights", "--model-dir", str(demo_dir), "--data", str(HELD_OUT)),
        *("--precisions", "INT8", "--limit", "60"),
    )
    assert done.returncode == 0, done.stderr
    found = re.search(
        r"of (\d+) questions .* holds one for (\d+), and the best span\s+overlaps one for (\d+)", done.stdout
    )
    assert found
    asked, held, overlapped = map(int, found.groups())
    assert asked >= held >= overlapped > 0.6 * asked
    rows = dict(re.findall(r"(0\.\d+)\D+(\d+\.\d) ", done.stdout))  # threshold, precision
    assert float(rows["0.1"]) > 60


def test_a_token_relevance_model_is_measured_in_the_same_way(relevance_dir: Path) -> None:
    done = run_tool(
        *("evaluate.highlights", "--model-dir", str(relevance_dir), "--data", str(HELD_OUT)),
        *("--precisions", "INT8", "--limit", "60"),
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"of 60 questions with an answer, the best sentence holds one for (\d+)\n", done.stdout)
    assert found
    assert int(found[1]) > 36
    rows = re.findall(r"│\s+(0\.\d+) │\s+(\S+) │\s+(\S+) │\s+(\S+) │", done.stdout)
    recalls = {threshold: float(recall) for threshold, _, recall, _ in rows}
    assert recalls["0.02"] > recalls["0.7"] > 0
    assert max(float(f1) for *_, f1 in rows) > 50


def test_evaluate_refuses_a_token_relevance_model_and_names_the_other_command(relevance_dir: Path) -> None:
    done = run_tool("evaluate", "--model-dir", relevance_dir, "--data", HELD_OUT)
    assert "which has no answers. Measure its highlights: python -m tools.evaluate.highlights" in error_of(done)
