"""Random bytes in heads, framing and JSON Lines: no 5xx, no hang, and no answer that belongs to another request.

Each request carries a token of its own as its whole context and as its id, so its answer must be this token. The
examples are the same in each run. SOAK=1 runs twenty times as many.
"""

import json
import os
import socket
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.catalogue import request
from tests.hostile.exchange import Received, exchange, read_responses
from tools.local_server import LocalServer

EXAMPLES = 1000 if os.environ.get("SOAK") else 50
FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
QUIET_SECONDS = 1.0  # a client that waits for longer than this leaves
CLOSE_SECONDS = 30.0  # a server must close the connection of a client that has left
TOKENS = count(1)

Edit = tuple[str, int, bytes]
EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete"]),
        st.integers(0, 400),
        st.binary(min_size=1, max_size=8)
        | st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b": ", b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"-1"]),
    ),
    min_size=1,
    max_size=4,
)
CHUNK_SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)
CUTS = st.lists(st.integers(1, 200), max_size=6)  # lengths of the pieces in which the bytes are sent


def new_token() -> str:
    return f"token{next(TOKENS)}x"


def body_of(token: str) -> bytes:
    """Return a request body whose answer is the token: an answer consists of whole words, and there is only one."""
    return json.dumps({"question": "Which token?", "context": token}).encode()


