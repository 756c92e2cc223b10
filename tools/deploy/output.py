"""What the commands print: tables that cut no value, and the lines after an `up`."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tools.deploy.deployment import Deployment
from tools.deploy.steps.serving.first_question import QUESTION

CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)
_NO_LIMIT = 10_000  # characters; in a file or a pipe, each row is one line


def print_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table. In a terminal, long values are folded; elsewhere, the table has the width that it needs."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _NO_LIMIT).print(table)


def question_command(deployment: Deployment) -> str:
    """Return a command that asks the endpoint a question, as it can be typed."""
    config = deployment.config
    kind = " --async" if config.mode == "async" else ""
    if config.mode == "multi-model":
        kind = f" --target-model {deployment.target_model}"
    return (
        f"python -m tools.invoke --endpoint {config.name} --region {config.region}{kind} "
        f"--question '{QUESTION['question']}' --context '{QUESTION['context']}'"
    )
