"""Frames between the HTTP process, its lanes and their zygote, over Unix stream sockets.

A frame is a 5-byte header (body length, kind) and a body. Windows and logits travel as raw arrays, a few kilobytes
each way; the rest is JSON. Both ends run the same code on the same machine: no versions, native byte order.
"""

import json
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from container.precision import PRECISIONS, Precision

HEADER = struct.Struct("=IB")
_RUN = struct.Struct("=BHH")  # precision, rung, context_offset
_COST = struct.Struct("=d")
IDLE_CLASS = 20  # in the place of a niceness, which ends at 19: the scheduling class SCHED_IDLE


class FrameKind(IntEnum):
    """What a frame's body is."""

    RUN = 1  # to a lane: one window
    LOGITS = 2  # from it: the window's logits and cost
    WARM = 3  # to a lane or the zygote: JSON precision, rung
    WARMED = 4  # from it: JSON cost_ms, fused_groups
    FAILED = 5  # from it: JSON error
    LOAD = 6  # to the zygote: JSON model file
    LOADED = 7  # from it: JSON load_ms, or error and failure
    FORK = 8  # to the zygote, with a socket attached: JSON cores, niceness or IDLE_CLASS
    FORKED = 9  # from it: JSON pid, and the rungs that are warm in the new lane
    KILL = 10  # to the zygote: JSON pid


@dataclass(frozen=True)
class WindowRun:
    """One window for a lane. input_ids: (T,) int32, unpadded."""

    precision: Precision
    rung: int
    context_offset: int
    input_ids: np.ndarray


@dataclass(frozen=True)
class WindowLogits:
    """A window's logits, (T,) float32 each, and how long its pass took."""

    start: np.ndarray
    end: np.ndarray
    cost_ms: float


def frame(kind: FrameKind, body: bytes) -> bytes:
    """Header and body."""
    return HEADER.pack(len(body), kind) + body


def json_frame(kind: FrameKind, **fields: Any) -> bytes:
    """A frame with a JSON body."""
    return frame(kind, json.dumps(fields).encode())


def run_frame(run: WindowRun) -> bytes:
    """A RUN frame."""
    head = _RUN.pack(PRECISIONS.index(run.precision), run.rung, run.context_offset)
    return frame(FrameKind.RUN, head + run.input_ids.astype(np.int32, copy=False).tobytes())


def parse_run(body: bytes) -> WindowRun:
    """The body of a RUN frame."""
    precision, rung, context_offset = _RUN.unpack_from(body)
    return WindowRun(PRECISIONS[precision], rung, context_offset, np.frombuffer(body, np.int32, offset=_RUN.size))


def warm_frame(precision: Precision, rung: int) -> bytes:
    """A WARM frame."""
    return json_frame(FrameKind.WARM, precision=precision, rung=rung)


def parse_warm(body: bytes) -> tuple[Precision, int]:
    """The body of a WARM frame."""
    fields = json.loads(body)
    return fields["precision"], fields["rung"]


def logits_frame(logits: WindowLogits) -> bytes:
    """A LOGITS frame."""
    arrays = np.concatenate((logits.start, logits.end)).astype(np.float32, copy=False)
    return frame(FrameKind.LOGITS, _COST.pack(logits.cost_ms) + arrays.tobytes())


def parse_logits(body: bytes) -> WindowLogits:
    """The body of a LOGITS frame."""
    (cost_ms,) = _COST.unpack_from(body)
    start, end = np.frombuffer(body, np.float32, offset=_COST.size).reshape(2, -1)
    return WindowLogits(start, end, cost_ms)


def receive(sock: socket.socket) -> tuple[FrameKind, bytes, list[int]] | None:
    """Block for one frame; gives its kind, body and attached file descriptors, or None at the end of the stream."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, HEADER.size, 1)
    except ConnectionResetError:  # closed with a frame of ours unread
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
            raise ConnectionResetError("the other end closed inside a frame")
        chunks += chunk
    return bytes(chunks)