def request_of(token: str, sizes: Sequence[int] = ()) -> bytes:
    """Return the request of a token, in chunks of these sizes if there are any."""
    fields = ["Content-Type: application/json", f"X-Amzn-SageMaker-Inference-Id: {token}"]
    if not sizes:
        return request(body_of(token), *fields)
    return request(chunked(body_of(token), sizes), *fields, "Transfer-Encoding: chunked")


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    """Return a body in chunks of these sizes; the last chunk is as large as it must be."""
    chunks = []
    for size in [*sizes, len(body)]:
        chunk, body = body[:size], body[size:]
        if chunk:
            chunks.append(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    return b"".join(chunks) + b"0\r\n\r\n"


def edited(data: bytes, edits: Sequence[Edit], end: int) -> bytes:
    """Apply the edits within the first `end` bytes."""
    for kind, position, piece in edits:
        position %= end
        removed = {"insert": 0, "replace": len(piece), "delete": len(piece)}[kind]
        data = data[:position] + (b"" if kind == "delete" else piece) + data[position + removed :]
    return data


def converse(
    port: int, data: bytes, most: int, cuts: Sequence[int] = (), quiet_seconds: float = QUIET_SECONDS
) -> list[Received]:
    """Send bytes, leave when the server has been silent for `quiet_seconds`, and check that it then closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.settimeout(quiet_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        responses: list[Received] = []
        try:
            for length in [*cuts, len(data)]:
                piece, data = data[:length], data[length:]
                connection.sendall(piece)
            responses = read_responses(connection, most, into=responses)
        except TimeoutError:
            pass  # the bytes are the beginning of a request
        except (BrokenPipeError, ConnectionResetError):
            return responses  # the server has answered the first bytes and closed the connection
        connection.settimeout(CLOSE_SECONDS)
        try:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except TimeoutError:
            pytest.fail("the server keeps the connection of a client that has left")
        except OSError:
            pass  # the server has closed it already
        return responses


def check(responses: Sequence[Received], tokens: Sequence[str]) -> None:
    """Check that there is no 5xx, and that the answers are those of some of the tokens, in their order."""
    assert all(each.status < 500 for each in responses), [(each.status, each.body) for each in responses]
    remaining = iter(tokens)
    for answer in (each for each in responses if each.status == 200 and each.body.startswith(b"{")):
        content = answer.json()
        if "answer" in content:
            assert content["answer"] in remaining, f"{content} is not the answer to one of {tokens}"


def check_alive(port: int) -> None:
    """Check that the server answers a question on another connection."""
    token = new_token()
    (answer,) = exchange(port, request_of(token))
    assert (answer.status, answer.json()["answer"], answer.headers["x-request-id"]) == (200, token, token)


@FUZZ
@given(edits=EDITS, cuts=CUTS)
def test_a_head_with_random_bytes(server: LocalServer, edits: list[Edit], cuts: list[int]) -> None:
    tokens = [new_token(), new_token()]
    first = request_of(tokens[0])
    data = edited(first, edits, first.index(b"\r\n\r\n") + 4) + request_of(tokens[1])
    check(converse(server.port, data, 2, cuts), tokens)
    check_alive(server.port)


@FUZZ
@given(data=st.binary(min_size=1, max_size=400))
def test_random_bytes_instead_of_a_request(server: LocalServer, data: bytes) -> None:
    check(converse(server.port, data, 1), [])
    check_alive(server.port)


@FUZZ
@given(sizes=CHUNK_SIZES, edits=EDITS, cuts=CUTS)
def test_chunks_with_random_bytes(server: LocalServer, sizes: list[int], edits: list[Edit], cuts: list[int]) -> None:
    tokens = [new_token(), new_token()]
    first = request_of(tokens[0], sizes)
    head = first.index(b"\r\n\r\n") + 4
    body = edited(first[head:], edits, len(first) - head)
    responses = converse(server.port, first[:head] + body + request_of(tokens[1]), 2, cuts)
    # Edits of the body can change the context itself, so only the second token must be one of its answers.
    assert all(each.status < 500 for each in responses)
    check(responses[1:], tokens[1:])
    check_alive(server.port)


@FUZZ
@given(length=st.integers(-3, 200) | st.sampled_from(["", "+5", "0x10", "1e3", "9" * 30, "5, 5", " 7 "]))
def test_a_length_that_is_not_that_of_the_body(server: LocalServer, length: Any) -> None:
    tokens = [new_token(), new_token()]
    first = request(body_of(tokens[0]), "Content-Type: application/json", f"Content-Length: {length}")
    check(converse(server.port, first + request_of(tokens[1]), 3), tokens)
    check_alive(server.port)


@FUZZ
@given(
    kinds=st.lists(st.sampled_from(["question", "chunked", "ping", "bad"]), min_size=1, max_size=8),
    sizes=CHUNK_SIZES,
    cuts=CUTS,
)
def test_pipelined_requests_get_their_own_answers(
    server: LocalServer, kinds: list[str], sizes: list[int], cuts: list[int]
) -> None:
    tokens = [new_token() for _ in kinds]
    makes = {
        "question": request_of,
        "chunked": lambda token: request_of(token, sizes),
        "ping": lambda token: b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n",
        "bad": lambda token: request(b"{", f"X-Amzn-SageMaker-Inference-Id: {token}"),
    }
    data = b"".join(makes[kind](token) for kind, token in zip(kinds, tokens, strict=True))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for length in [*cuts, len(data)]:
            connection.sendall(data[:length])
            data = data[length:]
        responses = read_responses(connection, len(kinds))
    assert len(responses) == len(kinds)
    for kind, token, response in zip(kinds, tokens, responses, strict=True):
        assert response.status == (400 if kind == "bad" else 200)
        if kind in ("question", "chunked"):
            assert response.json()["answer"] == token
        if kind != "ping":
            assert response.headers["x-request-id"] == token


@FUZZ
@given(
    lines=st.lists(
        st.sampled_from(["question", "question", b"", b"{", b"[]", b"null", b'{"question": 1}'])
        | st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")),
        min_size=1,
        max_size=12,
    ),
    sizes=CHUNK_SIZES,
    has_last_newline=st.booleans(),
)
def test_json_lines_get_their_own_answers(
    server: LocalServer, lines: list[Any], sizes: list[int], has_last_newline: bool
) -> None:
    tokens = [new_token() if line == "question" else None for line in lines]
    sent = [body_of(token) if token else line for token, line in zip(tokens, lines, strict=True)]
    data = b"\n".join(sent) + (b"\n" if has_last_newline or not sent[-1] else b"")
    body = chunked(data, sizes)
    fields = ("Content-Type: application/jsonlines", "Transfer-Encoding: chunked")
    (response,) = exchange(server.port, request(body, *fields))
    assert response.status == 200
    answers = response.body.removesuffix(b"\n").split(b"\n")
    assert len(answers) == len(sent)
    for token, line, answer in zip(tokens, sent, answers, strict=True):
        if not line.strip():
            assert answer == b""
        elif token:
            assert json.loads(answer)["answer"] == token
        else:
            assert json.loads(answer)["error_type"] in {"malformed_body", "invalid_request"}


@pytest.mark.parametrize("sizes", [(), (1, 2, 3)])
def test_the_answer_of_a_token_is_the_token(server: LocalServer, sizes: tuple[int, ...]) -> None:
    """The control of this file: without an edit, the conversation gives both answers."""
    tokens = [new_token(), new_token()]
    responses = converse(server.port, request_of(tokens[0], sizes) + request_of(tokens[1]), 2, quiet_seconds=60)
    assert [each.json()["answer"] for each in responses] == tokens
