"""What quantize shows on the terminal: the current step beside a progress bar, and the tables of its results."""

from collections.abc import Callable, Mapping, Sequence

from rich.progress import Progress
from rich.table import Table

from container.precision import Precision
from model_loader.manifest import GoldenResult, Manifest
from tools.quantize.golden_examples import count_same_answers
from tools.quantize.measure import TIMED_TOKENS, MeasuredFile
from tools.quantize.recipes import Recipe, TriedRecipe


class StepDisplay:
    """Show one step at a time beside a progress bar, and print tables above the bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def show_step(self, description: str, parts: float | None = None) -> Callable[[], None]:
        """Replace the step that is shown; return a function to call after each part of the new step."""
        for shown in self._progress.task_ids:
            self._progress.remove_task(shown)
        task = self._progress.add_task(description, total=parts)
        return lambda: self._progress.advance(task)

    def print_line(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._progress.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def print_table(self, table: Table) -> None:
        """Print a table above the progress bar."""
        self._progress.console.print(table)


def recipe_table(tried: Sequence[TriedRecipe], chosen: Recipe | None, examples: int) -> Table:
    """Return a row for each recipe that was tried, in that order, with a mark at the chosen one."""
    table = Table(title=f"recipes, on {examples} held-back calibration examples", title_justify="left")
    for column in ("recipe", "relative compute", "logit rms", "expected F1 lost"):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for one in tried:
        mark = " <-" if one.recipe == chosen else ""
        table.add_row(
            one.recipe.name + mark, f"{one.relative_compute:.2f}", f"{one.rms_difference:.4f}", f"{one.f1_drop:+.2f}"
        )
    return table


def artifact_table(made: Manifest, files: Mapping[Precision, MeasuredFile], reference: Sequence[GoldenResult]) -> Table:
    """Return a row for each precision of the artifact. reference: the golden results of the checkpoint itself."""
    table = Table(title=f"{made.source_model} on {made.made_with.cpu}, {made.made_with.isa}")
    for column in ("", "MB", *(f"ms at {t}" for t in TIMED_TOKENS), "logit diff.", "same answers", "EM / F1"):
        table.add_column(column, justify="right")
    for precision, file in files.items():
        scores = file.entry.accuracy
        table.add_row(
            precision,
            f"{sum(part.size_bytes for part in file.entry.files) / 1e6:.0f}",
            *(f"{file.median_ms[t]:.1f}" if t in file.median_ms else "-" for t in TIMED_TOKENS),
            f"{file.largest_difference:.4f}",
            f"{count_same_answers(file.golden_results, reference)} of {len(reference)}",
            f"{scores['exact_match']:.1f} / {scores['f1']:.1f}" if scores else "-",
        )
    return table
