"""Frames between the HTTP process, its lanes and their zygote, over Unix stream sockets.

A frame is a 5-byte header (body length, kind) and a body. Windows and logits travel as raw arrays, a few kilobytes
each way; the rest is JSON. Both ends run the same code on the same machine, so frames carry no version and use the
native byte order.
"""

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from container.precision import PRECISIONS, Precision
from model_loader.errors import ArtifactInvalid, ArtifactMissing, ModelLoadError, PrecisionUnsupported, WarmupFailed
from model_loader.ladder import WarmStep
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput, WindowLogits

HEADER = struct.Struct("=IB")
_RUN = struct.Struct("=BHH")  # precision, rung, number of windows
_WINDOW = struct.Struct("=HH")  # of each window: context_offset, tokens
_RESULT = struct.Struct("=dH")  # cost_ms, number of windows
IDLE_CLASS = 20  # stands for the scheduling class SCHED_IDLE in the place of a niceness, which ends at 19

# The zygote sends an error by its name here, and the HTTP process raises the class of this name.
LOAD_ERRORS: dict[str, type[ModelLoadError]] = {
    "artifact_missing": ArtifactMissing,
    "artifact_invalid": ArtifactInvalid,
    "precision_unsupported": PrecisionUnsupported,
    "warmup_failed": WarmupFailed,
}


class FrameKind(IntEnum):
    """What a frame's body is."""

    RUN = 1  # to a lane: windows of one precision and rung
    LOGITS = 2  # from a lane: the windows' logits, and the milliseconds of the call
    WARM = 3  # to a lane or the zygote: JSON precision, rung, windows
    WARMED = 4  # the reply: JSON cost_ms, cpu_ms, fused_groups
    FAILED = 5  # the reply when a pass fails: JSON error
    LOAD = 6  # to the zygote: JSON model file
    LOADED = 7  # the reply: JSON load_ms, or error and error_kind, a key of LOAD_ERRORS
    FORK = 8  # to the zygote, with a socket attached: JSON cores, niceness or IDLE_CLASS
    FORKED = 9  # the reply: JSON pid, and the rungs and the batches that are warm in the new lane
    PING = 10  # to a lane or the zygote when it is idle, with an empty body
    PONG = 11  # the reply, with an empty body


class Run(NamedTuple):
    """One call of a model: windows of one precision, each padded to the same rung."""

    precision: Precision
    rung: int
    inputs: Sequence[ModelInput]


class RunResult(NamedTuple):
    """The logits of a call's windows, in their order, and the milliseconds that the call took."""

    logits: Sequence[WindowLogits]
    cost_ms: float


class Warmed(NamedTuple):
    """The milliseconds of one call of a shape that is warm now, on the clock and on the CPUs."""

    cost_ms: float
    cpu_ms: float


def frame(kind: FrameKind, body: bytes) -> bytes:
    """Return a frame: header and body."""
    return HEADER.pack(len(body), kind) + body


def json_frame(kind: FrameKind, **fields: Any) -> bytes:
    """Return a frame with a JSON body."""
    return frame(kind, json.dumps(fields).encode())


PING_FRAME = frame(FrameKind.PING, b"")
PONG_FRAME = frame(FrameKind.PONG, b"")


def run_frame(run: Run) -> bytes:
    """Return a RUN frame."""
    head = _RUN.pack(PRECISIONS.index(run.precision), run.rung, len(run.inputs))
    sizes = b"".join(_WINDOW.pack(each.context_offset, len(each.input_ids)) for each in run.inputs)
    ids = b"".join(each.input_ids.astype(np.int32, copy=False).tobytes() for each in run.inputs)
    return frame(FrameKind.RUN, head + sizes + ids)


def parse_run(body: bytes) -> Run:
    """Read the body of a RUN frame."""
    precision, rung, count = _RUN.unpack_from(body)
    first_id = _RUN.size + count * _WINDOW.size
    sizes = list(_WINDOW.iter_unpack(body[_RUN.size : first_id]))
    ids = np.frombuffer(body, np.int32, offset=first_id)
    ends = np.cumsum([tokens for _, tokens in sizes])
    inputs = [
        ModelInput(ids[end - tokens : end], context_offset)
        for end, (context_offset, tokens) in zip(ends, sizes, strict=True)
    ]
    return Run(PRECISIONS[precision], rung, inputs)


