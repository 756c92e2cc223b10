"""Frames arrive as they were sent. The tests send them through a pair of real sockets."""

import array
import concurrent.futures
import fcntl
import json
import os
import socket
import termios
import time
from collections.abc import Iterator

import numpy as np
import pytest

from container.precision import PRECISIONS, Precision
from model_loader import wire
from model_loader.errors import ModelLoadError
from model_loader.ladder import WarmStep
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput, WindowLogits
from model_loader.wire import HEADER, FrameKind, Run, RunResult, receive

Pair = tuple[socket.socket, socket.socket]
SECONDS = 60  # in which a frame arrives, also on a machine that is busy with something else


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.settimeout(SECONDS)
    theirs.settimeout(SECONDS)
    with ours, theirs:
        yield ours, theirs


def received(pair: Pair, frame: bytes) -> tuple[FrameKind, bytes]:
    ours, theirs = pair
    ours.sendall(frame)
    message = receive(theirs)
    assert message is not None
    kind, body, fds = message
    assert fds == []
    return kind, body


def wait_until_read(sock: socket.socket) -> None:
    """Wait until the receiver has read everything that was sent to this socket."""
    deadline = time.monotonic() + SECONDS
    waiting = array.array("i", [1])
    while waiting[0]:
        assert time.monotonic() < deadline, "nothing reads from the socket"
        fcntl.ioctl(sock, termios.FIONREAD, waiting)


def model_input(tokens: int, context_offset: int = 2) -> ModelInput:
    ids = np.random.default_rng(tokens).integers(0, 30522, tokens, dtype=np.int32)
    return ModelInput(ids, context_offset)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("lengths", [(3,), (16,), (384,), (7, 384, 16)])
def test_windows_arrive_as_they_were_sent(pair: Pair, precision: Precision, lengths: tuple[int, ...]) -> None:
    sent = [model_input(tokens, offset) for offset, tokens in enumerate(lengths)]
    kind, body = received(pair, wire.run_frame(Run(precision, 384, sent)))
    run = wire.parse_run(body)
    assert (kind, run.precision, run.rung) == (FrameKind.RUN, precision, 384)
    assert [each.context_offset for each in run.inputs] == list(range(len(lengths)))
    assert [each.input_ids.dtype for each in run.inputs] == [np.int32] * len(lengths)
    assert [each.input_ids.tolist() for each in run.inputs] == [each.input_ids.tolist() for each in sent]


def test_token_ids_of_another_integer_type_arrive_as_well(pair: Pair) -> None:
    sent = ModelInput(np.array([101, 30521, 102], dtype=np.int64), 2)
    _, body = received(pair, wire.run_frame(Run("INT8", 16, [sent])))
    assert wire.parse_run(body).inputs[0].input_ids.tolist() == [101, 30521, 102]


@pytest.mark.parametrize("lengths", [(3,), (384,), (7, 384, 16)])
def test_logits_arrive_bit_for_bit(pair: Pair, lengths: tuple[int, ...]) -> None:
    sent = []
    for tokens in lengths:
        start, end = np.random.default_rng(tokens).normal(size=(2, tokens)).astype(np.float32)
        start[0], end[-1] = np.nan, -np.inf
        sent.append(WindowLogits(start, end))
    kind, body = received(pair, wire.logits_frame(RunResult(sent, 12.345)))
    result = wire.parse_logits(body)
    assert (kind, result.cost_ms) == (FrameKind.LOGITS, 12.345)
    assert [(got.start.tobytes(), got.end.tobytes()) for got in result.logits] == [
        (each.start.tobytes(), each.end.tobytes()) for each in sent
    ]


def test_a_model_file_arrives(pair: Pair) -> None:
    file = ModelFile("INT8", "/somewhere/model.pt", "ipex-torchscript", ("input_ids", "attention_mask"), None)
    kind, body = received(pair, wire.load_frame(file))
    assert (kind, wire.parse_load(body)) == (FrameKind.LOAD, file)


