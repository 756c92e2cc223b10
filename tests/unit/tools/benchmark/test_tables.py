"""The tables of benchmark, as they are printed."""

from rich.console import Console

from tests.unit.tools.benchmark.measurements import ARTICLE_PRICE, measured, with_failures
from tools.benchmark.report import rows
from tools.benchmark.rounds import ClosedLoop, OpenLoop
from tools.benchmark.tables import closed_loop_table, open_loop_table


def text(table: object) -> str:
    """Return a table as it is printed on a terminal of 80 columns."""
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_an_unknown_figure_is_a_dash() -> None:
    elsewhere = rows([measured("INT8", 50, 20, 40, under=ClosedLoop(1))], ARTICLE_PRICE)
    cells = text(closed_loop_table("1 client", elsewhere)).splitlines()[-1].split()
    assert cells == ["INT8", "30.0", "38.0", "39.8", "50.0", "2.27", "1.00", "0", "0", "-", "0.00"]
    at_a_rate = rows([measured("INT8", 50, 20, 40, under=OpenLoop(7.0))], ARTICLE_PRICE)
    assert text(open_loop_table(at_a_rate)).splitlines()[-1].split()[:3] == ["INT8", "7.0", "-"]


def test_refusals_and_errors_have_columns_of_their_own() -> None:
    (row,) = rows([with_failures()], ARTICLE_PRICE)
    assert text(closed_loop_table("2 clients", [row])).splitlines()[-1].split()[-4:] == ["2", "3", "1.50", "0.50"]