def logits_frame(result: RunResult) -> bytes:
    """Return a LOGITS frame."""
    lengths = np.array([len(each.start) for each in result.logits], dtype=np.uint16)
    arrays = [part for each in result.logits for part in (each.start, each.end)]
    values = np.concatenate(arrays).astype(np.float32, copy=False)
    return frame(FrameKind.LOGITS, _RESULT.pack(result.cost_ms, len(lengths)) + lengths.tobytes() + values.tobytes())


def parse_logits(body: bytes) -> RunResult:
    """Read the body of a LOGITS frame."""
    cost_ms, count = _RESULT.unpack_from(body)
    lengths = np.frombuffer(body, np.uint16, count, _RESULT.size)
    values = np.frombuffer(body, np.float32, offset=_RESULT.size + lengths.nbytes)
    if values.size != 2 * lengths.sum(dtype=np.int64):
        raise ValueError(f"{values.size} logits arrived for {count} windows, which have {2 * lengths.sum()}")
    logits = []
    first = 0
    for length in lengths.tolist():
        start, end = values[first : first + 2 * length].reshape(2, -1)
        logits.append(WindowLogits(start, end))
        first += 2 * length
    return RunResult(logits, cost_ms)


def warm_frame(step: WarmStep) -> bytes:
    """Return a WARM frame."""
    return json_frame(FrameKind.WARM, **asdict(step))


def parse_warm(body: bytes) -> WarmStep:
    """Read the body of a WARM frame."""
    return WarmStep(**json.loads(body))


def parse_warmed(body: bytes) -> Warmed:
    """Read the body of a WARMED frame."""
    fields = json.loads(body)
    return Warmed(fields["cost_ms"], fields["cpu_ms"])


def load_frame(file: ModelFile) -> bytes:
    """Return a LOAD frame."""
    return json_frame(FrameKind.LOAD, **asdict(file))


def parse_load(body: bytes) -> ModelFile:
    """Read the body of a LOAD frame."""
    return model_file(json.loads(body))


def model_file(fields: dict[str, Any]) -> ModelFile:
    """Return the model file that dataclasses.asdict has turned into JSON."""
    return ModelFile(**{**fields, "inputs": tuple(fields["inputs"])})


def load_failed_frame(error: ModelLoadError) -> bytes:
    """Return a LOADED frame that carries an error of one of the classes in LOAD_ERRORS."""
    kind = next(kind for kind, error_class in LOAD_ERRORS.items() if type(error) is error_class)
    return json_frame(FrameKind.LOADED, error=str(error), error_kind=kind)


def raise_load_error(reply: dict[str, Any]) -> None:
    """Raise the error that a LOADED frame carries, if it carries one."""
    if "error" in reply:
        raise LOAD_ERRORS[reply["error_kind"]](reply["error"])


def receive(sock: socket.socket) -> tuple[FrameKind, bytes, list[int]] | None:
    """Wait for one frame.

    Returns its kind, body and attached file descriptors, or None at the end of the stream.
    Raises: ConnectionResetError if the stream ends inside a frame.
    """
    try:
        data, fds, _, _ = socket.recv_fds(sock, HEADER.size, 1)
    except ConnectionResetError:  # the peer closed the socket before it read our last frame
        return None
    if not data:
        return None
    header = data + _receive_exactly(sock, HEADER.size - len(data))
    length, kind = HEADER.unpack(header)
    return FrameKind(kind), _receive_exactly(sock, length), list(fds)


def _receive_exactly(sock: socket.socket, length: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < length:
        chunk = sock.recv(length - len(chunks))
        if not chunk:
            raise ConnectionResetError("the peer closed the socket inside a frame")
        chunks += chunk
    return bytes(chunks)
