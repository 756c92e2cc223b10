"""The command quantize with --recipe auto."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_loader import manifest
from tests.tools.command import error_of, run_entrypoint
from tests.tools.demo_files import CALIBRATION, DEMO
from tools.local_server import PROGRAM_DIR


def quantize(checkpoint: Path, output: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_entrypoint(
        "quantize", "--model", checkpoint, "--calibration", CALIBRATION, "--output", output, "--precisions", "int8",
        "--steps", 20, "--max-seq-len", 128, "--doc-stride", 32, *arguments,
    )  # fmt: skip


def test_auto_records_every_recipe_that_it_tried_and_repeats_its_choice(small_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = small_checkpoint("distilbert")
    made = []
    for name in ("first", "second"):
        ended = quantize(checkpoint, tmp_path / name, "--recipe", "auto", "--max-f1-drop", 100)
        assert ended.returncode == 0, ended.stderr
        made.append(manifest.read(tmp_path / name))
    recipe = made[0].precisions["INT8"].recipe
    tried = recipe["search"]
    assert [(one["centred"], one["alpha"]) for one in tried[:3]] == [(False, None), (True, None), (True, 0.5)]
    best = min(tried, key=lambda one: one["rms_difference"])
    assert (recipe["centred"], recipe["alpha"]) == (best["centred"], best["alpha"])
    assert "expected F1 lost" in ended.stdout
    assert made[1].precisions["INT8"].recipe == recipe
    assert [example.results["INT8"] for example in made[0].golden_examples] == [
        example.results["INT8"] for example in made[1].golden_examples
    ]


SEARCH = """
import json, logging, sys, tempfile, warnings
from pathlib import Path
warnings.filterwarnings("ignore")
from serve.qa.features import Featurizer, WindowLimits
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.checkpoint.checkpoint import tensors
from tools.quantize.calibration import split_by_context
from tools.quantize.recipe_search import RecipeSearch
from tools.squad.examples import read_examples

checkpoint = open_checkpoint(sys.argv[1])
directory = Path(tempfile.mkdtemp(dir=sys.argv[3]))
checkpoint.save_tokenizer(directory)
cutter = Cutter(Featurizer(directory / "tokenizer.json"), WindowLimits(128, 32, 64))
calibrating, held_back = split_by_context(read_examples(sys.argv[2]))
windows = [tensors(cutter.cut(example)[1][0], checkpoint.inputs) for example in calibrating[:20]]
if sys.argv[4] == "openvino":
    from tools.quantize.export.openvino_ir import OpenVINOExporter
    exporter = OpenVINOExporter()
else:
    from tools.quantize.export.ipex import IpexExporter
    exporter = IpexExporter(has_portable_fp32=False)
search = RecipeSearch(checkpoint, exporter, cutter, windows, held_back[:8])
try:
    search.best(-100, lambda description, parts: lambda: None)
except ToolError as error:
    print(json.dumps({"error": str(error), "tried": [one.as_json() for one in search.tried]}))
"""


@pytest.mark.parametrize("engine", ["ipex", "openvino"])
def test_layers_return_to_fp32_and_then_the_search_fails_if_every_recipe_loses_too_much(
    small_checkpoint: Any, tmp_path: Path, engine: str
) -> None:
    command = [sys.executable, "-c", SEARCH, small_checkpoint("distilbert"), CALIBRATION, tmp_path, engine]
    ended = subprocess.run(command, cwd=PROGRAM_DIR, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert "raise --max-f1-drop" in result["error"]
    without, *with_fp32 = (
        [one for one in result["tried"] if not one["fp32_linears"]],
        *[one for one in result["tried"] if one["fp32_linears"]],
    )
    assert [len(one["fp32_linears"]) for one in with_fp32] == [1, 2]
    assert all(one["relative_compute"] > 1 for one in with_fp32)
    assert with_fp32[-1]["rms_difference"] < min(one["rms_difference"] for one in without)


def test_invalid_recipe_arguments_are_refused(tmp_path: Path) -> None:
    for arguments in (("--alpha", 1.5), ("--recipe", "magic"), ("--max-f1-drop", -1)):
        ended = quantize(DEMO, tmp_path / "out", *arguments)
        assert ended.returncode == 2, ended.stderr
        assert str(arguments[0]) in ended.stderr
    few = tmp_path / "few.json"
    content = json.loads(CALIBRATION.read_text())
    article = content["data"][0]
    one_context = {"title": "one", "paragraphs": [{**article["paragraphs"][0]}]}
    one_context["paragraphs"][0]["qas"] = [{**article["paragraphs"][0]["qas"][0], "id": str(i)} for i in range(30)]
    few.write_text(json.dumps({"data": [one_context]}))
    ended = run_entrypoint(
        "quantize", "--model", DEMO, "--calibration", few, "--output", tmp_path / "out", "--recipe", "auto"
    )
    assert "add examples of more contexts" in error_of(ended)
