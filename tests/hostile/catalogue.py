"""Hostile requests as bytes, each with the statuses that are documented for it.

HOSTILE are for a server with one model, HOSTILE_MULTI_MODEL for a multi-model endpoint whose model is called `first`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BODY = {"question": "Who built the lighthouse?", "context": "The lighthouse was built in 1871 by Zoë Müller."}
JSON = "Content-Type: application/json"
LINES = "Content-Type: application/jsonlines"
MB = 1_000_000


@dataclass(frozen=True)
class HostileRequest:
    """A request, or something like one.

    Attributes:
        name: identifies it in a test's id.
        make: returns the bytes; a function, because some are large.
        statuses: the documented statuses.
        method: of the request, which decides whether its response has a body.
    """

    name: str
    make: Callable[[], bytes]
    statuses: frozenset[int]
    method: str = "POST"


def request(body: bytes, *fields: str, path: str = "/invocations", method: str = "POST") -> bytes:
    """Return a request with these header fields, and with Content-Length unless the fields frame the body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *fields]
    if not any(each.lower().startswith(("content-length", "transfer-encoding")) for each in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def question(**changes: Any) -> bytes:
    """Return a body of the sample form with some fields changed."""
    return json.dumps({**BODY, **changes}).encode()


def of(name: str, make: Callable[[], bytes], *statuses: int, method: str = "POST") -> HostileRequest:
    """Return an entry of the catalogue."""
    return HostileRequest(name, make, frozenset(statuses), method)


HEADERS = [
    of("semicolons in Content-Type", lambda: request(question(), "Content-Type: application/json" + ";" * 30_000), 415),
    of("semicolons in Accept", lambda: request(question(), "Accept: application/json" + ";" * 30_000), 406),
    of("200 KB of Content-Type", lambda: request(question(), "Content-Type: application/json" + ";" * 200_000), 431),
    of("digits in charset*", lambda: request(question(), f"{JSON}; charset*{'1' * 5000}=x"), 415),
    of("digits in q*", lambda: request(question(), f"Accept: application/json;q*{'1' * 5000}=1"), 406),
    of("800 digits in charset*", lambda: request(question(), f"{JSON}; charset*{'1' * 800}=x"), 200, 415),
    of("800 digits in q*", lambda: request(question(), f"Accept: application/json;q*{'1' * 800}=1"), 200, 406),
    of("a head of 1 MB", lambda: request(b"", f"X-A: {'x' * MB}", path="/ping", method="GET"), 431, method="GET"),
    of("a URL of 1 MB", lambda: request(b"", path="/" + "x" * MB, method="GET"), 414, method="GET"),
    of("150 header fields", lambda: request(question(), *["A: b"] * 150), 431),
    of("an upgrade to h2c", lambda: request(question(), "Connection: Upgrade", "Upgrade: h2c"), 200),
    of("an upgrade to websocket", lambda: request(question(), "Connection: Upgrade", "Upgrade: websocket"), 200),
    of("a request inside a body", lambda: request(b"GET /info HTTP/1.1\r\n\r\n", "Upgrade: h2c"), 400),
    of("NUL in a header field", lambda: request(question(), "X-A: a\0b"), 400),
    of("a long inference id", lambda: request(question(), f"X-Amzn-SageMaker-Inference-Id: {'i' * 20_000}"), 200),
    of("long attributes", lambda: request(question(), f"X-Amzn-SageMaker-Custom-Attributes: {'a' * 20_000}"), 200),
]
FRAMING = [
    of("a length of 1 TB", lambda: request(b"", f"Content-Length: {10**12}"), 413),
    of("a length that is no number", lambda: request(question(), "Content-Length: abc"), 400),
    of("two lengths", lambda: request(question(), "Content-Length: 5", "Content-Length: 6"), 400),
    of("a chunk that is no number", lambda: request(b"zz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 400),
    of("a chunk of 2**64 bytes", lambda: request(b"1" + b"0" * 16 + b"\r\n", "Transfer-Encoding: chunked"), 400, 413),
    of("a chunk that is too short", lambda: request(b"2\r\n{}xx\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 400),
    of("one byte in each chunk", lambda: request(one_byte_chunks(question()), "Transfer-Encoding: chunked"), 200),
    of("no HTTP", lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, 400),
    of("HTTP/9.9", lambda: b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n", 200, 400, 505, method="GET"),
]
JSON_BODIES = [
    of("deep JSON", lambda: request(b"[" * MB), 400, 413),
    of("a deep context", lambda: request(b'{"context": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 400, 413, 422),
    of("a large number", lambda: request(b'{"question": ' + b"9" * MB + b"}"), 400, 422),
    of("NaN", lambda: request(b'{"question": NaN}'), 400),
    of("a lone surrogate", lambda: request(b'{"question": "Who?", "context": "a \\ud800 b"}'), 200, 400, 422),
    of("not UTF-8", lambda: request(b'{"question": "\xff\xfe"}'), 400),
    of("25 MB of JSON", lambda: request(b'{"x": [' + b"1," * (12 * MB) + b"1]}"), 413, 422),
    of("30 MB of spaces", lambda: request(b" " * (30 * MB)), 413),
    of("a long parameter name", lambda: request(question(parameters={"p" * (3 * MB): 1})), 413, 422),
    of("many parameters", lambda: request(question(parameters={f"p{i}": 1 for i in range(100_000)})), 413, 422),
    of("many fields", lambda: request(question(**{f"f{i}": 1 for i in range(100_000)})), 200, 413, 422),
]
TEXTS = [
    of("4 MB without spaces", lambda: request(question(context="a" * (4 * MB))), 200, 413, 422),
    of("4 MB of CJK", lambda: request(question(context="漢" * MB)), 200, 413, 422, 429, 504),
    of("1 MB of accents", lambda: request(question(context="e" + "\u0301" * 500_000)), 200, 413, 422),
    of("a question of 4 MB", lambda: request(question(question="why " * MB)), 413, 422),
    of("tiny items", lambda: request(items(100_000)), 413, 422),
    of("equal windows", lambda: request(many_windows()), 422, 429),
    of("many long answers", lambda: request(long_answers()), 200),
]
JSON_LINES = [
    of("1 MB of newlines", lambda: request(b"\n" * MB, LINES), 200, 413),
    of("one long line", lambda: request(items(100_000) + b"\n", LINES), 200, 413, 422),
    of("100,000 bad lines", lambda: request(b"{\n" * 100_000, LINES), 200, 413, 422),
    of("deep lines", lambda: request((b"[" * 10_000 + b"\n") * 20, LINES), 200),
]
HOSTILE = [*HEADERS, *FRAMING, *JSON_BODIES, *TEXTS, *JSON_LINES]
HOSTILE_MULTI_MODEL = [
    of("60 MB to /models", lambda: request(b" " * (60 * MB), path="/models"), 413),
    of("deep JSON to /models", lambda: request(b"[" * 60_000, path="/models"), 400),
    of("a long model name", lambda: request(load("m" * 50_000, "/x"), path="/models"), 422),
    of("a long directory", lambda: request(load("m", "/" + "x" * 50_000), path="/models"), 404, 422),
    of("NUL in a directory", lambda: request(load("m", "/a\0b"), path="/models"), 404, 422),
    of("an unknown model", lambda: request(question(), path="/models/nobody/invoke"), 404),
    of("an encoded path", lambda: request(question(), path="/models/..%2f..%2fetc/invoke"), 404),
    of("a wrong method", lambda: request(b"", path="/models/first", method="PUT"), 405, method="PUT"),
]


def one_byte_chunks(body: bytes) -> bytes:
    """Return the body in chunks of one byte each."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def items(count: int) -> bytes:
    """Return a body with this many items that are as short as an item can be."""
    return b'{"inputs": [' + b",".join([b'{"question":"a","context":"b"}'] * count) + b"]}"


def many_windows() -> bytes:
    """Return a body whose windows overlap so much that each begins one token after the one before it."""
    return question(question="w", context="w " * 300_000, parameters={"doc_stride": 379, "max_question_len": 1})


def long_answers() -> bytes:
    """Return a body of 1.3 KB that asks for many long answers over long words."""
    words = " ".join("ab" * 20 for _ in range(30))
    return question(context=words, parameters={"top_k": 100, "max_answer_len": 512})


def load(name: str, directory: str) -> bytes:
    """Return a request body that loads a model."""
    return json.dumps({"model_name": name, "url": directory}).encode()
