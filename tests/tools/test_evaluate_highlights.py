"""evaluate.highlights on the demo model: the sentences that answer the held-out questions."""

import re
from pathlib import Path

from tests.tools.command import run_tool
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
