"""Build an artifact from a checkpoint: export each precision, measure its file, and describe all in the manifest."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from container import cpu
from container.precision import Precision
from model_loader import artifact, manifest
from model_loader.manifest import MadeWith, Manifest
from model_loader.model_file import Engine, ModelFile
from serve.qa.features import Featurizer, WindowLimits
from tools.checkpoint import checkpoint_forward, open_checkpoint, tensors
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.quantize import export
from tools.quantize.arguments import Options
from tools.quantize.calibration import evenly_spread, split_by_context
from tools.quantize.golden_examples import (
    GoldenReference,
    choose_golden_examples,
    golden_examples_for_manifest,
    golden_results,
)
from tools.quantize.measure import MeasuredFile, measure_file
from tools.quantize.recipe_search import RecipeSearch, TriedRecipe
from tools.quantize.recipes import STATIC, Recipe, smoothquant
from tools.quantize.report import StepDisplay, artifact_table, recipe_table
from tools.squad.examples import Example
from tools.squad.rules import MAX_QUESTION_LEN


class ArtifactBuild:
    """The build of one artifact in a directory."""

    def __init__(self, options: Options, directory: Path, display: StepDisplay) -> None:
        """Open the checkpoint, and write its tokenizer into the directory.

        Raises: ToolError if the checkpoint cannot be loaded, or does not fit the options.
        """
        self._options = options
        self._directory = directory
        self._display = display
        self._tried: list[TriedRecipe] = []
        display.show_step(f"load {options.model}")
        self._checkpoint = open_checkpoint(options.model)
        if options.max_seq_len > self._checkpoint.max_positions:
            positions = self._checkpoint.max_positions
            raise ToolError(f"--max-seq-len {options.max_seq_len}: the checkpoint has only {positions} positions")
        self._checkpoint.save_tokenizer(directory)
        limits = WindowLimits(options.max_seq_len, options.doc_stride, MAX_QUESTION_LEN)
        self._cutter = Cutter(Featurizer(directory / "tokenizer.json"), limits)

    def run(self, calibration: Sequence[Example], held_out: Sequence[Example]) -> None:
        """Write the files of the artifact, and print a table of them.

        Raises: ToolError.
        """
        golden = self._golden_reference(calibration)
        windows, int8_recipe = self._calibrate(calibration)
        files: dict[Precision, MeasuredFile] = {}
        for precision in self._options.precisions:
            file, recipe = self._export(precision, windows, int8_recipe)
            self._display.show_step(f"{precision}: load again and measure")
            files[precision] = measure_file(file, recipe, self._cutter, golden, held_out)
        made = self._manifest(files, golden)
        manifest.write(self._directory, made)
        self._display.print_table(artifact_table(made, files, golden.results))

    def _golden_reference(self, calibration: Sequence[Example]) -> GoldenReference:
        examples = choose_golden_examples(self._cutter, calibration)
        return GoldenReference(examples, golden_results(self._cutter, examples, checkpoint_forward(self._checkpoint)))

    def _calibrate(self, calibration: Sequence[Example]) -> tuple[list[Any], Recipe]:
        """Return the tensors of the windows to calibrate INT8 on, and INT8's recipe."""
        options = self._options
        if options.recipe != "auto" or "INT8" not in options.precisions:
            given = STATIC if options.recipe == "static" else smoothquant(options.alpha)
            return self._calibration_windows(calibration), given
        calibrating, held_back = split_by_context(calibration)
        windows = self._calibration_windows(calibrating)
        search = RecipeSearch(self._checkpoint, self._cutter, windows, held_back, self._display.show_step)
        recipe: Recipe | None = None
        try:
            recipe = search.best(options.max_f1_drop)
        finally:
            self._display.print_table(recipe_table(search.tried, recipe, len(held_back)))
        self._tried = search.tried
        return windows, recipe

    def _calibration_windows(self, examples: Sequence[Example]) -> list[Any]:
        """Return the tensors of the first window of as many examples as --steps says, spread evenly over the file."""
        chosen = evenly_spread(examples, self._options.steps)
        return [tensors(self._cutter.cut(example)[1][0], self._checkpoint.inputs) for example in chosen]

    def _export(
        self, precision: Precision, windows: Sequence[Any], int8_recipe: Recipe
    ) -> tuple[ModelFile, dict[str, Any]]:
        """Write the file of one precision; return it with its recipe for the manifest."""
        path = self._directory / artifact.SAMPLE_FILES[precision]
        engine: Engine = "ipex-torchscript"
        recipe: dict[str, Any] = {"method": "none"}
        if precision == "INT8":
            on_step = self._display.show_step("INT8: calibrate, trace", len(windows))
            recipe = export.export_int8(self._checkpoint, windows, path, int8_recipe, on_step)
            if self._tried:
                recipe["search"] = [one.as_json() for one in self._tried]
        else:
            self._display.show_step(f"{precision}: trace")
            if precision == "BF16":
                export.export_bf16(self._checkpoint, windows[0], path)
            elif self._options.fp32_engine == "ipex":
                export.export_fp32(self._checkpoint, windows[0], path)
            else:
                engine = "torchscript"
                export.export_portable_fp32(self._checkpoint, windows[0], path)
        return ModelFile(precision, str(path), engine, self._checkpoint.inputs, fused_groups=None), recipe

    def _manifest(self, files: dict[Precision, MeasuredFile], golden: GoldenReference) -> Manifest:
        """Describe the artifact. The checkpoint's own golden results stand for FP32's, even if FP32 is not exported."""
        options, checkpoint = self._options, self._checkpoint
        results = {precision: file.golden_results for precision, file in files.items()}
        return Manifest(
            schema_version=manifest.SCHEMA_VERSION,
            task="question-answering",
            source_model=Path(options.model).resolve().name if Path(options.model).exists() else options.model,
            model_type=checkpoint.model_type,
            layers=checkpoint.layers,
            inputs=list(checkpoint.inputs),
            max_seq_len=options.max_seq_len,
            doc_stride=options.doc_stride,
            made_with=_made_with(),
            precisions={precision: file.entry for precision, file in files.items()},
            golden_examples=golden_examples_for_manifest(
                self._cutter, golden.examples, {**results, "FP32": golden.results}
            ),
        )


def _made_with() -> MadeWith:
    machine = cpu.detect()
    return MadeWith(
        cpu=machine.model,
        isa=machine.isa,
        python=platform.python_version(),
        torch=artifact.installed_version("torch") or "",
        ipex=artifact.installed_version("intel-extension-for-pytorch"),
        transformers=artifact.installed_version("transformers") or "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
