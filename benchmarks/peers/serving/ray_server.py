"""Run Ray on this machine alone, and Ray Serve's application on it, until SIGTERM: ray_server PORT.

Settings: WORKERS (replicas), THREADS (of a replica, and the cores that it reserves), ONGOING (requests that a replica
holds at once), ADAPTER (true: AWS's second HTTP server in front), and Ray's own variables. Ray's files and logs are in
build/peers/ray.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import ray
import uvicorn
from ray import serve

from benchmarks.peers.serving import sagemaker_adapter
from benchmarks.peers.serving.ray_app import QuestionAnswering

FILES = Path("build/peers/ray")
LOCALHOST = "127.0.0.1"


def main() -> None:
    """Start Ray and the application, and end both at SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    # The path of a Unix socket has at most 107 bytes, and Ray makes sockets deep below its directory.
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        link = Path(short) / "files"
        link.symlink_to(FILES.absolute())
        try:
            _run(int(sys.argv[1]), link)
        finally:
            ray.shutdown()


def _run(port: int, files: Path) -> None:
    if os.environ["ADAPTER"] == "true":
        behind = _free_port()
        _serve(behind, files)
        app = sagemaker_adapter.create_app(f"http://{LOCALHOST}:{behind}")
        uvicorn.run(app, host=LOCALHOST, port=port, log_level="warning", access_log=False)
    else:
        _serve(port, files)
        signal.pause()


def _serve(port: int, files: Path) -> None:
    replicas, threads = int(os.environ["WORKERS"]), int(os.environ["THREADS"])
    ray.init("local", num_cpus=replicas * threads, include_dashboard=False, _temp_dir=str(files))
    serve.start(http_options={"host": LOCALHOST, "port": port})
    deployment = QuestionAnswering.options(
        num_replicas=replicas,
        max_ongoing_requests=int(os.environ["ONGOING"]),
        ray_actor_options={"num_cpus": threads},
    )
    serve.run(deployment.bind())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
