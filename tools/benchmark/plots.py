"""Plots of a benchmark's report: latency against load, and the distribution of the latencies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tools.fingerprint import summary_line

COLORS = {"FP32": "#c44e52", "BF16": "#8172b3", "INT8": "#1f77b4"}
JsonRow = Mapping[str, Any]  # a tools.benchmark.report.Row in the JSON report


def draw(report: Mapping[str, Any], directory: Path) -> list[Path]:
    """Draw the plots that the report has figures for, as PNG files, and return their paths.

    Args:
        report: the content of the JSON report; nothing else is needed to draw the plots again.
        directory: where the files go.
    """
    rows: list[JsonRow] = report["rows"]
    open_rows = [row for row in rows if row["offered_per_second"] is not None]
    closed_rows = [row for row in rows if row["clients"] is not None]
    about = (
        f"{summary_line(report['fingerprint'])}; {report['data']['questions']} questions of {report['data']['name']}"
    )
    written = []
    if open_rows:
        written.append(_save(_latency_against_load(open_rows, closed_rows, about), directory / "latency_by_load.png"))
    if closed_rows:
        written.append(_save(_distribution(closed_rows, about), directory / "latency_distribution.png"))
    return written


def _latency_against_load(open_rows: Sequence[JsonRow], closed_rows: Sequence[JsonRow], about: str) -> Figure:
    figure, axes = _canvas("Latency against load (Poisson arrivals)", about)
    for precision in _precisions(open_rows):
        points = sorted(_rows_of(precision, open_rows), key=lambda row: float(row["offered_per_second"]))
        offered = [row["offered_per_second"] for row in points]
        for name, style in (("P50", "-"), ("P99", "--")):
            latencies = [row[f"{name.lower()}_ms"] for row in points]
            axes.plot(offered, latencies, style, color=COLORS[precision], marker="o", label=f"{precision} {name}")
        _mark_saturation(axes, precision, _rows_of(precision, closed_rows))
    axes.set(xlabel="offered load, queries per second", ylabel="latency from the intended arrival, ms", yscale="log")
    axes.set_xlim(left=0)
    _plain_numbers(axes.yaxis)
    figure.legend(loc="outside lower center", ncols=len(_precisions(open_rows)), frameon=False)
    return figure


def _mark_saturation(axes: Axes, precision: str, closed_rows: Sequence[JsonRow]) -> None:
    if closed_rows:
        rate = max(row["queries_per_second"] for row in closed_rows)
        axes.axvline(rate, color=COLORS[precision], linestyle=":", label=f"{precision} saturated: {rate:.0f}/s")


def _distribution(closed_rows: Sequence[JsonRow], about: str) -> Figure:
    figure, axes = _canvas("Distribution of latencies (closed loop)", about)
    all_clients = [row["clients"] for row in closed_rows]
    for clients, style in {min(all_clients): "-", max(all_clients): "--"}.items():
        for row in closed_rows:
            if row["clients"] == clients:
                latencies = sorted(row["latencies_ms"])
                shares = [100 * (rank + 1) / len(latencies) for rank in range(len(latencies))]
                label, color = f"{row['precision']}, {row['load']}", COLORS[row["precision"]]
                axes.step(latencies, shares, style, where="post", color=color, label=label)
    axes.set(xlabel="latency, ms", ylabel="requests answered within this time, %", xscale="log", ylim=(0, 101))
    _plain_numbers(axes.xaxis)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _canvas(title: str, about: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)  # draws without a window system and without pyplot's global state
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, pad=20)
    axes.text(0, 1.02, about, transform=axes.transAxes, fontsize=8, color="0.35")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _plain_numbers(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade with plain numbers, such as 20 and 50, instead of powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _precisions(rows: Sequence[JsonRow]) -> list[str]:
    return list(dict.fromkeys(row["precision"] for row in rows))


def _rows_of(precision: str, rows: Sequence[JsonRow]) -> list[JsonRow]:
    return [row for row in rows if row["precision"] == precision]


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path)
    return path
