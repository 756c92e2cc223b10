"""The zygote: it loads the models, warms them on one thread, and forks the lanes and their replacements.

A lane of one core inherits all that the zygote has: packed weights and compiled shapes, shared page by page
(docs/decisions/0006). Such a lane needs little memory of its own (docs/benchmarks.md), and is warm from its first
moment. The zygote must never start threads that take part in a pass, because threads do not survive a fork.

serve/lanes/zygote_client.py starts `python -m model_loader.zygote FD LIFELINE` with one end of a socket pair, and with
the reading end of a pipe to which nobody writes. The zygote ends when the other end of the socket pair closes. When the
writing end of the pipe closes, the kernel kills the zygote and all lanes.
"""

import contextlib
import gc
import json
import os
import socket
import sys
import time
import traceback
from typing import Any

from container import lifeline, memory
from container.precision import Precision
from model_loader import lane, lane_program, wire
from model_loader.engines.load import load
from model_loader.engines.qa_model import QAModel
from model_loader.errors import ModelLoadError
from model_loader.wire import FrameKind

NICENESS = 1  # of the zygote and its lanes: the HTTP process must answer /ping while every core computes


def main(control_fd: int, lifeline_fd: int) -> None:
    """Serve the control socket until it closes."""
    lifeline.tie_own_group(lifeline_fd)
    lane.ignore_stop_signals()
    os.nice(NICENESS)
    control = socket.socket(fileno=control_fd)
    control.settimeout(None)
    models: dict[Precision, QAModel] = {}
    running: set[int] = set()  # process ids of the lanes, which stay theirs until _reap
    while message := wire.receive(control):
        kind, body, fds = message
        _reap(running)
        if kind is FrameKind.LOAD:
            control.sendall(_load(body, models))
        elif kind is FrameKind.WARM:
            control.sendall(lane.warm(body, models))
        elif kind is FrameKind.FORK:
            order = json.loads(body)
            pid = _fork(control, fds[0], models, order)
            running.add(pid)
            inherits = models if len(order["cores"]) == 1 else {}
            warm = {precision: sorted(model.warm_rungs) for precision, model in inherits.items()}
            batches = {precision: sorted(model.warm_batches) for precision, model in inherits.items()}
            control.sendall(wire.json_frame(FrameKind.FORKED, pid=pid, warm=warm, batches=batches))
        elif kind is FrameKind.RUN:  # the golden examples, when this zygote replaces another one
            control.sendall(lane.answer(kind, body, models))
        elif kind is FrameKind.PING:
            control.sendall(wire.PONG_FRAME)


def _load(body: bytes, models: dict[Precision, QAModel]) -> bytes:
    start = time.perf_counter()
    file = wire.parse_load(body)
    try:
        models[file.precision] = load(file, threads=1)
    except ModelLoadError as error:
        return wire.load_failed_frame(error)
    memory.give_back()
    return wire.json_frame(FrameKind.LOADED, load_ms=(time.perf_counter() - start) * 1000)


def _fork(control: socket.socket, lane_fd: int, models: dict[Precision, QAModel], order: dict[str, Any]) -> int:
    """Fork one lane onto the socket that came with the frame; return its process id."""
    gc.freeze()  # a collection in a lane would touch, and so copy, the pages that it shares
    pid = os.fork()
    if pid:
        os.close(lane_fd)
        return pid
    status = 0
    try:
        control.close()
        if len(order["cores"]) > 1 and any(model.must_load_again for model in models.values()):
            lane_program.become(lane_fd, [model.file for model in models.values()], order)
        lane.run_lane(socket.socket(fileno=lane_fd), models, set(order["cores"]), order["niceness"])
    except (BrokenPipeError, ConnectionResetError):
        pass  # the HTTP process is gone, so the lane is of no use any more
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status)  # a lane must not run the zygote's clean-up


def _reap(running: set[int]) -> None:
    """Collect the exit statuses of ended lanes, so that each process id in `running` is certainly a lane's."""
    while running:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        running.discard(pid)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the HTTP process is gone
        main(int(sys.argv[1]), int(sys.argv[2]))
