"""A lane: a process with one inference thread of fixed width, pinned to its cores. Token ids in, logits out.

A lane is forked from the zygote. It ends when its socket closes, which happens however the HTTP process ends.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping, Set
from dataclasses import asdict

from container import memory
from container.precision import Precision
from model_loader import wire
from model_loader.engines.qa_model import QAModel
from model_loader.errors import WarmupFailed
from model_loader.ladder import Batch
from model_loader.model_io import WindowLogits
from model_loader.wire import FrameKind, RunResult

LoadedModels = Mapping[Precision, QAModel]


def run_lane(sock: socket.socket, models: LoadedModels, cores: Set[int], niceness: int) -> None:
    """Serve frames until the socket closes.

    A lane of one core inherits the zygote's warm rungs. A wider lane starts with none, because compiled shapes belong
    to a number of threads.
    """
    settle(cores, niceness)
    for model in models.values():
        if len(cores) > 1:
            model.forget_warm()
        model.use_threads(len(cores))
    serve(sock, models)


def settle(cores: Set[int], niceness: int) -> None:
    """Pin the process to its cores, and lower its priority."""
    os.sched_setaffinity(0, cores)
    _lower_priority(niceness)


def serve(sock: socket.socket, models: LoadedModels) -> None:
    """Answer frames until the socket closes."""
    while message := wire.receive(sock):
        kind, body, _ = message
        sock.sendall(answer(kind, body, models))


def _lower_priority(niceness: int) -> None:
    """Add a niceness to the zygote's own, or take the class in which the kernel runs a process on idle cores only."""
    if niceness < wire.IDLE_CLASS:
        os.nice(niceness)
        return
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # a sandbox may forbid the class
        os.nice(niceness)


def warm(body: bytes, models: LoadedModels) -> bytes:
    """Answer a WARM frame."""
    step = wire.parse_warm(body)
    try:
        warmed = models[step.precision].warm(step.rung, step.windows)
    except WarmupFailed as error:
        return wire.json_frame(FrameKind.FAILED, error=str(error))
    memory.give_back()
    return wire.json_frame(FrameKind.WARMED, **asdict(warmed))


def answer(kind: FrameKind, body: bytes, models: LoadedModels) -> bytes:
    """Return the reply to a PING, WARM or RUN frame."""
    if kind is FrameKind.PING:
        return wire.PONG_FRAME
    if kind is FrameKind.WARM:
        reply = warm(body, models)
        for model in models.values():
            model.pin_threads()
        return reply
    try:
        return _run(body, models)
    except RuntimeError as error:
        return wire.json_frame(FrameKind.FAILED, error=f"{type(error).__name__}: {error}")


def _run(body: bytes, models: LoadedModels) -> bytes:
    run = wire.parse_run(body)
    model = models[run.precision]
    if run.rung not in model.warm_rungs:
        raise RuntimeError(f"rung {run.rung} of {run.precision} is cold. This is a bug.")
    start = time.perf_counter()
    if Batch(run.rung, len(run.inputs)) in model.warm_batches:
        logits = model.forward_batch(run.inputs, run.rung)
    else:  # the golden examples, before there are batches
        logits = [model.forward(window.input_ids, window.context_offset, run.rung) for window in run.inputs]
    cost_ms = (time.perf_counter() - start) * 1000
    return wire.logits_frame(RunResult([WindowLogits(*each) for each in logits], cost_ms))


def ignore_stop_signals() -> None:
    """Ignore SIGINT and SIGTERM, which reach the whole process group: a lane ends when its socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
