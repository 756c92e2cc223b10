"""Requests that try to make the server need much memory, each with the statuses that are documented for it."""

from tests.hostile.catalogue import LINES, MB, HostileRequest, of, question, request

SENTENCE = "The harbour office kept careful records of every ship that came in. "
SAMPLE_START = b'{"question": "Who built the lighthouse?", "context": "'
DEEP = 100  # levels
EIGHT_WORDS = b"a b c d e f g h"
LONG = {"top_k": 100, "max_answer_len": 512}
PARAMETERS = b'"top_k":1,"max_answer_len":30,"max_seq_len":384,"doc_stride":128,"max_question_len":64'


def sized(size: int, start: bytes, repeated: bytes, end: bytes) -> bytes:
    """Return a body of about this size."""
    return start + repeated * ((size - len(start) - len(end)) // len(repeated)) + end


def tiny_items(size: int) -> bytes:
    """Return items that are as short as an item can be."""
    return sized(size, b'{"inputs": [', b'{"question":"a","context":"b"},', b'{"question":"a","context":"b"}]}')


def tiny_passages(number: int) -> bytes:
    """Return a question about passages that are as short as a passage can be."""
    return b'{"question":"a","contexts":[' + b",".join([b'"b"'] * number) + b"]}"


def keys(size: int) -> bytes:
    """Return an object with about one key for each 10 bytes."""
    return b'{"a":0' + b"".join(b',"%07d":0' % key for key in range(size // 12)) + b"}"


def long_words() -> bytes:
    """Return a body of 1.4 KB that asks for many long answers over long words."""
    words = ("abcdefghij" * 7 + " ") * 19
    return question(context=words, parameters=LONG)


def lines_of_text(size: int) -> bytes:
    """Return one long line of JSON Lines."""
    return sized(size, SAMPLE_START, SENTENCE.encode(), b'"}\n')


TEXTS = [
    of("4 MB without spaces", lambda: request(question(context="x" * (4 * MB))), 200),
    of("2 MB of text", lambda: request(question(context=SENTENCE * (2 * MB // len(SENTENCE)))), 200, 422, 429, 504),
    of("80 KB of text", lambda: request(question(context=SENTENCE * (80_000 // len(SENTENCE)))), 200, 429, 504),
    of("25 MB of text", lambda: request(question(context=SENTENCE * (25 * MB // len(SENTENCE)))), 422, 429),
    of("25 MB of punctuation", lambda: request(question(context="." * (25 * MB))), 422, 429),
    of("24 MB of CJK", lambda: request(sized(24 * MB, SAMPLE_START, "漢".encode(), b'"}')), 422, 429),
    of("24 MB of emoji", lambda: request(sized(24 * MB, SAMPLE_START, "😀".encode(), b'"}')), 200, 422, 429),
    of("24 MB with one emoji", lambda: request(sized(24 * MB, SAMPLE_START + "😀".encode(), b"a ", b'"}')), 422, 429),
    of("24 MB of escapes", lambda: request(sized(24 * MB, SAMPLE_START, b"\\u0041", b'"}')), 200, 422, 429),
    of("24 MB of escaped CJK", lambda: request(sized(24 * MB, SAMPLE_START, b"\\u6f22", b'"}')), 422, 429),
    of("24 MB of spaces", lambda: request(sized(24 * MB, SAMPLE_START + b"a", b" ", b'"}')), 200),
    of("a question of 24 MB", lambda: request(question(question="why " * (6 * MB))), 422),
    of(
        "doc_stride 379",
        lambda: request(question(question="a", context="b " * 300_000, parameters={"doc_stride": 379})),
        422,
    ),
    of("many long answers over long words", lambda: request(long_words()), 200),
    of(
        "long answers over a long document",
        lambda: request(
            question(context=SENTENCE * 500, parameters={"top_k": 100, "max_answer_len": 512, "doc_stride": 100})
        ),
        200,
    ),
]
JSON_BODIES = [
    of("6 MB of tiny items", lambda: request(tiny_items(6 * MB)), 413),
    of("5,000 tiny passages", lambda: request(tiny_passages(5000)), 200, 422, 429),
    of("5,000 tiny items", lambda: request(tiny_items(31 * 5000)), 200, 413, 422, 429),
    of("24 MB of empty strings", lambda: request(sized(24 * MB, b'{"instances":[', b'"",', b'""]}')), 413),
    of("24 MB of one-letter strings", lambda: request(sized(24 * MB, b'{"instances":[', b'"a",', b'""]}')), 413),
    of("a million empty strings", lambda: request(sized(3 * MB, b'{"instances":[', b'"",', b'""]}')), 413),
    of("24 MB of zeros", lambda: request(sized(24 * MB, b'{"x":[', b"0,", b"0]}")), 413),
    of("24 MB of numbers", lambda: request(sized(24 * MB, b'{"x":[', b"1.5e300,", b"0]}")), 413),
    of("24 MB of large integers", lambda: request(sized(24 * MB, b'{"x":[', b"18446744073709551615,", b"0]}")), 413),
    of("one number of 24 MB", lambda: request(sized(24 * MB, b'{"x":', b"9", b"}")), 400, 413, 422),
    of("a million keys", lambda: request(keys(12 * MB)), 413),
    of("24 MB of empty objects", lambda: request(sized(24 * MB, b'{"x":[', b"{},", b"{}]}")), 413),
    of("24 MB of objects in objects", lambda: request(sized(24 * MB, b'{"x":[', b'{"a":{"a":{}}},', b"{}]}")), 413),
    of(
        "24 MB of nested lists",
        lambda: request(sized(24 * MB, b'{"x":[', b"[" * DEEP + b"]" * DEEP + b",", b"0]}")),
        413,
    ),
    of("24 MB of brackets", lambda: request(b"[" * (24 * MB)), 400, 413),
    of(
        "70,000 objects with keys", lambda: request(sized(4 * MB, b'{"x":[', b'{"a":0,"b":{"c":0}},', b"0]}")), 413, 422
    ),
    of("70,000 long strings", lambda: request(sized(24 * MB, b'{"x":[', b'"' + b"a" * 330 + b'",', b"0]}")), 413, 422),
    of("4,900 items with long texts", lambda: request(items_of_text(4900, 24 * MB)), 413, 422, 429),
    of("24 MB of bytes that are not UTF-8", lambda: request(sized(24 * MB, SAMPLE_START, b"\xff", b'"}')), 400),
    of("24 MB of unknown fields in an item", lambda: request(unknown_fields(24 * MB)), 200, 413, 422),
    of("many unknown parameters", lambda: request(question(parameters={f"p{i}": 1 for i in range(75_000)})), 422),
    of(
        "5,000 items with unknown parameters",
        lambda: request(items_with(b'"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0')),
        422,
    ),
    of("5,000 items with parameters", lambda: request(items_with(PARAMETERS)), 200, 422, 429),
    of("400 items with many answers each", lambda: request(items_with(b'"top_k":100', EIGHT_WORDS, 400)), 413, 429),
    of("100 long answers to 4 MB", lambda: request(question(context="x" * (4 * MB), parameters=LONG)), 413),
    of("wrong items", lambda: request(sized(20_000, b'{"inputs":[', b"0,", b"0]}")), 413, 422),
]
JSON_LINES = [
    of("1 MB of newlines", lambda: request(b"\n" * MB, LINES), 200),
    of("a line of 7 MB", lambda: request(lines_of_text(7 * MB), LINES), 200, 504),
    of("24 MB of lines of 4 MB", lambda: request(sized(4 * MB, SAMPLE_START, b"x", b'"}\n') * 6, LINES), 200),
    of("a line of 24 MB", lambda: request(lines_of_text(24 * MB), LINES), 200),
    of("1 MB of wrong lines", lambda: request(b"x\n" * (MB // 20), LINES), 200, 413),
    of("24 MB of lines with empty strings", lambda: request(sized(6 * MB, b"[", b'"",', b"0]\n") * 4, LINES), 200),
]


def items_with(parameters: bytes, context: bytes = b"b", count: int = 5000) -> bytes:
    """Return items with parameters, as many as are allowed or fewer."""
    item = b'{"question":"a","context":"%s","parameters":{%s}}' % (context, parameters)
    return b'{"inputs":[' + b",".join([item] * count) + b"]}"


def items_of_text(count: int, size: int) -> bytes:
    """Return this many items with text of this size in all."""
    context = b"x " * (size // count // 2 - 20)
    return b'{"inputs":[' + b",".join([b'{"question":"a","context":"%s"}' % context] * count) + b"]}"


def unknown_fields(size: int) -> bytes:
    """Return an item that also has fields that nobody asked for."""
    fields = b"".join(b',"%05d":"%s"' % (field, b"z" * 350) for field in range(size // 361))
    return b'{"question":"Who?","context":"Zoe."' + fields + b"}"


LARGE: list[HostileRequest] = [*TEXTS, *JSON_BODIES, *JSON_LINES]
