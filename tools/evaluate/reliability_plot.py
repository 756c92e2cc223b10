"""The reliability plot: how often answers of a given score are right."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from container.precision import Precision
from tools.errors import ToolError
from tools.squad.reliability import Reliability

SIZE_INCHES = (5.5, 5.5)
DOTS_PER_INCH = 120
COLORS = {"FP32": "#c44e52", "BF16": "#8172b3", "INT8": "#1f77b4"}


def draw(path: Path, title: str, found: Mapping[Precision, Reliability]) -> None:
    """Write the plot as a PNG file. A point is a tenth of the answers; on the diagonal, scores are what they say.

    Raises: ToolError.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="#999999", linewidth=1, linestyle="--")
    for precision, one in found.items():
        axes.plot(
            [part.score for part in one.bins],
            [part.right for part in one.bins],
            marker="o",
            color=COLORS[precision],
            label=f"{precision}, calibration error {one.expected_calibration_error:.3f}",
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("mean score of the answers")
    axes.set_ylabel("share of right answers (exact match)")
    axes.set_title(title, fontsize=10)
    axes.legend(loc="upper left")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise ToolError(f"cannot write {path}: {error.strerror}. Name another file with --plot") from None
