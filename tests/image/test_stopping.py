"""After SIGTERM, the container answers all accepted requests and ends with exit code 0."""

import asyncio
import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.image.engine import Container, engine
from tests.waiting import wait_until

TIMES = 50 if os.environ.get("SOAK") else 5
SURELY_READ_SECONDS = 1.0  # the server has read a request that was sent this long before the signal
BODY = json.dumps(
    {"question": "Who built the lighthouse?", "context": "Zoë Müller built the lighthouse. " * 60}
).encode()
REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


async def _ask(port: int) -> tuple[float, bytes]:
    """Send a request. Return when it was sent and the status line of its response, which is empty if there is none."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await writer.drain()
    except OSError:
        return time.monotonic(), b""
    sent_at = time.monotonic()
    try:
        response = await reader.read()
    except OSError:
        response = b""
    writer.close()
    complete = response.endswith(b"}")
    return sent_at, response.split(b"\r\n")[0] if complete else b""


async def _load_and_stop(container: Container, seed: int) -> tuple[float, list[tuple[float, bytes]]]:
    """Send requests from eight clients without pause, and SIGTERM at a random time.

    Return the time of the signal and, for each request, what _ask returned.
    """
    seen: list[tuple[float, bytes]] = []
    stopped_at: float | None = None

    async def client() -> None:
        while stopped_at is None or time.monotonic() < stopped_at + 1:
            seen.append(await _ask(container.port))

    clients = [asyncio.create_task(client()) for _ in range(8)]
    await asyncio.sleep(random.Random(seed).uniform(1.5, 3))
    signalled_at = time.monotonic()
    await asyncio.to_thread(engine, "kill", "--signal", "TERM", container.name)
    stopped_at = time.monotonic()
    await asyncio.gather(*clients)
    return signalled_at, seen


@pytest.mark.parametrize("seed", range(TIMES))
def test_no_accepted_request_is_lost(seed: int, demo_dir: Path) -> None:
    with Container("--volume", f"{demo_dir}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        signalled_at, seen = asyncio.run(_load_and_stop(container, seed))
        accepted = [first for sent_at, first in seen if sent_at < signalled_at - SURELY_READ_SECONDS]
        assert len(accepted) >= 8
        assert set(accepted) <= {b"HTTP/1.1 200 OK", b"HTTP/1.1 429 Too Many Requests"}
        assert b"HTTP/1.1 200 OK" in accepted
        assert container.exit_code() == 0


def test_sigterm_ends_a_container_that_is_not_ready_yet(demo_dir: Path) -> None:
    with Container("--volume", f"{demo_dir}:/opt/ml/model:ro") as container:
        is_listening = "the port is open, which is before the model is loaded"
        wait_until(is_listening, lambda: any(text.startswith("Listening") for text in container.messages()))
        engine("kill", "--signal", "TERM", container.name)
        assert container.exit_code() == 0
