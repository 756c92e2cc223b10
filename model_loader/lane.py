"""A lane: one process, one inference thread of fixed width, pinned to its cores. Token ids in, logits out.

Runs in a process forked from the zygote. It ends when its socket closes, which happens however the HTTP process ends.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping, Set

import torch

from container.precision import Precision
from model_loader import memory, wire
from model_loader.errors import WarmupFailed
from model_loader.torchscript import QAModel
from model_loader.wire import FrameKind, WindowLogits

Models = Mapping[Precision, QAModel]


def run_lane(sock: socket.socket, models: Models, cores: Set[int], niceness: int) -> None:
    """Serve frames until the socket closes. A lane of one core has the zygote's warm rungs, a wider one none."""
    os.sched_setaffinity(0, cores)
    _give_way(niceness)
    if len(cores) > 1:  # compiled shapes belong to a number of threads
        for model in models.values():
            model.warm_rungs.clear()
    torch.set_num_threads(len(cores))  # once, before the first pass: the kernels' layouts depend on it
    torch.set_flush_denormal(True)
    while message := wire.receive(sock):
        kind, body, _ = message
        sock.sendall(_answer(kind, body, models))


def _give_way(niceness: int) -> None:
    """Take a niceness beside the zygote's, or the kernel's class for what runs only where nothing else would."""
    if niceness < wire.IDLE_CLASS:
        os.nice(niceness)
        return
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # a sandbox may forbid the class
        os.nice(niceness)


def warm(body: bytes, models: Models) -> bytes:
    """Answer a WARM frame."""
    precision, rung = wire.parse_warm(body)
    try:
        warmed = models[precision].warm(rung)
    except WarmupFailed as error:
        return wire.json_frame(FrameKind.FAILED, error=str(error))
    memory.give_back()
    return wire.json_frame(FrameKind.WARMED, cost_ms=warmed.cost_ms, fused_groups=warmed.fused_groups)


def _answer(kind: FrameKind, body: bytes, models: Models) -> bytes:
    if kind is FrameKind.WARM:
        reply = warm(body, models)
        _pin_threads()
        return reply
    try:
        return _run(body, models)
    except RuntimeError as error:
        return wire.json_frame(FrameKind.FAILED, error=f"{type(error).__name__}: {error}")


def _run(body: bytes, models: Models) -> bytes:
    run = wire.parse_run(body)
    model = models[run.precision]
    if run.rung not in model.warm_rungs:
        raise RuntimeError(f"rung {run.rung} of {run.precision} is cold. This is a bug.")
    start = time.perf_counter()
    start_logits, end_logits = model.forward(run.input_ids, run.context_offset, run.rung)
    cost_ms = (time.perf_counter() - start) * 1000
    return wire.logits_frame(WindowLogits(start_logits, end_logits, cost_ms))


def _pin_threads() -> None:
    """Pin each thread of the OpenMP team to a core of its own.

    The team exists since the first pass. Left to the scheduler, two of its threads now and then share a core, and the
    pass takes twice as long.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1 or len(threads := sorted(int(tid) for tid in os.listdir("/proc/self/task"))) < len(cores):
        return
    for index, thread in enumerate(threads):
        os.sched_setaffinity(thread, {cores[index % len(cores)]})


def ignore_stop_signals() -> None:
    """Ctrl-C and SIGTERM reach the whole process group; a lane ends when its work is done and its socket closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
