"""The error that every command reports to its user, and how a command ends."""

import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper

from rich.console import Console
from rich.markup import escape

from model_loader.errors import ModelLoadError
from serve.errors import RequestError

EXIT_CTRL_C, EXIT_SIGTERM = 128 + signal.SIGINT, 128 + signal.SIGTERM  # as a shell reports these signals


class ToolError(Exception):
    """The command cannot do what was asked. The message says why, and what to do."""


class RequestRefused(ToolError):
    """A server or an endpoint has refused a request with this status. `reason` is its own message."""

    def __init__(self, name: str, status: int, reason: str) -> None:
        super().__init__(f"{name} answers {status}: {reason}")
        self.status = status
        self.reason = reason


def run(main: Callable[[], None]) -> None:
    """Run a command's main function and convert its errors into exit codes.

    A ToolError, and an error of the server's code that no command has converted, become one line on the standard error
    stream and exit code 1. Ctrl-C becomes exit code 130. SIGTERM raises SystemExit with exit code 143, so context
    managers still stop the servers that the command has started.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a character shows another one
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_SIGTERM))
    try:
        main()
    except (ToolError, RequestError, ModelLoadError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[red]error:[/red] {escape(str(error))}", markup=True
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(EXIT_CTRL_C)
