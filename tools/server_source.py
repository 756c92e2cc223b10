"""Answers of a running server of this project, over HTTP."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
from rich.console import Console

from container.precision import PRECISIONS, Precision
from serve.spans import SpanRules
from tools.answer_source import remote_answers
from tools.errors import ToolError
from tools.squad import Example

TIMEOUT_SECONDS = 120
WARM_UP_SECONDS = 600  # a large model's whole ladder on one core
POLL_SECONDS = 0.5
ATTEMPTS = 20  # of a request that a busy server refuses


class ServerSource:
    """An AnswerSource."""

    def __init__(self, url: str, wanted: tuple[Precision, ...] | None) -> None:
        """Wait until the server is warm: a window on a cold ladder is padded further, and rounds differently.

        Raises: ToolError.
        """
        self._url = url.rstrip("/")
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
        return {"url": self._url, "sha256": sha256, **about}

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """A few requests at once, which are answered in order.

        Raises: ToolError.
        """
        with httpx.Client(base_url=self._url, timeout=TIMEOUT_SECONDS) as client:
            yield from remote_answers(lambda body: self._ask(client, body), precision, examples, rules)

    def _ask(self, client: httpx.Client, body: bytes) -> bytes:
        for _ in range(ATTEMPTS):
            try:
                response = client.post("/invocations", content=body, headers={"Content-Type": "application/json"})
            except httpx.HTTPError as error:
                raise self._unreachable(error) from None
            if response.status_code == httpx.codes.OK:
                return response.content
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        raise ToolError(f"{self._url} answers {response.status_code}: {response.text}")

    def _warm_info(self) -> dict[str, Any]:
        deadline = time.monotonic() + WARM_UP_SECONDS
        while time.monotonic() < deadline:
            try:
                info: dict[str, Any] = httpx.get(f"{self._url}/info", timeout=TIMEOUT_SECONDS).raise_for_status().json()
                if info["is_warm"]:
                    return info
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unreachable(error) from None
            except (ValueError, KeyError, TypeError):
                raise ToolError(f"{self._url}/info is not this project's: is another server running there?") from None
            time.sleep(POLL_SECONDS)
        raise ToolError(f"{self._url} did not warm its ladder within {WARM_UP_SECONDS} s")

    def _unreachable(self, error: Exception) -> ToolError:
        reason = str(error).partition("\n")[0]  # httpx's own second line is a link
        return ToolError(f"cannot ask {self._url}: {reason}. Is the server running?")
