"""A batch transform in the container needs little memory, however many lines it has."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.image.engine import Container

MEGABYTES = 100 if os.environ.get("SOAK") else 5
# The context is mostly white space, which has no tokens: the number of bytes matters here, not that of windows.
LINE = (
    json.dumps({"question": "Who built it?", "context": "Zoë Müller built the lighthouse. " + "\t" * 8000}).encode()
    + b"\n"
)
MAX_GROWTH_BYTES = 150 * 2**20  # compared with an idle server


def test_a_large_batch_needs_little_memory(demo_dir: Path) -> None:
    options = ("--read-only", "--tmpfs", "/tmp", "--env", "SAGEMAKER_BATCH=True", "--env", "MAX_PAYLOAD_MB=1")
    with Container(*options, "--volume", f"{demo_dir}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        container.wait_until_warm()
        parameters = httpx.get(f"{container.url}/execution-parameters").json()
        assert parameters["BatchStrategy"] == "MULTI_RECORD"
        count = MEGABYTES * 2**20 // len(LINE)
        idle = container.memory_bytes()
        used, done = [idle], threading.Event()

        def watch() -> None:
            while not done.wait(0.3):
                used.append(container.memory_bytes())

        def body() -> Iterator[bytes]:
            for number in range(count):
                yield b"{broken\n" if number % 10 == 3 else LINE

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
            response = httpx.post(f"{container.url}/invocations", content=body(), headers=headers, timeout=3600)
        finally:
            done.set()
            watching.join()
        assert response.status_code == 200
        answers = [json.loads(line) for line in response.content.splitlines()]
        assert len(answers) == count
        assert all(("error" in each) == (number % 10 == 3) for number, each in enumerate(answers))
        assert {each["answer"] for each in answers if "answer" in each} == {"Zoë Müller"}
        print(f"idle {idle / 2**20:.0f} MiB, at most {max(used) / 2**20:.0f} MiB")
        assert max(used) - idle <= MAX_GROWTH_BYTES
