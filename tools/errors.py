"""What a tool tells its user when it cannot go on, and how it ends then."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape


class ToolError(Exception):
    """The tool cannot do what was asked; the message says why and what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a tool: one line and exit code 1 for a ToolError, 130 for Ctrl-C."""
    try:
        main()
    except ToolError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[red]error:[/red] {escape(str(error))}", markup=True
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
