"""Build an artifact from a checkpoint: export each precision, measure its file, and describe all in the manifest."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from container import cpu
from container.precision import Precision
from model_loader import artifact, manifest
from model_loader.engines import openvino_ir
from model_loader.manifest import MadeWith, Manifest, TokenizerFile
from model_loader.model_file import ModelFile
from model_loader.signing.file_hash import sha256_of
from serve.qa.features import WindowLimits
from tools.checkpoint.checkpoint import checkpoint_forward, model_forward, open_checkpoint, tensors
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.quantize.arguments import Options
from tools.quantize.calibration import askable, evenly_spread, split_by_context
from tools.quantize.export.exporter import Exporter, rewritten_model
from tools.quantize.golden_examples import (
    GoldenReference,
    check_rounding,
    golden_examples_for_manifest,
    golden_results,
    read_golden_texts,
)
from tools.quantize.measure import MeasuredFile, measure_file
from tools.quantize.recipe_search import RecipeSearch
from tools.quantize.recipes import STATIC, Recipe, RecipeName, TriedRecipe, smoothquant
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
        self._exporter = _exporter(options)
        self._tried: list[TriedRecipe] = []
        display.show_step(f"load {options.model}")
        self._checkpoint = open_checkpoint(options.model, allow_pickle=options.allow_pickle)
        display.print_line(f"{options.model} is {self._checkpoint.head.description}")
        self._recipe = self._check_int8()
        if options.max_seq_len > self._checkpoint.max_positions:
            positions = self._checkpoint.max_positions
            raise ToolError(f"--max-seq-len {options.max_seq_len}: the checkpoint has only {positions} positions")
        featurizer = self._checkpoint.save_tokenizer(directory)
        self._checkpoint.save_configuration(directory)
        limits = WindowLimits(options.max_seq_len, options.doc_stride, MAX_QUESTION_LEN)
        self._cutter = Cutter(featurizer, limits)

    def run(self, calibration: Sequence[Example], held_out: Sequence[Example]) -> None:
        """Write the files of the artifact, and print a table of them.

        Raises: ToolError.
        """
        golden = self._golden_reference()
        held_out = self._measurable(held_out)
        windows, int8_recipe = self._calibrate(calibration)
        files: dict[Precision, MeasuredFile] = {}
        for precision in self._options.precisions:
            file, recipe = self._export(precision, windows, int8_recipe)
            self._display.show_step(f"{precision}: load again and measure")
            files[precision] = measure_file(file, recipe, self._cutter, golden, held_out)
        for note in self._cutter.question_limit.notes():
            self._display.print_line(f"evaluation: {note}")
        made = self._manifest(files, golden)
        manifest.write(self._directory, made)
        self._display.print_table(artifact_table(made, files, golden.results))

    def _measurable(self, held_out: Sequence[Example]) -> Sequence[Example]:
        """Return the examples on which exact match and F1 are measured: none for a token-relevance model."""
        if not held_out or self._checkpoint.head.task == "question-answering":
            return held_out
        self._display.print_line(
            "--evaluation measures the F1 of answers, which a token-relevance model does not have. Measure its "
            f"highlights: python -m tools.evaluate.highlights --model-dir {self._options.output} "
            f"--data {self._options.evaluation}"
        )
        return []

    def _check_int8(self) -> RecipeName:
        """Return the recipe for INT8 that this architecture can have.

        Raises: ToolError if INT8 was asked for and the architecture cannot have it, or not by this recipe.
        """
        checkpoint, recipe = self._checkpoint, self._options.recipe
        if "INT8" not in self._options.precisions:
            return recipe
        if recipe == "auto" and checkpoint.head.task != "question-answering":
            raise ToolError(
                "--recipe auto: it compares recipes by the F1 of answers, which a token-relevance model does not have; "
                "name smoothquant or static"
            )
        support = self._exporter.int8_support(checkpoint)
        if support == "rewritten" or (support, recipe) == ("static", "static"):
            return recipe
        name = checkpoint.model_type
        if support == "none":
            raise ToolError(
                f"{self._options.model} is a {name} model, which {self._exporter.name} cannot run in INT8. Add "
                "--precisions bf16,fp32, or --engine openvino"
            )
        if recipe == "auto":
            raise ToolError(f"--recipe auto: {name} models have no rewrites before INT8 to choose from; name static")
        self._display.print_line(f"{name} models have no rewrites before INT8: the recipe is static")
        return "static"

    def _golden_reference(self) -> GoldenReference:
        examples = read_golden_texts()
        task = self._checkpoint.head.task
        results = golden_results(self._cutter, examples, checkpoint_forward(self._checkpoint), task)
        golden = GoldenReference(examples, results, task)
        if "INT8" in self._options.precisions and self._recipe != "static":
            self._check_rewrites(golden)
        return golden

    def _check_rewrites(self, golden: GoldenReference) -> None:
        """Check that the rewrites before INT8 do not change the logits in FP32, before INT8 takes minutes.

        Raises: ToolError.
        """
        self._display.show_step("check the rewrites before INT8")
        inputs = self._checkpoint.inputs
        windows = [tensors(self._cutter.cut(example)[1][0], inputs) for example in golden.examples]
        model = rewritten_model(self._checkpoint, windows, smoothquant(self._options.alpha))
        results = golden_results(self._cutter, golden.examples, model_forward(model, inputs), golden.task)
        check_rounding(
            f"{self._options.model}: the rewrites before INT8 change its logits. Use --recipe static, which has none",
            results,
            golden.results,
        )

    def _calibrate(self, calibration: Sequence[Example]) -> tuple[list[Any], Recipe]:
        """Return the tensors of the windows to calibrate INT8 on, and INT8's recipe."""
        options = self._options
        calibration, left_out = askable(
            calibration, self._cutter, options.calibration, options.steps, holds_back=options.recipe == "auto"
        )
        if left_out:
            self._display.print_line(
                f"calibration leaves out {left_out} question(s) without words or of more than {MAX_QUESTION_LEN} tokens"
            )
        if self._recipe != "auto" or "INT8" not in options.precisions:
            given = STATIC if self._recipe == "static" else smoothquant(options.alpha)
            return self._calibration_windows(calibration), given
        calibrating, held_back = split_by_context(calibration)
        windows = self._calibration_windows(calibrating)
        search = RecipeSearch(self._checkpoint, self._exporter, self._cutter, windows, held_back)
        recipe: Recipe | None = None
        try:
            recipe = search.best(options.max_f1_drop, self._display.show_step)
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
        path = self._directory / self._exporter.file_name(precision)
        recipe: dict[str, Any] = {"method": "none"}
        if precision == "INT8":
            on_step = self._display.show_step("INT8: calibrate, trace", len(windows))
            engine = self._exporter.int8_engine
            recipe = self._exporter.export_int8(self._checkpoint, windows, path, int8_recipe, on_step)
            if self._tried:
                recipe["search"] = [one.as_json() for one in self._tried]
        else:
            self._display.show_step(f"{precision}: trace")
            engine = self._exporter.export(self._checkpoint, precision, windows[0], path)
        return ModelFile(precision, str(path), engine, self._checkpoint.inputs, fused_groups=None), recipe

    def _manifest(self, files: dict[Precision, MeasuredFile], golden: GoldenReference) -> Manifest:
        """Describe the artifact. The checkpoint's own golden results stand for FP32's, even if FP32 is not exported."""
        options, checkpoint = self._options, self._checkpoint
        results = {precision: file.golden_results for precision, file in files.items()}
        tokenizer = self._directory / "tokenizer.json"
        return Manifest(
            schema_version=manifest.SCHEMA_VERSION,
            task=checkpoint.head.task,
            source_model=Path(options.model).resolve().name if Path(options.model).exists() else options.model,
            model_type=checkpoint.model_type,
            layers=checkpoint.layers,
            embedding_rows=checkpoint.embedding_rows,
            inputs=list(checkpoint.inputs),
            max_seq_len=options.max_seq_len,
            doc_stride=options.doc_stride,
            made_with=_made_with(options),
            tokenizer=TokenizerFile(
                file="tokenizer.json", sha256=sha256_of(tokenizer), size_bytes=tokenizer.stat().st_size
            ),
            precisions={precision: file.entry for precision, file in files.items()},
            golden_examples=golden_examples_for_manifest(
                self._cutter, golden.examples, {**results, "FP32": golden.results}
            ),
        )


def _exporter(options: Options) -> Exporter:
    """Import the engine that writes the files, which takes seconds."""
    if options.engine == "openvino":
        openvino_ir.send_no_reports()
        from tools.quantize.export.openvino_ir import OpenVINOExporter

        return OpenVINOExporter()
    from tools.quantize.export.ipex import IpexExporter

    return IpexExporter(has_portable_fp32=options.fp32_engine == "torch")


def _made_with(options: Options) -> MadeWith:
    is_openvino = options.engine == "openvino"
    machine = cpu.detect()
    return MadeWith(
        cpu=machine.model,
        isa=machine.isa,
        python=platform.python_version(),
        torch=artifact.installed_version("torch") or "",
        ipex=None if is_openvino else artifact.installed_version("intel-extension-for-pytorch"),
        openvino=artifact.installed_version("openvino") if is_openvino else None,
        transformers=artifact.installed_version("transformers") or "",
        tokenizers=artifact.installed_version("tokenizers") or "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
