"""docs/notebook.ipynb runs from top to bottom on this machine, and shows the figures that it has measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
CELL_SECONDS = 1200


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """The cells of code after the run, with their outputs. Jupyter writes its own files into a temporary folder."""
    notebook = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # without it, jupyter_core warns
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        client = NotebookClient(notebook, timeout=CELL_SECONDS, startup_timeout=CELL_SECONDS, resources=resources)
        yield client.execute()["cells"]


def printed(cells: list[Any]) -> str:
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    return "".join(output.get("text", "") for output in outputs)


def tables(cells: list[Any]) -> list[list[list[str]]]:
    """The tables that the cells show, as rows of cells without the line below the head."""
    shown = [
        output["data"]["text/markdown"]
        for cell in cells
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
        if "text/markdown" in output.get("data", {})
    ]
    split = [[[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines()] for text in shown]
    return [[head, *rows] for head, _, *rows in split]


def test_the_notebook_in_the_repository_has_no_outputs_and_starts_on_this_machine() -> None:
    cells = [cell for cell in read()["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
    assert cells[0]["source"].startswith("ON_AWS = False\n")
    for step in range(1, 8):
        assert any(f"Step {step}" in cell["source"] or f" {step}" in cell["source"] for cell in read()["cells"])


def test_all_steps_run_and_everything_is_removed_at_the_end(executed: list[Any]) -> None:
    text = printed(executed)
    assert "endpoint: create bert-qa-notebook, realtime" in text
    assert "upload s3://" in text
    for precision in ("INT8", "FP32"):
        assert f"{precision}, " in text
    assert "[Amazonia or the Amazon Jungle]" in text or "[Amazonia" in text
    assert "All resources are removed." in text


def test_the_three_tables_have_the_measured_figures(executed: list[Any]) -> None:
    latency, accuracy, instance = tables(executed)
    folder = ROOT / "build" / "notebook"
    rows = json.loads((folder / "benchmark" / "benchmark.json").read_text())["rows"]
    assert [row[0] for row in latency[1:]] == ["FP32", "INT8"]
    assert [row[1] for row in latency[1:]] == [f"{row['p50_ms']:.1f}" for row in rows]
    assert all(row["errors"] == {} and row["refused"] == 0 for row in rows)
    scores = json.loads((folder / "accuracy.json").read_text())["scores"]
    for name, exact_match, f1, questions in accuracy[1:]:
        assert (exact_match, f1) == (f"{scores[name]['exact_match']:.2f}", f"{scores[name]['f1']:.2f}")
        assert int(questions) <= 100  # at most 400 questions for both tables
        assert float(f1) > 60
    assert float(instance[1][-1]) == pytest.approx(rows[0]["p50_ms"] / rows[1]["p50_ms"], abs=0.006)
