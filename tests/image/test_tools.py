"""The image also runs the offline tools on mounted folders."""

import json
from pathlib import Path

from tests.image.engine import run_image

ROOT = Path(__file__).parents[2]


def test_quantize_makes_an_artifact_that_evaluate_and_benchmark_measure(tmp_path: Path) -> None:
    folders = ("--network", "host", "--volume", f"{ROOT / 'models'}:/models:ro", "--volume", f"{tmp_path}:/data")
    options = (*folders, "--workdir", "/data", "--read-only", "--tmpfs", "/tmp")
    questions = tmp_path / "questions.json"
    articles = json.loads((ROOT / "models/demo/held_out.json").read_text())["data"][:3]
    questions.write_text(json.dumps({"version": "1.1", "data": articles}))
    made = run_image(
        "quantize", "--model", "/models/demo", "--calibration", "/models/demo/calibration.json",
        "--recipe", "static", "--steps", "20", "--output", "artifact", options=options,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert set(json.loads((tmp_path / "artifact/manifest.json").read_text())["precisions"]) == {"INT8", "FP32"}

    scored = run_image(
        "evaluate", "--model-dir", "artifact", "--data", "questions.json", "--output", "report.json", options=options
    )
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert "INT8" in scored.stdout
    assert (tmp_path / "report.json").is_file()

    timed = run_image(
        "benchmark", "--model-dir", "artifact", "--data", "questions.json", "--requests", "20", "--clients", "1",
        "--load", "none", "--output", "benchmark", options=options,
    )  # fmt: skip
    assert timed.returncode == 0, timed.stdout + timed.stderr
    assert any((tmp_path / "benchmark").glob("*.json"))
    assert any((tmp_path / "benchmark").glob("*.png"))
