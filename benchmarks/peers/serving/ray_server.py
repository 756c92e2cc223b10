"""Run Ray on this machine alone, and Ray Serve's application on it, until SIGTERM: ray_server PORT.

Settings: WORKERS (replicas), THREADS (of a replica, and the cores that it reserves), ONGOING (requests that a replica
holds at once), ADAPTER (true: AWS's second HTTP server in front), FILES (a directory for Ray's files and logs, which is
emptied first), and Ray's own variables. When all replicas are warm, the empty file `ready` appears in FILES.
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

LOCALHOST = "127.0.0.1"


def main() -> None:
    """Start Ray and the application, and end both at SIGTERM."""
    files = Path(os.environ["FILES"])
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    # The path of a Unix socket has at most 107 bytes, and Ray makes sockets deep below its directory.
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        link = Path(short) / "files"
        link.symlink_to(files)
        try:
            _run(int(sys.argv[1]), link)
        finally:
            ray.shutdown()


def _run(port: int, files: Path) -> None:
    has_adapter = os.environ["ADAPTER"] == "true"
    behind = _free_port() if has_adapter else port
    _serve(behind, files)
    # Ray's own handler would first wait until all requests are answered.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if has_adapter:
        app = sagemaker_adapter.create_app(f"http://{LOCALHOST}:{behind}")
        uvicorn.run(app, host=LOCALHOST, port=port, log_level="warning", access_log=False)
    else:
        signal.pause()


def _serve(port: int, files: Path) -> None:
    replicas, threads = int(os.environ["WORKERS"]), int(os.environ["THREADS"])
    ray.init("local", num_cpus=replicas * threads, include_dashboard=False, _temp_dir=str(files))
    serve.start(http_options={"host": LOCALHOST, "port": port})
    deployment = QuestionAnswering.options(  # type: ignore[attr-defined]  # ray is not in the project's environment
        num_replicas=replicas,
        max_ongoing_requests=int(os.environ["ONGOING"]),
        ray_actor_options={"num_cpus": threads},
    )
    serve.run(deployment.bind())  # It returns when all replicas are warm. The first ones answer earlier.
    (files / "ready").touch()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
