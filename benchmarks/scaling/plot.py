"""The plot of the simulation: the rate and the price by the number of cores."""

from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.scaling.simulation import Costs, Outcome
from tools.remote.instance_prices import dollars_per_million

RATE, LIMIT, PRICE = "#1f77b4", "#c44e52", "#55a868"


def draw(rows: Mapping[int, Outcome], costs: Costs, dollars_per_core_hour: float, title: str) -> Figure:
    """Draw both curves, and the limit that one HTTP process sets."""
    figure = Figure(figsize=(10, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    rate_axes, price_axes = figure.subplots(1, 2)
    cores = list(rows)
    rates = [outcome.questions_per_second for outcome in rows.values()]
    rate_axes.plot(cores, rates, marker="o", color=RATE, label="simulated")
    rate_axes.plot(cores, [rates[0] / cores[0] * count for count in cores], ":", color=RATE, label="in proportion")
    rate_axes.axhline(
        1000 / costs.http, color=LIMIT, ls="--", label=f"limit of one HTTP process: {1000 / costs.http:.0f}/s"
    )
    rate_axes.set(xlabel="cores", ylabel="questions a second", xlim=(0, None), ylim=(0, 1.3 * max(rates)))
    rate_axes.legend(frameon=False)
    dollars = [
        dollars_per_million(dollars_per_core_hour * count, rate) for count, rate in zip(cores, rates, strict=True)
    ]
    price_axes.plot(cores, dollars, marker="o", color=PRICE)
    price_axes.set(xlabel="cores", ylabel="dollars for a million questions", xlim=(0, None), ylim=(0, None))
    return figure
