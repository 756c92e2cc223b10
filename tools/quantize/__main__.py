"""Checkpoint -> artifact: TorchScript in each precision, tokenizer, manifest with golden examples.

python -m tools.quantize --model csarron/bert-base-uncased-squad-v1 --calibration squad --output build/bert-base
"""

import logging
import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from container import cpu
from container.precision import Precision
from model_loader import artifact, manifest
from model_loader.manifest import GoldenResult, MadeWith, Manifest
from model_loader.model_file import Engine, InputName, ModelFile
from serve.qa.features import Featurizer, WindowLimits
from tools.answers.source import MAX_QUESTION_LEN
from tools.checkpoint import checkpoint_forward, tensors
from tools.errors import ToolError, run
from tools.local_model import Cutter
from tools.quantize import golden_examples as golden
from tools.quantize.measure import TIMED_TOKENS, Built, measure
from tools.quantize.options import MIN_CALIBRATION_WINDOWS, Options, parse_arguments
from tools.quantize.recipe_search import HELD_BACK, Search, split
from tools.quantize.recipe_search import table as recipe_table
from tools.quantize.recipes import STATIC, Recipe, smoothquant
from tools.squad.examples import Example, read_examples

if TYPE_CHECKING:
    from tools.checkpoint import Checkpoint


def main() -> None:
    """Check what can be checked at once, build beside the output, rename."""
    options = parse_arguments(__doc__)
    examples = read_examples(options.calibration)
    if len(examples) < MIN_CALIBRATION_WINDOWS:
        raise ToolError(
            f"{options.calibration} has {len(examples)} examples; "
            f"calibration needs at least {MIN_CALIBRATION_WINDOWS}, better {options.steps}"
        )
    if options.recipe == "auto" and len(split(examples)[0]) < MIN_CALIBRATION_WINDOWS:
        raise ToolError(
            f"{options.calibration}: --recipe auto holds each {HELD_BACK}th context back, and the others' examples are "
            f"fewer than {MIN_CALIBRATION_WINDOWS}; add examples of more contexts, or name a recipe"
        )
    held_out = read_examples(options.evaluation) if options.evaluation else []
    console = Console()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix=f".{options.output.name}-", dir=options.output.parent))
    try:
        with Progress(console=console, transient=True) as progress:
            run = _Build(options, build, progress)
            try:
                made = run.run(examples, held_out)
            finally:
                for table in run.tables:
                    progress.console.print(table)
        manifest.write(build, made)
        build.chmod(0o755)  # mkdtemp's own mode would keep a server without privileges out
        _replace(build, options.output)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    console.print(f"wrote {options.output}")


def _replace(build: Path, output: Path) -> None:
    """Put the finished build in the place of the output."""
    old = build.with_name(build.name + "-old")
    if output.exists():
        output.rename(old)
    build.rename(output)
    shutil.rmtree(old, ignore_errors=True)


