"""Answers of a running server of this project, over HTTP."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from container.precision import PRECISIONS, Precision
from serve.qa.spans import SpanRules
from tools.answers.source import Reply, remote_answers
from tools.errors import ToolError
from tools.remote.client import ServerClient
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit

WARM_UP_SECONDS = 600  # enough for the whole ladder of a large model on one core
POLL_SECONDS = 0.5


class ServerSource:
    """A running server as an AnswerSource."""

    def __init__(
        self, url: str, wanted: tuple[Precision, ...] | None, question_limit: QuestionLimit | None = None
    ) -> None:
        """Wait until the server is warm. wanted: the precisions to answer in; None: all that are served.

        While the ladder is cold, the server pads windows to longer rungs, which changes the rounding of the logits.

        Raises: ToolError.
        """
        self.question_limit = question_limit or QuestionLimit()
        self._server = ServerClient(url)
        with Console(stderr=True).status("waiting until the server has warmed its ladder"):
            self._info = self._warm_info()
        served = [precision for precision in PRECISIONS if precision in self._info["precisions"]]
        if missing := [precision for precision in wanted or () if precision not in served]:
            raise ToolError(f"the server does not serve {', '.join(missing)}: it serves {', '.join(served)}")
        self.precisions: Sequence[Precision] = wanted or served

    def info(self) -> Mapping[str, Any]:
        """Return the server's /info as it was when the server became warm."""
        return self._info

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Return the server's address, the model file's hash and what runs it; None if the model has no manifest."""
        sha256 = self._info["precisions"][precision].get("sha256")
        if sha256 is None:
            return None
        about = {name: self._info[name] for name in ("version", "model", "cpu", "versions", "rungs")}
        return {"url": self._server.url, "sha256": sha256, **about}

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        """Yield the replies in the order of the examples. A few requests are sent at the same time.

        Raises: ToolError.
        """
        yield from remote_answers(self._server, precision, examples, rules, self.question_limit)

    def _warm_info(self) -> dict[str, Any]:
        deadline = time.monotonic() + WARM_UP_SECONDS
        while time.monotonic() < deadline:
            info = self._server.info()
            if info["is_warm"]:
                return info
            time.sleep(POLL_SECONDS)
        raise ToolError(f"{self._server.url} did not warm its ladder within {WARM_UP_SECONDS} s")
