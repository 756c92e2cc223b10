"""A zygote and its lanes at the far end of the real socket protocol, without torch: what they do is in the token ids.

A lane answers a window with start logits equal to its token ids and end logits equal to their negatives, so that a test
can tell whose logits came back. Some first token ids make a lane misbehave. A model file whose path names an error of
the loader makes the zygote reply with that error.

Run as a program: `python scripted_zygote.py FD LIFELINE`, as serve/lanes/zygote_client.py starts a zygote.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))  # the program's root: this file is run by its path

import numpy as np

from model_loader import wire
from model_loader.errors import ArtifactInvalid
from model_loader.model_io import WindowLogits
from model_loader.wire import FrameKind, RunResult

CRASH, HANG, FAIL, SLOW = 9001, 9002, 9003, 9004  # first token ids that a lane obeys
SLOW_SECONDS = 0.2
HANG_SECONDS = 300  # longer than the pool waits, and than a test
INVALID_FILE = "invalid.pt"
INVALID_TEXT = "invalid"  # a model file with this text cannot be loaded
STILLBORN_TEXT = "stillborn"  # a lane that is forked while a model file has this text ends at once
COLD_RUNG = 32  # cannot be warmed in a model file of this name
COLD_FILE = "cold.pt"
COST_MS = 2.0


def run_lane(sock: socket.socket, cold: set[str]) -> None:
    """Answer frames until the socket closes."""
    while message := wire.receive(sock):
        kind, body, _ = message
        if kind is FrameKind.PING:
            sock.sendall(wire.PONG_FRAME)
            continue
        if kind is FrameKind.WARM:
            sock.sendall(warmed(body, cold))
            continue
        run = wire.parse_run(body)
        orders = {int(each.input_ids[0]) for each in run.inputs}
        if CRASH in orders:
            os._exit(1)
        if HANG in orders:
            time.sleep(HANG_SECONDS)
            os._exit(1)
        if FAIL in orders:
            sock.sendall(wire.json_frame(FrameKind.FAILED, error="the script says so"))
            continue
        if SLOW in orders:
            time.sleep(SLOW_SECONDS)
        sock.sendall(logits(run))


def text_of(path: str) -> str:
    """Return the text of a model file; most of them exist only in name."""
    return Path(path).read_text() if Path(path).exists() else ""


def logits(run: wire.Run) -> bytes:
    """Answer a RUN frame."""
    found = [WindowLogits(*(sign * each.input_ids.astype(np.float32) for sign in (1, -1))) for each in run.inputs]
    return wire.logits_frame(RunResult(found, call_ms(len(run.inputs))))


def warmed(body: bytes, cold: set[str]) -> bytes:
    """Answer a WARM frame."""
    step = wire.parse_warm(body)
    if step.precision in cold and step.rung == COLD_RUNG:
        return wire.json_frame(FrameKind.FAILED, error=f"{step.precision} cannot run {step.rung} tokens")
    cost_ms = call_ms(step.windows)
    return wire.json_frame(FrameKind.WARMED, cost_ms=cost_ms, cpu_ms=cost_ms, fused_groups=0)


def call_ms(windows: int) -> float:
    """The milliseconds of a call with so many windows: each further one takes a quarter of the first."""
    return COST_MS * (0.75 + 0.25 * windows)


class Zygote:
    """What the scripted zygote has loaded and warmed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._warm: dict[str, list[int]] = {}
        self._batches: dict[str, list[tuple[int, int]]] = {}
        self._cold: set[str] = set()
        self._paths: list[str] = []

    def load(self, body: bytes) -> bytes:
        file = wire.parse_load(body)
        if file.path == INVALID_FILE or text_of(file.path) == INVALID_TEXT:
            return wire.load_failed_frame(ArtifactInvalid("the script says so"))
        if file.path == COLD_FILE:
            self._cold.add(file.precision)
        self._warm[file.precision], self._batches[file.precision] = [], []
        self._paths.append(file.path)
        return wire.json_frame(FrameKind.LOADED, load_ms=1.0)

    def warm(self, body: bytes) -> bytes:
        step = wire.parse_warm(body)
        if step.windows == 1:
            self._warm[step.precision].append(step.rung)
        else:
            self._batches[step.precision].append((step.rung, step.windows))
        return warmed(body, self._cold)

    def fork(self, body: bytes, lane_fd: int) -> bytes:
        pid = os.fork()
        if not pid:
            self._control.close()
            if STILLBORN_TEXT in map(text_of, self._paths):
                os._exit(1)
            run_lane(socket.socket(fileno=lane_fd), self._cold)
            os._exit(0)
        os.close(lane_fd)
        is_narrow = len(json.loads(body)["cores"]) == 1
        warm, batches = (self._warm, self._batches) if is_narrow else ({}, {})
        return wire.json_frame(FrameKind.FORKED, pid=pid, warm=warm, batches=batches)


def main(control_fd: int) -> None:
    """Serve the control socket until it closes."""
    control = socket.socket(fileno=control_fd)
    zygote = Zygote(control)
    while message := wire.receive(control):
        kind, body, fds = message
        if kind is FrameKind.LOAD:
            control.sendall(zygote.load(body))
        elif kind is FrameKind.WARM:
            control.sendall(zygote.warm(body))
        elif kind is FrameKind.FORK:
            control.sendall(zygote.fork(body, fds[0]))
        elif kind is FrameKind.PING:
            control.sendall(wire.PONG_FRAME)
        elif kind is FrameKind.RUN:
            control.sendall(logits(wire.parse_run(body)))


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended lanes leave no zombies
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the HTTP process is gone
        main(int(sys.argv[1]))
