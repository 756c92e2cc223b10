"""Measure the memory and the answers of a multi-model endpoint while models are loaded and unloaded.

    python -m benchmarks.memory.multi_model_soak --loads 200

One model stays loaded and gets a question every 0.2 seconds. Another model is loaded, asked and unloaded, again and
again. Memory is the proportional set size of the server's process tree. The output is one JSON object. The exit code is
1 if memory after the last unload differs by more than 5 % from memory after the tenth, or if a request fails.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil
from rich.progress import track

from benchmarks.arguments import DEMO, benchmark_parser
from tools.errors import ToolError, run
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree

BODY = {"question": "Who built the lighthouse?", "context": "The lighthouse was built in 1871 by Zoë Müller."}
SETTLED_AFTER = 10  # loads; the memory of later loads is compared with this one's
LIMIT = 0.05
PAUSE_SECONDS = 0.2  # between two questions to the model that stays


class AskingThread:
    """A thread that asks the model that stays, and measures each answer. Use it as a context manager.

    Attributes:
        is_loading: set by the caller while another model is being loaded and asked.
        answers: number of answers.
        loading_ms: latencies of the questions that were sent while is_loading was set.
    """

    def __init__(self, url: str) -> None:
        self.is_loading = False
        self.answers = 0
        self.loading_ms: list[float] = []
        self._url = url
        self._error: httpx.HTTPError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_done)

    def __enter__(self) -> "AskingThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._error:
            raise ToolError(f"the model that stays did not answer: {self._error!r}")

    def _ask_until_done(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._done.wait(PAUSE_SECONDS):
                try:
                    self._ask(client)
                except httpx.HTTPError as error:  # It would be lost in this thread; __exit__ reports it.
                    self._error = error
                    return

    def _ask(self, client: httpx.Client) -> None:
        is_loading, start = self.is_loading, time.perf_counter()
        client.post(self._url, json=BODY).raise_for_status()
        self.answers += 1
        if is_loading:
            self.loading_ms.append((time.perf_counter() - start) * 1000)


def main() -> None:
    """Load and unload a model many times, print the figures, and exit with the verdict."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    parser.add_argument("--loads", type=int, default=200, help="number of loads and unloads (default: 200)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with LocalServer(Path(directory), {"SAGEMAKER_MULTI_MODEL": "true"}, log) as server:
            report = _soak(server, given.model_dir, given.loads)
    print(json.dumps(report))
    sys.exit(int(abs(report["change"]) > LIMIT))


def _soak(server: LocalServer, model_dir: Path, loads: int) -> dict[str, float]:
    tree = ProcessTree(psutil.Process(server.process.pid))
    memory_mib: list[float] = []
    load_seconds: list[float] = []
    unload_seconds: list[float] = []
    with httpx.Client(base_url=server.url, timeout=360) as client:
        _load(client, "stays", model_dir)
        with AskingThread(f"{server.url}/models/stays/invoke") as asking:
            for number in track(range(loads), description="loads"):
                name, start = f"comes-{number}", time.perf_counter()
                asking.is_loading = True
                _load(client, name, model_dir)
                load_seconds.append(time.perf_counter() - start)
                client.post(f"/models/{name}/invoke", json=BODY).raise_for_status()
                asking.is_loading, start = False, time.perf_counter()
                client.delete(f"/models/{name}").raise_for_status()
                unload_seconds.append(time.perf_counter() - start)
                memory_mib.append(tree.memory_bytes() / 2**20)
    settled_after = min(SETTLED_AFTER, loads)
    settled = memory_mib[settled_after - 1]
    return {
        "loads": loads,
        "mib_after_first": round(memory_mib[0], 1),
        f"mib_after_{settled_after}": round(settled, 1),
        "mib_after_last": round(memory_mib[-1], 1),
        "change": round(memory_mib[-1] / settled - 1, 4),
        "highest_change": round(max(memory_mib[settled_after - 1 :]) / settled - 1, 4),
        "load_seconds_median": round(statistics.median(load_seconds), 2),
        "unload_seconds_median": round(statistics.median(unload_seconds), 2),
        "answers_of_the_model_that_stays": asking.answers,
        "ms_median_while_loading": round(statistics.median(asking.loading_ms), 1),
        "ms_max_while_loading": round(max(asking.loading_ms), 1),
    }


def _load(client: httpx.Client, name: str, model_dir: Path) -> None:
    client.post("/models", json={"model_name": name, "url": str(model_dir.absolute())}).raise_for_status()


if __name__ == "__main__":
    run(main)
