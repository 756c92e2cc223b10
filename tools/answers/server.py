"""Answers of a running server of this project, over HTTP."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from container.precision import PRECISIONS, Precision
from serve.qa.spans import SpanRules
from tools.answers.source import remote_answers
from tools.errors import ToolError
from tools.remote.client import ServerClient
from tools.squad.examples import Example

WARM_UP_SECONDS = 600  # a large model's whole ladder on one core
POLL_SECONDS = 0.5


class ServerSource:
    """An AnswerSource."""

    def __init__(self, url: str, wanted: tuple[Precision, ...] | None) -> None:
        """Wait until the server is warm: a window on a cold ladder is padded further, and rounds differently.

        Raises: ToolError.
        """
        self._server = ServerClient(url)
        with Console(stderr=True).status("the server warms its ladder"):
            self._info = self._warm_info()
        served = [precision for precision in PRECISIONS if precision in self._info["precisions"]]
        if missing := [precision for precision in wanted or () if precision not in served]:
            raise ToolError(f"the server has no {', '.join(missing)}: it serves {', '.join(served)}")
        self.precisions: Sequence[Precision] = wanted or served

    def info(self) -> Mapping[str, Any]:
        """The server's own, when it was warm."""
        return self._info

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Its address, the file that it serves and what runs it; None for a model without a manifest."""
        sha256 = self._info["precisions"][precision].get("sha256")
        if sha256 is None:
            return None
        about = {name: self._info[name] for name in ("version", "model", "cpu", "versions", "rungs")}
        return {"url": self._server.url, "sha256": sha256, **about}

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """A few requests at once, which are answered in order.

        Raises: ToolError.
        """
        yield from remote_answers(self._server, precision, examples, rules)

    def _warm_info(self) -> dict[str, Any]:
        deadline = time.monotonic() + WARM_UP_SECONDS
        while time.monotonic() < deadline:
            info = self._server.info()
            if info["is_warm"]:
                return info
            time.sleep(POLL_SECONDS)
        raise ToolError(f"{self._server.url} did not warm its ladder within {WARM_UP_SECONDS} s")
