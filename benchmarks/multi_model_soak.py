"""Memory and answers of a multi-model endpoint while models come and go.

Run from the repository root: python benchmarks/multi_model_soak.py --loads 200. One model stays and is asked all
the time; another is loaded, asked, and unloaded again and again. Prints one JSON object; exits 1 where memory after the
last unload is more than 5 % from that after the tenth, or an answer fails. Memory is the proportional set size of the
server's process tree.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.progress import track  # noqa: E402

from tools.local_server import LocalServer  # noqa: E402
from tools.process_tree import ProcessTree  # noqa: E402

BODY = {"question": "Who built the lighthouse?", "context": "The lighthouse was built in 1871 by Zoë Müller."}
SETTLED = 10  # loads until memory is compared
LIMIT = 0.05
PAUSE_SECONDS = 0.2  # between two questions to the model that stays


class Asking:
    """A thread that asks the model that stays, and keeps the times in milliseconds: alone, and while another loads."""

    def __init__(self, url: str) -> None:
        self.is_loading = False
        self.ms: dict[bool, list[float]] = {True: [], False: []}
        self._url = f"{url}/models/stays/invoke"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._done.wait(PAUSE_SECONDS):
                loading, start = self.is_loading, time.perf_counter()
                client.post(self._url, json=BODY).raise_for_status()
                self.ms[loading].append((time.perf_counter() - start) * 1000)


def soak(client: httpx.Client, tree: ProcessTree, model_dir: Path, loads: int) -> dict[str, object]:
    load(client, "stays", model_dir)
    memory, seconds = [], {"load": [0.0], "unload": [0.0]}
    with Asking(str(client.base_url).rstrip("/")) as asking:
        for number in track(range(loads), description="loads"):
            name, start = f"comes-{number}", time.perf_counter()
            asking.is_loading = True
            load(client, name, model_dir)
            seconds["load"].append(time.perf_counter() - start)
            client.post(f"/models/{name}/invoke", json=BODY).raise_for_status()
            asking.is_loading, start = False, time.perf_counter()
            client.delete(f"/models/{name}").raise_for_status()
            seconds["unload"].append(time.perf_counter() - start)
            memory.append(tree.memory_bytes() / 2**20)
    settled = memory[min(SETTLED, loads) - 1]
    return {
        "loads": loads,
        "mib_after_first": round(memory[0], 1),
        f"mib_after_{min(SETTLED, loads)}": round(settled, 1),
        "mib_after_last": round(memory[-1], 1),
        "change": round(memory[-1] / settled - 1, 4),
        "highest_change": round(max(memory[min(SETTLED, loads) - 1 :]) / settled - 1, 4),
        **{f"{what}_seconds_median": round(statistics.median(each[1:]), 2) for what, each in seconds.items()},
        "asked": len(asking.ms[True]) + len(asking.ms[False]),
        "ms_median_while_loading": round(statistics.median(asking.ms[True]), 1),
        "ms_max_while_loading": round(max(asking.ms[True]), 1),
    }


def load(client: httpx.Client, name: str, model_dir: Path) -> None:
    client.post("/models", json={"model_name": name, "url": str(model_dir.absolute())}).raise_for_status()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=ROOT / "build" / "demo")
    parser.add_argument("--loads", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with (
            LocalServer(Path(directory), {"SAGEMAKER_MULTI_MODEL": "true"}, log) as server,
            httpx.Client(base_url=server.url, timeout=360) as client,
        ):
            tree = ProcessTree(psutil.Process(server.process.pid))
            report = soak(client, tree, arguments.model_dir, arguments.loads)
    print(json.dumps(report))
    return int(abs(float(str(report["change"]))) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
