"""Admission: what is refused, with which advice, and what is not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serve.errors import DocumentTooLong, Overloaded
from serve.lanes.admission import Admission, AdmissionLimits, Permit
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.fair_queue import Ticket
from tests.unit.serve.lanes.conftest import Play
from tests.unit.serve.lanes.scripted_lanes import BACKGROUND, NARROW, Lanes, lanes_of, window
from tests.unit.serve.lanes.scripted_zygote import COST_MS, SLOW

LIMITS = AdmissionLimits(timeout_seconds=60, max_queue_seconds=10)
# Each window of a queue costs COST_MS on one of two narrow lanes.
WINDOWS_OF_A_SECOND = int(1000 / COST_MS) * 2


def admission(lanes: Lanes, limits: AdmissionLimits = LIMITS) -> Admission:
    return Admission(lanes.pool, limits)


async def fill_queue(lanes: Lanes, seconds: float) -> None:
    """Queue as many requests of one window as the lanes would run in this time; no lane begins the next one yet."""
    for _ in range(int(seconds * WINDOWS_OF_A_SECOND)):
        lanes.pool.submit(Ticket(), "INT8", [window(SLOW, 1)])


def overload(play: Play, test: Callable[[Admission], Awaitable[None]], limits: AdmissionLimits = LIMITS) -> None:
    """Run a test on a server whose queue is 12 s long."""

    async def scenario(lanes: Lanes) -> None:
        await fill_queue(lanes, 12)
        await test(admission(lanes, limits))

    play(scenario, NARROW)


def test_an_idle_server_gives_a_permit_that_ends_at_the_deadline(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        now = asyncio.get_running_loop().time()
        permit = admission(lanes).issue_permit()
        assert permit.deadline == pytest.approx(now + 60, abs=1)
        admission(lanes).approve(permit, windows=3, cost_ms=3 * COST_MS)

    play(scenario, NARROW)


def test_every_request_gets_a_ticket_of_its_own(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        first, second = (admission(lanes).issue_permit() for _ in range(2))
        assert first.ticket is not second.ticket

    play(scenario, NARROW)


def test_a_long_queue_refuses_a_request_before_its_work_is_known(play: Play) -> None:
    async def test(gate: Admission) -> None:
        with pytest.raises(Overloaded, match=r"would wait about 1[12]\.\d s in the queue") as refused:
            gate.issue_permit()
        assert refused.value.retry_after_seconds in (1, 2)

    overload(play, test)


def test_the_queueing_delay_is_the_waiting_work_over_the_lanes(play: Play) -> None:
    async def test(gate: Admission) -> None:
        assert gate.queueing_delay_ms(windows=1) == pytest.approx(12_000, rel=0.01)

    overload(play, test)


def test_a_stream_is_refused_too_unless_streams_can_wait(play: Play) -> None:
    async def test(gate: Admission) -> None:
        with pytest.raises(Overloaded):
            gate.issue_permit(is_stream=True)

    overload(play, test)

    async def test_of_batch(gate: Admission) -> None:
        assert gate.issue_permit(is_stream=True).is_stream
        with pytest.raises(Overloaded):
            gate.issue_permit()

    overload(play, test_of_batch, AdmissionLimits(60, 10, can_streams_wait=True))


def test_no_line_of_a_stream_is_refused_once_the_stream_is_admitted(play: Play) -> None:
    async def test(gate: Admission) -> None:
        gate.approve(Permit(deadline=1e9, is_stream=True), windows=10**6, cost_ms=1e9)

    overload(play, test)


def test_a_document_that_an_idle_server_could_not_finish_is_too_long(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        gate = admission(lanes)
        with pytest.raises(
            DocumentTooLong, match=r"has 200 windows of text, which need about 100 s .* at most about 120 windows"
        ):
            gate.approve(gate.issue_permit(), windows=200, cost_ms=200_000)

    play(scenario, NARROW)


def test_a_document_that_would_miss_its_deadline_behind_the_queue_is_refused_for_now(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        gate = admission(lanes)
        permit = gate.issue_permit()
        await fill_queue(lanes, 9)
        gate.approve(permit, windows=4, cost_ms=2 * 50_000)
        with pytest.raises(Overloaded) as refused:
            gate.approve(permit, windows=4, cost_ms=2 * 55_000)
        assert refused.value.retry_after_seconds == pytest.approx(4, abs=1)

    play(scenario, NARROW)


def test_background_windows_count_with_the_time_that_a_busy_foreground_leaves_them(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        gate = admission(lanes)
        gate.approve(gate.issue_permit(), windows=50, cost_ms=2 * 30_000)
        lanes.pool.busy.add(1e9)  # the cores have been busy for the last seconds
        with pytest.raises(Overloaded):
            gate.approve(gate.issue_permit(), windows=50, cost_ms=2 * 30_000)

    play(scenario, (*NARROW, *BACKGROUND))


def test_other_models_delay_a_request_by_at_most_its_own_models_work() -> None:
    async def scene() -> None:
        arbiter = CoreArbiter()
        busy, quiet = (lanes_of(NARROW, cores=arbiter) for _ in range(2))
        for each in (busy, quiet):
            each.pool.open()
            each.pool.costs.observe(1, "INT8", 48, 1000)
        busy.pool.submit(Ticket(), "INT8", [window(1)] * 4)
        assert admission(busy).queueing_delay_ms(windows=1) == 2000
        assert admission(quiet).queueing_delay_ms(windows=1) == 0
        quiet.pool.submit(Ticket(), "INT8", [window(1)])
        assert admission(quiet).queueing_delay_ms(windows=1) == 1000

    asyncio.run(scene())


def test_the_largest_number_of_tokens_follows_from_the_time_limit(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        gate = admission(lanes, AdmissionLimits(timeout_seconds=0.01, max_queue_seconds=10))
        assert gate.max_tokens(Permit(0), max_seq_len=100, window_ms=0) == 1000
        assert (
            gate.max_tokens(Permit(0), max_seq_len=100, window_ms=10) == 300
        )  # two lanes run a window each, and one more
        assert gate.max_tokens(Permit(0, is_stream=True), max_seq_len=100, window_ms=10) == 1000

    play(scenario, NARROW)
