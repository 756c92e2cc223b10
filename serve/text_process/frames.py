"""Frames between the HTTP process and the text process of one large request, over a Unix stream socket.

A frame is a 5-byte header (body length, kind) and a body. Both ends run the same code on the same machine, so frames
carry no version and use the native byte order.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from container.precision import PRECISIONS, Precision
from model_loader.model_io import ModelInput
from serve import errors
from serve.errors import RequestError

HEADER = struct.Struct("=IB")
_BATCH = struct.Struct("=?H")  # whether no batch follows, number of windows
_WINDOW = struct.Struct("=BHH")  # of each window: precision, context_offset, tokens


class FrameKind(IntEnum):
    """What a frame's body is."""

    REQUEST = 1  # to the text process: the body of the request, or one line of it
    RESOLVE = 2  # from it: JSON precision that the request asks for, or null
    RESOLVED = 3  # the reply: JSON object with the precision, or with why it is unavailable
    DEMAND = 4  # from it: JSON list of precision, windows, longest, last
    ADMITTED = 5  # the reply; a request that is refused ends its text process
    WINDOWS = 6  # from it: a batch of windows
    LOGITS = 7  # the reply: their logits
    DONE = 8  # from it: JSON stage times and CPU time; ANSWER follows
    ANSWER = 9  # from it: the body of the response
    FAILED = 10  # from it: JSON name of the error's class, message, CPU time
    MEASURE = 11  # from it: JSON precision, max_seq_len
    MEASURED = 12  # the reply: JSON number of tokens that cannot be answered in time
    STARTED = 13  # from it, before any other frame: its process id in decimal digits
    PARSED = 14  # from it: the form of the request


def header(kind: FrameKind, length: int) -> bytes:
    """Return the header of a frame whose body has `length` bytes."""
    return HEADER.pack(length, kind)


def windows_body(batch: Sequence[tuple[Precision, ModelInput]], *, is_last: bool) -> bytes:
    """Return the body of a WINDOWS frame."""
    sizes = b"".join(
        _WINDOW.pack(PRECISIONS.index(precision), window.context_offset, len(window.input_ids))
        for precision, window in batch
    )
    return _BATCH.pack(is_last, len(batch)) + sizes + b"".join(window.input_ids.tobytes() for _, window in batch)


def parse_windows(body: bytes) -> tuple[list[tuple[Precision, ModelInput]], bool]:
    """Read the body of a WINDOWS frame: the batch, and whether it is the last one."""
    is_last, count = _BATCH.unpack_from(body)
    begin = _BATCH.size + count * _WINDOW.size
    batch = []
    for precision, context_offset, tokens in _WINDOW.iter_unpack(body[_BATCH.size : begin]):
        ids = np.frombuffer(body, np.int32, tokens, begin)
        batch.append((PRECISIONS[precision], ModelInput(ids, context_offset)))
        begin += ids.nbytes
    return batch, is_last


def error_of(name: str, message: str) -> RequestError:
    """Return the error that a FAILED frame names."""
    error_class: type[RequestError] = getattr(errors, name)
    return error_class(message)
