"""What the protocol does with heads, bodies and pipelined requests, on a real socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from serve.http.limits import Limits
from serve.metrics import exposition
from tests.unit.serve.http.serving import MIB, Answer, Served, serving

GET = b"GET /a HTTP/1.1\r\n\r\n"


def run(check: Callable[[Served], Awaitable[None]], limits: Limits | None = None, budget_bytes: int = 64 * MIB) -> None:
    async def main() -> None:
        async with serving(limits, budget_bytes) as served:
            await check(served)

    uvloop.run(main())


def post(body: bytes, *fields: str, path: str = "/a") -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def check_error(answer: Answer, status: int, error_type: str) -> None:
    assert answer.status == status, answer
    assert answer.json()["error_type"] == error_type
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["connection"] == "close"


# Heads


def head_of(size: int, start: bytes = b"GET /a HTTP/1.1\r\n") -> bytes:
    return start + b"a: " + b"x" * (size - len(start) - 7) + b"\r\n\r\n"


def test_a_head_at_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        assert len(head_of(65_536)) == 65_536
        assert (await client.ask(head_of(65_536))).status == 200
        assert (await client.ask(post(b"x" * 100_000))).json()["bytes"] == 100_000
        check_error(await client.ask(head_of(65_537)), 431, "request_header_fields_too_large")
        assert await client.is_closed()

    run(check)


@pytest.mark.parametrize("pause", [None, 0.01])
def test_a_head_without_end_is_refused_as_it_arrives(pause: float | None) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(b"GET /a HTTP/1.1\r\na: ")
        for _ in range(20):
            await client.send(b"x" * 8192)
            if pause:
                await asyncio.sleep(pause)
        check_error(await client.answer(), 431, "request_header_fields_too_large")
        assert served.app.begun == []

    run(check)


def test_the_client_can_read_its_refusal_although_it_goes_on_sending() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(b"GET /" + b"x" * 20 * MIB + b" HTTP/1.1\r\n\r\n")
        check_error(await client.answer(), 414, "uri_too_long")

    run(check)


def test_leading_line_ends_count_as_part_of_the_head() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        check_error(await client.ask(b"\r\n" * 40_000 + GET), 431, "request_header_fields_too_large")
        client = await served.client()
        assert (await client.ask(b"\r\n\r\n" + GET)).status == 200

    run(check)


def test_a_large_head_behind_another_request_is_refused_too() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(post(b"x" * 200_000) + head_of(70_000))
        assert (await client.answer()).json()["bytes"] == 200_000
        check_error(await client.answer(), 431, "request_header_fields_too_large")

    run(check)


def test_a_request_has_at_most_100_header_fields() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        lines = b"GET /a HTTP/1.1\r\n" + b"a: b\r\n" * 100
        assert (await client.ask(lines + b"\r\n")).status == 200
        check_error(await client.ask(lines + b"c: d\r\n\r\n"), 431, "request_header_fields_too_large")

    run(check)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /a\r\n\r\n",
        b"GET /a HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET a HTTP/1.1\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\n\r\n",
        b"NONSENSE /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\na: b\x00\r\n\r\n",
        b"GET /a HTTP/1.1\r\na: b\x7f\r\n\r\n",
        b"GET /a HTTP/1.1\r\na: b\r\n c\r\n\r\n",
        b"GET /a HTTP/1.1\r\na: b\nc: d\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nContent-Length : 1\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: identity\r\nHost: x\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\nx",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ],
)
@pytest.mark.parametrize("are_bytes_single", [False, True])
def test_what_is_no_valid_request_gets_400_and_ends_the_connection(data: bytes, are_bytes_single: bool) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        for piece in [data[i : i + 1] for i in range(len(data))] if are_bytes_single else [data + GET]:
            await client.send(piece)
            await asyncio.sleep(0)
        check_error(await client.answer(), 400, "malformed_request")
        assert await client.is_closed()
        assert len(served.app.begun) <= 1

    run(check)


def test_a_length_with_thousands_of_leading_zeros_is_a_number() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        data = b"POST /a HTTP/1.1\r\nContent-Length: " + b"0" * 5000 + b"3 \r\n\r\nabc"
        assert (await client.ask(data)).json()["bytes"] == 3

    run(check)


def test_a_refusal_is_counted_and_has_what_is_known_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        fields = b"X-Amzn-SageMaker-Inference-Id: mine\r\nX-Amzn-SageMaker-Custom-Attributes: trace=1\r\n"
        answer = await client.ask(b"GET /a HTTP/1.1\r\n" + fields + b"a: b\r\n" * 100 + b"\r\n")
        check_error(answer, 431, "request_header_fields_too_large")
        assert answer.json()["request_id"] == "mine"
        assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1;request_id=mine"
        counted = 'bertqa_requests_total{status="431"} 1.0'
        await served.until(lambda: counted in exposition(served.metrics.registry, "")[0].decode())

    with caplog.at_level("INFO", logger="request"):
        run(check)
    (line,) = (record for record in caplog.records if record.message == "invocation")
    assert (line.status, line.request_id) == (431, "mine")  # type: ignore[attr-defined]
    assert line.error.startswith("request_header_fields_too_large: ")  # type: ignore[attr-defined]


# Upgrades


@pytest.mark.parametrize("value", ["h2c", "websocket", "TLS/1.0", "anything"])
@pytest.mark.parametrize("pieces", ["one", "body apart", "single bytes"])
def test_an_upgrade_is_ignored_and_the_request_answered(value: str, pieces: str) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        body = b"GET /smuggled HTTP/1.1\r\n\r\n"
        fields = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {value}", "HTTP2-Settings: AAEA", "X-Mine: 1"]
        data = post(body, *fields)
        for _ in range(2):
            if pieces == "one":
                await client.send(data)
            elif pieces == "body apart":
                await client.send(data[: -len(body)])
                await asyncio.sleep(0.02)
                await client.send(body)
            else:
                for index in range(len(data)):
                    await client.send(data[index : index + 1])
                    await asyncio.sleep(0)
            answer = (await client.answer()).json()
            assert (answer["method"], answer["path"], answer["bytes"]) == ("POST", "/a", len(body))
            assert answer["headers"]["x-mine"] == "1"
        assert (await client.ask(GET)).status == 200
        assert served.app.begun == ["/a"] * 3

    run(check)


def test_an_upgrade_with_a_chunked_body_and_a_request_behind_it_are_both_answered() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        head = b"POST /b HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"5\r\nhello\r\n0\r\n\r\n" + GET)
        assert [(await client.answer()).json()["bytes"], (await client.answer()).json()["path"]] == [5, "/a"]

    run(check)


# Bodies


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


def test_chunked_bodies_of_ordinary_chunks_are_read_whatever_their_size() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        assert (await client.ask(chunked(*[b"x" * 8192] * 1000))).json()["bytes"] == 8_192_000
        assert (await client.ask(chunked(*[b"x" * 10] * 50_000))).json()["bytes"] == 500_000
        assert (await client.ask(chunked(*[b"x"] * 5_000))).json()["bytes"] == 5_000

    run(check)


@pytest.mark.parametrize(
    "endless",
    [b"1\r\nx\r\n" * 1000, b"5;" + b"x" * 5000, b"0\r\n" + b"a: b\r\n" * 1000, b"0\r\na: " + b"x" * 5000],
    ids=["tiny chunks", "extension", "many trailers", "long trailer"],
)
def test_framing_without_end_is_refused(endless: bytes) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + endless)
        rest = endless if endless.startswith(b"1") else b"a: b\r\n" * 1000 if b"a: b" in endless else b"x" * 5000
        for _ in range(100):
            await client.send(rest)
        check_error(await client.answer(), 400, "malformed_request")

    run(check)


def test_trailers_do_not_become_headers() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        answer = await client.ask(chunked(b"hello", trailer=b"x-late: 1\r\n"))
        assert "x-late" not in answer.json()["headers"]

    run(check)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_budget_gets_429_and_small_ones_still_fit(is_chunked: bool) -> None:
    async def check(served: Served) -> None:
        first = await served.client()
        await first.send(post(b"x" * MIB, path="/wait"))
        await served.until(lambda: served.app.begun == ["/wait"])
        second = await served.client()
        large = chunked(*[b"x" * 8192] * 100) if is_chunked else post(b"x" * 800_000)
        answer = await second.ask(large)
        check_error(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert await second.is_closed()
        third = await served.client()
        assert (await third.ask(post(b"x" * 65_536))).json()["bytes"] == 65_536
        served.app.go_on.set()
        assert (await first.answer()).status == 200
        fourth = await served.client()
        assert (await fourth.ask(large)).status == 200

    run(check, budget_bytes=2 * MIB)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_larger_than_the_budget_is_admitted_while_no_other_large_one_is_in_flight(is_chunked: bool) -> None:
    async def check(served: Served) -> None:
        small, large = await served.client(), await served.client()
        await small.send(post(b"x" * 1000, path="/wait"))
        data = chunked(*[b"x" * 8192] * 1000) if is_chunked else post(b"x" * 8_192_000)
        assert (await large.ask(data)).json()["bytes"] == 8_192_000

    run(check, budget_bytes=2 * MIB)


def test_a_client_that_waits_for_100_continue_is_refused_without_it_and_sends_no_body() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        head = post(b"", "Expect: 100-continue").replace(b"Content-Length: 0", b"Content-Length: 5")
        await client.send(head)
        assert (await client.answer()).status == 100
        await client.send(b"hello")
        assert (await client.answer()).json()["bytes"] == 5
        await client.send(head.replace(b"/a", b"/early"))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.is_closed()
        first, second = await served.client(), await served.client()
        await first.send(post(b"x" * 100_000, path="/wait"))
        await served.until(lambda: "/wait" in served.app.begun)
        await second.send(head.replace(b"Length: 5", b"Length: 1500000"))
        check_error(await second.answer(), 429, "overloaded")

    run(check, budget_bytes=2 * MIB)


def test_an_answer_before_the_end_of_a_short_body_keeps_the_connection_in_step() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        body = GET * 5
        data = post(body, path="/early")
        await client.send(data[: -len(body)])
        assert (await client.answer()).json()["path"] == "/early"
        await client.send(body + GET)
        assert (await client.answer()).json()["path"] == "/a"
        assert served.app.begun == ["/early", "/a"]

    run(check)


def test_an_answer_before_the_end_of_a_long_body_closes_the_connection_and_arrives() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(post(b"x" * 20 * MIB, path="/early"))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.is_closed()

    run(check)


# Several requests on one connection


@pytest.mark.parametrize("fields", ["", "Connection: upgrade\r\nUpgrade: h2c\r\n"])
def test_pipelined_requests_are_answered_in_order_up_to_the_limit(fields: str) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(b"".join(f"GET /{i} HTTP/1.1\r\n{fields}\r\n".encode() for i in range(5000)))
        for index in range(17):
            assert (await client.answer()).json()["path"] == f"/{index}"
        check_error(await client.answer(), 429, "overloaded")
        assert await client.is_closed()

    run(check)


def test_an_error_in_a_pipelined_request_waits_for_the_answers_before_it() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(post(b"x" * 10, path="/wait") + b"NONSENSE\r\n\r\n")
        await asyncio.sleep(0.05)
        served.app.go_on.set()
        assert (await client.answer()).json()["path"] == "/wait"
        check_error(await client.answer(), 400, "malformed_request")

    run(check)


def test_http_1_0_is_answered_and_closed() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(b"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
        assert (await client.answer()).json()["bytes"] == 2
        assert await client.is_closed()

    run(check)


@pytest.mark.parametrize("behind", [b"", GET, post(b"x" * 300_000), post(b"x" * 300_000)[:200_000], b"NONSENSE"])
@pytest.mark.parametrize("together", [True, False])
def test_all_requests_of_a_client_that_leaves_are_cancelled(behind: bytes, together: bool) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        first = post(b"x" * 100_000, path="/wait")
        await client.send(first + behind if together else first)
        await served.until(lambda: served.app.begun == ["/wait"])
        await asyncio.sleep(0.05)
        if not together:
            await client.send(behind)
            await asyncio.sleep(0.05)
        client.writer.close()
        await served.until(lambda: served.app.left == ["/wait"])
        await served.until(lambda: not served.state.connections)
        assert served.app.begun == ["/wait"]
        assert served.budget.held_bytes == 0

    run(check)


def test_json_of_the_error_is_short() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        answer = await client.ask(b"GET /a HTTP/1.1\r\n" + b"A" * 60_000 + b"\r\n\r\n")
        assert len(answer.body) < 1000
        assert set(json.loads(answer.body)) == {"error_type", "error", "request_id"}

    run(check)
