"""The zygote: loads every model once, runs no pass, starts no thread, and forks each lane, replacements too.

So lanes share the weights as the file held them, and a new lane costs no load. Started by serve/zygote_client.py as
`python -m model_loader.zygote FD` with one end of a socket pair; it ends when the other end closes.
"""

import gc
import json
import os
import socket
import sys
import time
import traceback

import torch

from container.precision import Precision
from model_loader import lane, torchscript, wire
from model_loader.errors import ModelLoadError
from model_loader.model_file import ModelFile
from model_loader.torchscript import QAModel
from model_loader.wire import Kind


def main(control_fd: int) -> None:
    """Serve the control socket until it closes, then end."""
    lane.ignore_stop_signals()
    torch.set_num_threads(1)  # IPEX packs FP32 weights while loading: an OpenMP team would not survive the fork
    control = socket.socket(fileno=control_fd)
    control.settimeout(None)
    models: dict[Precision, QAModel] = {}
    living: set[int] = set()
    while message := wire.receive(control):
        kind, body, fds = message
        _reap(living)
        if kind is Kind.LOAD:
            control.sendall(_load(body, models))
        elif kind is Kind.FORK:
            pid = _fork(control, fds[0], models, set(json.loads(body)["cores"]))
            living.add(pid)
            control.sendall(wire.json_frame(Kind.FORKED, pid=pid))
        elif kind is Kind.KILL and json.loads(body)["pid"] in living:
            os.kill(json.loads(body)["pid"], 9)


def _load(body: bytes, models: dict[Precision, QAModel]) -> bytes:
    start = time.perf_counter()
    try:
        for fields in json.loads(body)["files"]:
            file = ModelFile(**{**fields, "inputs": tuple(fields["inputs"])})
            models[file.precision] = torchscript.load(file)
    except ModelLoadError as error:
        return wire.json_frame(Kind.LOADED, error=str(error), failure=type(error).__name__)
    gc.freeze()  # no collection in a lane touches, and so copies, the pages that it shares
    return wire.json_frame(Kind.LOADED, load_ms=(time.perf_counter() - start) * 1000)


def _fork(control: socket.socket, lane_fd: int, models: dict[Precision, QAModel], cores: set[int]) -> int:
    """Fork one lane onto the socket that came with the message; gives its process id."""
    pid = os.fork()
    if pid:
        os.close(lane_fd)
        return pid
    status = 0
    try:
        control.close()
        lane.run_lane(socket.socket(fileno=lane_fd), models, cores)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the HTTP process is gone, so is the reason to run
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status)  # not the zygote's own way out


def _reap(living: set[int]) -> None:
    """Take the exit statuses of ended lanes, so that a process id in `living` is surely a lane of ours."""
    while living:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        living.discard(pid)


if __name__ == "__main__":
    main(int(sys.argv[1]))
