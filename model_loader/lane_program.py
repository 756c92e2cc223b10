"""A lane that loads its models itself, because its engine's threads do not survive a fork.

The zygote forks the process of such a lane too, which then runs this program: `python -m model_loader.lane_program FD
ORDER`. FD is the lane's socket.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from model_loader import lane, wire
from model_loader.engines.load import load
from model_loader.model_file import ModelFile


def become(lane_fd: int, files: Sequence[ModelFile], order: dict[str, Any]) -> NoReturn:
    """Replace this process by a lane that loads these files. order: the body of the FORK frame."""
    os.set_inheritable(lane_fd, True)
    given = json.dumps({**order, "files": [asdict(file) for file in files]})
    os.execv(sys.executable, (sys.executable, "-m", __name__, str(lane_fd), given))


def main(lane_fd: int, order: dict[str, Any]) -> None:
    """Load the models for as many threads as the lane has cores, and answer frames until the socket closes."""
    sock = socket.socket(fileno=lane_fd)
    lane.settle(set(order["cores"]), order["niceness"])
    files = [wire.model_file(fields) for fields in order["files"]]
    lane.serve(sock, {file.precision: load(file, threads=len(order["cores"])) for file in files})


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the HTTP process is gone
        main(int(sys.argv[1]), json.loads(sys.argv[2]))
