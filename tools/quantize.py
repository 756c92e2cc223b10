"""Checkpoint -> artifact: TorchScript in each precision, tokenizer, manifest with golden probes.

python -m tools.quantize --model csarron/bert-base-uncased-squad-v1 --calibration squad --output build/bert-base
"""

import argparse
import logging
import platform
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from container import cpu
from container.precision import PRECISIONS, Precision
from model_loader import artifact, manifest
from model_loader.manifest import MadeWith, Manifest, ProbeResult
from model_loader.model_file import Engine, InputName, ModelFile
from serve.features import Featurizer, WindowLimits
from tools import golden
from tools.errors import ToolError, run
from tools.evaluate import MAX_QUESTION_LEN, parse_precisions
from tools.local_model import Cutter
from tools.measure import TIMED_TOKENS, Built, checkpoint_forward, measure, tensors
from tools.squad import Example, read_examples

if TYPE_CHECKING:
    from tools.checkpoint import Checkpoint

MIN_CALIBRATION_WINDOWS = 20  # fewer do not show the activations' range
DEFAULT_PRECISIONS = "int8,fp32"


@dataclass(frozen=True)
class Options:
    """The command line."""

    model: str
    calibration: str
    evaluation: str | None
    output: Path
    precisions: tuple[Precision, ...]
    fp32_engine: Literal["ipex", "torch"]
    steps: int
    max_seq_len: int
    doc_stride: int


def main() -> None:
    """Check what can be checked at once, build beside the output, rename."""
    options = _parse_arguments()
    _check_output(options.output)
    examples = read_examples(options.calibration)
    if len(examples) < MIN_CALIBRATION_WINDOWS:
        raise ToolError(
            f"{options.calibration} has {len(examples)} examples; "
            f"calibration needs at least {MIN_CALIBRATION_WINDOWS}, better {options.steps}"
        )
    held_out = read_examples(options.evaluation) if options.evaluation else []
    console = Console()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix=f".{options.output.name}-", dir=options.output.parent))
    try:
        with Progress(console=console, transient=True) as progress:
            made, table = _Build(options, build, progress).run(examples, held_out)
        manifest.write(build, made)
        build.chmod(0o755)  # mkdtemp's own mode would keep a server without privileges out
        _replace(build, options.output)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    console.print(table)
    console.print(f"wrote {options.output}")


def _parse_arguments() -> Options:
    parser = argparse.ArgumentParser(
        prog="quantize", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True, help="checkpoint: a directory, or an id on the Hugging Face hub")
    add("--calibration", required=True, help="file in SQuAD's format, or `squad` (hub); never what you test on")
    add("--evaluation", help="held-out file in SQuAD's format: measure exact match and F1 into the manifest")
    add("--output", required=True, type=Path, help="directory to write; an artifact there is replaced")
    add("--precisions", default=DEFAULT_PRECISIONS, help=f"of int8,bf16,fp32 (default: {DEFAULT_PRECISIONS})")
    add(
        "--fp32-engine",
        choices=("ipex", "torch"),
        default="ipex",
        help="ipex: fastest (default); torch: no IPEX needed",
    )
    add("--steps", type=int, default=100, help="calibration windows (default: 100)")
    add("--max-seq-len", type=int, default=384, help="tokens of a window (default: 384)")
    add("--doc-stride", type=int, default=128, help="overlap of two windows, tokens (default: 128)")
    given = vars(parser.parse_args())
    if given["steps"] < MIN_CALIBRATION_WINDOWS:
        parser.error(f"--steps must be at least {MIN_CALIBRATION_WINDOWS}")
    if not 0 <= given["doc_stride"] < given["max_seq_len"] - MAX_QUESTION_LEN - 3:
        parser.error(f"--doc-stride must leave room for a question of {MAX_QUESTION_LEN} tokens in --max-seq-len")
    precisions = parse_precisions(given.pop("precisions"))
    return Options(precisions=precisions or PRECISIONS, **given)


def _check_output(output: Path) -> None:
    """See that the output can be written, and replaces nothing but an artifact.

    Raises: ToolError.
    """
    if output.exists() and not output.is_dir():
        raise ToolError(f"--output {output} is a file; name a directory")
    if output.is_dir() and any(output.iterdir()) and not (output / manifest.FILE_NAME).is_file():
        raise ToolError(f"--output {output} holds other things than an artifact; name another directory")
    existing = next(parent for parent in output.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise ToolError(f"--output {output} cannot be written: {error.strerror}") from None


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

    def run(self, examples: Sequence[Example], held_out: Sequence[Example]) -> tuple[Manifest, Table]:
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
        windows = _calibration_windows(cutter, examples, checkpoint.inputs, options.steps)
        probed = golden.choose_examples(cutter, examples)
        reference = golden.results(cutter, probed, checkpoint_forward(checkpoint))

        built: dict[Precision, Built] = {}
        for precision in options.precisions:
            file, recipe = self._export(checkpoint, precision, windows)
            self._show(f"{precision}: load again and measure")
            built[precision] = measure(file, recipe, cutter, (probed, reference, held_out))
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
            probes=golden.probes(cutter, probed, {**results, "FP32": reference}),
        )
        return made, _table(made, built, reference)

    def _export(
        self, checkpoint: "Checkpoint", precision: Precision, windows: Sequence[Any]
    ) -> tuple[ModelFile, dict[str, Any]]:
        """Write the file of one precision."""
        from tools import export

        path = self._directory / artifact.SAMPLE_FILES[precision]
        engine: Engine = "ipex-torchscript"
        recipe: dict[str, Any] = {"method": "none"}
        if precision == "INT8":
            self._show("INT8: calibrate, trace", total=len(windows))
            recipe = export.export_int8(checkpoint, windows, path, lambda: self._progress.advance(self._task))
        else:
            self._show(f"{precision}: trace")
            if precision == "BF16":
                export.export_bf16(checkpoint, windows[0], path)
            elif self._options.fp32_engine == "ipex":
                export.export_fp32(checkpoint, windows[0], path)
            else:
                engine = "torchscript"
                export.export_portable_fp32(checkpoint, windows[0], path)
        return ModelFile(precision, str(path), engine, checkpoint.inputs, fused_groups=None), recipe

    def _show(self, description: str, total: float | None = None) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total)


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


def _table(made: Manifest, built: dict[Precision, Built], reference: Sequence[ProbeResult]) -> Table:
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