class _Build:
    """One run: from the checkpoint to all files but the manifest."""

    def __init__(self, options: Options, directory: Path, progress: Progress) -> None:
        self._options = options
        self._directory = directory
        self._progress = progress
        self._task = progress.add_task("import torch and IPEX", total=None)
        self._searched: list[dict[str, Any]] = []
        self.tables: list[Table] = []  # to be shown, whatever becomes of the run

    def run(self, examples: Sequence[Example], held_out: Sequence[Example]) -> Manifest:
        options = self._options
        # The frozen libraries beneath warn of their own past; nothing of it is the user's to mend.
        warnings.filterwarnings("ignore")
        logging.getLogger("IPEX").setLevel(logging.ERROR)
        from tools.checkpoint import open_checkpoint

        self._show(f"load {options.model}")
        checkpoint = open_checkpoint(options.model)
        if options.max_seq_len > checkpoint.max_positions:
            raise ToolError(
                f"--max-seq-len {options.max_seq_len}: the checkpoint has {checkpoint.max_positions} positions"
            )
        checkpoint.save_tokenizer(self._directory)
        limits = WindowLimits(options.max_seq_len, options.doc_stride, MAX_QUESTION_LEN)
        cutter = Cutter(Featurizer(self._directory / "tokenizer.json"), limits)
        golden_questions = golden.choose_examples(cutter, examples)
        reference = golden.results(cutter, golden_questions, checkpoint_forward(checkpoint))

        built: dict[Precision, Built] = {}
        windows, recipe_of_int8 = self._plan(checkpoint, cutter, examples)
        for precision in options.precisions:
            file, recipe = self._export(checkpoint, precision, windows, recipe_of_int8)
            self._show(f"{precision}: load again and measure")
            built[precision] = measure(file, recipe, cutter, (golden_questions, reference, held_out))
        results = {precision: of.results for precision, of in built.items()}
        made = Manifest(
            schema_version=manifest.SCHEMA_VERSION,
            task="question-answering",
            source_model=Path(options.model).resolve().name if Path(options.model).exists() else options.model,
            model_type=checkpoint.model_type,
            layers=checkpoint.layers,
            inputs=list(checkpoint.inputs),
            max_seq_len=options.max_seq_len,
            doc_stride=options.doc_stride,
            made_with=_made_with(),
            precisions={precision: of.entry for precision, of in built.items()},
            golden_examples=golden.manifest_entries(cutter, golden_questions, {**results, "FP32": reference}),
        )
        self.tables.append(_table(made, built, reference))
        return made

    def _plan(self, checkpoint: "Checkpoint", cutter: Cutter, examples: Sequence[Example]) -> tuple[list[Any], Recipe]:
        """Windows to calibrate INT8 on, and its recipe."""
        options = self._options
        if options.recipe != "auto" or "INT8" not in options.precisions:
            given = STATIC if options.recipe == "static" else smoothquant(options.alpha)
            return _calibration_windows(cutter, examples, checkpoint.inputs, options.steps), given
        calibrating, held_back = split(examples)
        windows = _calibration_windows(cutter, calibrating, checkpoint.inputs, options.steps)
        search = Search(checkpoint, cutter, windows, held_back, self._show)
        recipe: Recipe | None = None
        try:
            recipe = search.best(options.max_f1_drop)
        finally:
            self.tables.append(recipe_table(search.tried, recipe, len(held_back)))
        self._searched = [one.as_json() for one in search.tried]
        return windows, recipe

    def _export(
        self, checkpoint: "Checkpoint", precision: Precision, windows: Sequence[Any], recipe: Recipe
    ) -> tuple[ModelFile, dict[str, Any]]:
        """Write the file of one precision. recipe: INT8's."""
        from tools.quantize import export

        path = self._directory / artifact.SAMPLE_FILES[precision]
        engine: Engine = "ipex-torchscript"
        made: dict[str, Any] = {"method": "none"}
        if precision == "INT8":
            advance = self._show("INT8: calibrate, trace", len(windows))
            made = export.export_int8(checkpoint, windows, path, recipe, advance)
            if self._searched:
                made["search"] = self._searched
        else:
            self._show(f"{precision}: trace")
            if precision == "BF16":
                export.export_bf16(checkpoint, windows[0], path)
            elif self._options.fp32_engine == "ipex":
                export.export_fp32(checkpoint, windows[0], path)
            else:
                engine = "torchscript"
                export.export_portable_fp32(checkpoint, windows[0], path)
        return ModelFile(precision, str(path), engine, checkpoint.inputs, fused_groups=None), made

    def _show(self, description: str, steps: float | None = None) -> Callable[[], None]:
        """Show what is done now; gives what marks a step of it as done."""
        self._progress.remove_task(self._task)
        self._task = task = self._progress.add_task(description, total=steps)
        return lambda: self._progress.advance(task)


def _calibration_windows(
    cutter: Cutter, examples: Sequence[Example], inputs: Sequence[InputName], steps: int
) -> list[Any]:
    """Tensors of the first window of so many examples, spread evenly over the file."""
    chosen = np.linspace(0, len(examples) - 1, min(steps, len(examples))).round().astype(int)
    return [tensors(cutter.cut(examples[index])[1][0], inputs) for index in chosen]


def _made_with() -> MadeWith:
    box = cpu.detect()
    return MadeWith(
        cpu=box.model,
        isa=box.isa,
        python=platform.python_version(),
        torch=artifact.installed_version("torch") or "",
        ipex=artifact.installed_version("intel-extension-for-pytorch"),
        transformers=artifact.installed_version("transformers") or "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _table(made: Manifest, built: dict[Precision, Built], reference: Sequence[GoldenResult]) -> Table:
    table = Table(title=f"{made.source_model} on {made.made_with.cpu}, {made.made_with.isa}")
    for column in ("", "MB", *(f"ms at {t}" for t in TIMED_TOKENS), "logit diff.", "same answers", "EM / F1"):
        table.add_column(column, justify="right")
    for precision, of in built.items():
        scores = of.entry.accuracy
        table.add_row(
            precision,
            f"{of.entry.size_bytes / 1e6:.0f}",
            *(f"{of.median_ms[t]:.1f}" if t in of.median_ms else "-" for t in TIMED_TOKENS),
            f"{of.largest_difference:.4f}",
            f"{golden.same_answers(of.results, reference)} of {len(reference)}",
            f"{scores['exact_match']:.1f} / {scores['f1']:.1f}" if scores else "-",
        )
    return table


if __name__ == "__main__":
    run(main)