@pytest.mark.parametrize("error_class", ModelLoadError.__subclasses__())
def test_every_error_of_the_loader_arrives_with_its_class(pair: Pair, error_class: type[ModelLoadError]) -> None:
    if error_class.__module__ != "model_loader.errors":
        pytest.skip("an error of the server's own, which never crosses the socket")
    kind, body = received(pair, wire.load_failed_frame(error_class("größer")))
    assert kind is FrameKind.LOADED
    with pytest.raises(error_class, match="größer"):
        wire.raise_load_error(json.loads(body))


def test_a_load_without_error_raises_nothing() -> None:
    wire.raise_load_error({"load_ms": 1.0})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_order_to_warm_a_shape_arrives(pair: Pair, precision: Precision) -> None:
    step = WarmStep(precision, 48, 4)
    kind, body = received(pair, wire.warm_frame(step))
    assert (kind, wire.parse_warm(body)) == (FrameKind.WARM, step)


def test_a_json_body_arrives(pair: Pair) -> None:
    kind, body = received(pair, wire.json_frame(FrameKind.FAILED, error="größer\n"))
    assert (kind, json.loads(body)) == (FrameKind.FAILED, {"error": "größer\n"})


def test_an_empty_body_arrives(pair: Pair) -> None:
    assert received(pair, wire.frame(FrameKind.LOADED, b"")) == (FrameKind.LOADED, b"")


def test_frames_arrive_one_at_a_time_and_in_order(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"".join(wire.json_frame(FrameKind.WARMED, cost_ms=i) for i in range(5)))
    assert [json.loads(receive(theirs)[1]) for _ in range(5)] == [{"cost_ms": i} for i in range(5)]  # type: ignore[index]


@pytest.mark.parametrize("piece", [1, 2, 4, 5, 6, 7])
def test_a_frame_that_arrives_in_pieces_is_one_frame(pair: Pair, piece: int) -> None:
    ours, theirs = pair
    frame = wire.warm_frame(WarmStep("FP32", 384))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        message = pool.submit(receive, theirs)
        for begin in range(0, len(frame), piece):
            ours.sendall(frame[begin : begin + piece])
            wait_until_read(theirs)
        assert message.result(SECONDS) == (FrameKind.WARM, frame[HEADER.size :], [])


def test_a_frame_larger_than_the_sockets_buffer_arrives(pair: Pair) -> None:
    ours, theirs = pair
    body = os.urandom(4_000_000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        message = pool.submit(receive, theirs)
        ours.sendall(wire.frame(FrameKind.LOAD, body))
        assert message.result(SECONDS) == (FrameKind.LOAD, body, [])


def test_a_file_descriptor_arrives_with_its_frame(pair: Pair) -> None:
    ours, theirs = pair
    lane_end, server_end = socket.socketpair()
    ours.sendall(wire.json_frame(FrameKind.LOAD, name="first"))
    socket.send_fds(ours, [wire.json_frame(FrameKind.FORK, cores=[0, 1])], [lane_end.fileno()])
    lane_end.close()
    ours.sendall(wire.json_frame(FrameKind.LOAD, name="last"))
    messages = [receive(theirs) for _ in range(3)]
    assert [message[0] for message in messages if message] == [FrameKind.LOAD, FrameKind.FORK, FrameKind.LOAD]
    assert [len(message[2]) for message in messages if message] == [0, 1, 0]
    assert json.loads(messages[1][1]) == {"cores": [0, 1]}  # type: ignore[index]
    with server_end, socket.socket(fileno=messages[1][2][0]) as passed:  # type: ignore[index]
        passed.sendall(b"hello")
        assert server_end.recv(5) == b"hello"


def test_receive_returns_none_at_the_end_of_the_stream(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(wire.warm_frame(WarmStep("INT8", 16)))
    ours.close()
    assert receive(theirs) is not None
    assert receive(theirs) is None


@pytest.mark.parametrize("length", [1, HEADER.size - 1, HEADER.size, HEADER.size + 1])
def test_a_stream_that_ends_inside_a_frame_is_an_error(pair: Pair, length: int) -> None:
    ours, theirs = pair
    ours.sendall(wire.warm_frame(WarmStep("INT8", 16))[:length])
    ours.close()
    with pytest.raises(ConnectionResetError):
        receive(theirs)


def test_a_frame_of_an_unknown_kind_is_an_error(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(HEADER.pack(0, 99))
    with pytest.raises(ValueError, match="99"):
        receive(theirs)
