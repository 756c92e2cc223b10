"""Frames of any content and in any pieces arrive in order; bytes that are no frame are an error, and never a hang."""

import concurrent.futures
import json
import socket
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container.precision import PRECISIONS
from model_loader import wire
from model_loader.model_io import ModelInput, WindowLogits
from model_loader.wire import FrameKind, Run, RunResult

FUZZ = settings(max_examples=200, derandomize=True, deadline=None, database=None)
SECONDS = 60  # longer than any frame of these tests needs
UNREADABLE = (ValueError, struct.error, IndexError, KeyError, TypeError)  # what a body that is damaged may raise

FRAMES = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=300)), max_size=6)
TOKENS = st.integers(1, 40)


def received(data: bytes, pieces: list[int]) -> list[tuple[FrameKind, bytes]]:
    """Send bytes in pieces of these lengths through a socket, close it, and return the frames that arrive."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)

    def send() -> None:
        rest = data
        with ours:
            for length in [*pieces, len(data)]:
                ours.sendall(rest[:length])
                rest = rest[length:]

    frames = []
    with theirs, concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        while message := wire.receive(theirs):
            frames.append(message[:2])
        sending.result(SECONDS)
    return frames


@FUZZ
@given(frames=FRAMES, pieces=st.lists(st.integers(1, 50), max_size=8))
def test_frames_in_any_pieces_arrive_in_order(frames: list[tuple[FrameKind, bytes]], pieces: list[int]) -> None:
    assert received(b"".join(wire.frame(kind, body) for kind, body in frames), pieces) == frames


@FUZZ
@given(frames=FRAMES, end=st.integers(0, 2000), extra=st.binary(max_size=20))
def test_a_damaged_stream_gives_whole_frames_and_then_an_error_or_its_end(
    frames: list[tuple[FrameKind, bytes]], end: int, extra: bytes
) -> None:
    data = b"".join(wire.frame(kind, body) for kind, body in frames)[:end] + extra
    with suppress(ConnectionResetError, ValueError):  # a timeout would be another error
        received(data, [])


@FUZZ
@given(lengths=st.lists(TOKENS, min_size=1, max_size=5), rung=st.integers(1, 512), seed=st.integers(0, 2**32 - 1))
def test_windows_and_logits_arrive_as_they_were_sent(lengths: list[int], rung: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs = [ModelInput(random.integers(0, 30522, tokens, dtype=np.int32), tokens // 2) for tokens in lengths]
    logits = [WindowLogits(*random.normal(size=(2, tokens)).astype(np.float32)) for tokens in lengths]
    data = wire.run_frame(Run("INT8", rung, inputs)) + wire.logits_frame(RunResult(logits, 1.5))
    (_, run_body), (_, logits_body) = received(data, [])
    run, result = wire.parse_run(run_body), wire.parse_logits(logits_body)
    assert (run.precision, run.rung, result.cost_ms) == ("INT8", rung, 1.5)
    assert [each.input_ids.tolist() for each in run.inputs] == [each.input_ids.tolist() for each in inputs]
    assert [each.context_offset for each in run.inputs] == [each.context_offset for each in inputs]
    assert [(each.start.tobytes(), each.end.tobytes()) for each in result.logits] == [
        (each.start.tobytes(), each.end.tobytes()) for each in logits
    ]


@FUZZ
@given(lengths=st.lists(TOKENS, min_size=1, max_size=4), cut=st.integers(1, 2000))
def test_a_body_that_ends_early_is_an_error(lengths: list[int], cut: int) -> None:
    """An answer with fewer windows, or shorter ones, would be taken for that of another request."""
    logits = [WindowLogits(*np.zeros((2, tokens), np.float32)) for tokens in lengths]
    body = wire.logits_frame(RunResult(logits, 1.0))[wire.HEADER.size :]
    with pytest.raises(UNREADABLE):
        wire.parse_logits(body[: -min(cut, len(body))])


@FUZZ
@given(body=st.binary(max_size=200))
def test_a_body_of_random_bytes_is_an_error_or_a_run(body: bytes) -> None:
    try:
        run = wire.parse_run(body)
    except UNREADABLE:
        return
    assert run.precision in PRECISIONS


@FUZZ
@given(body=st.binary(max_size=60) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps).map(str.encode))
def test_a_warm_order_of_random_bytes_is_an_error(body: bytes) -> None:
    with pytest.raises(UNREADABLE):
        wire.parse_warm(body)
