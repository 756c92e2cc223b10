"""Windows that wait share calls of scripted lanes: which do, which do not, and what happens when a lane is lost.

On these lanes, each further window of a call takes a quarter of the time of the first.
"""

import asyncio
import os
import signal

import pytest

from container.precision import Precision
from model_loader.ladder import Batch
from serve.errors import InferenceFailed
from serve.lanes.batches.measure import BatchMeasurement
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.plan import LaneSpec, Plan
from serve.lanes.pool import LanePool
from serve.lanes.supervisor import LaneSupervisor
from serve.metrics import Metrics
from tests.unit.serve.lanes.conftest import Scenario
from tests.unit.serve.lanes.scripted_lanes import (
    GUARD,
    NARROW,
    SCENARIO_SECONDS,
    WIDE,
    Lanes,
    model_file,
    start_scripted,
    until,
    window,
)
from tests.unit.serve.lanes.scripted_zygote import COLD_FILE, COST_MS, CRASH, FAIL, SLOW

RUNGS = (16, 32, 48, 64)
ONE = NARROW[:1]


def batched(*specs: LaneSpec, max_windows: int | None = None, path: str = "scripted.pt") -> Lanes:
    """Lanes that may run several windows in one call. Nothing is started yet."""
    metrics = Metrics()
    plan = Plan(specs, rung_step=16, memory_mb=0, max_batch_windows=max_windows, batch_shapes=12)
    pool = LanePool((model_file(path=path),), RUNGS, plan, CoreArbiter(), metrics)
    return Lanes(pool, LaneSupervisor(pool, metrics, start_scripted), metrics)


def play(scenario: Scenario, *specs: LaneSpec, max_windows: int | None = None, path: str = "scripted.pt") -> None:
    """Play a scenario on lanes that have measured batches and warmed them."""

    async def scene() -> None:
        lanes = batched(*specs, max_windows=max_windows, path=path)
        lanes.pool.open()
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                await lanes.bring_up(model_file(path=path))
                lanes.supervisor.complete()
                await until(lambda: lanes.supervisor.is_warm)
                await scenario(lanes)
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def submit(pool: LanePool, *first_ids: int, tokens: int = 32, precision: Precision = "INT8") -> list[Job]:
    """Submit windows of one request each, of this length, while all lanes are busy."""
    return [pool.submit(Ticket(), precision, [window(*[first] * tokens)])[0] for first in first_ids]


def calls_of(lanes: Lanes) -> dict[str, float]:
    """The number of calls by their number of windows, of those with several."""
    samples = [sample for metric in lanes.metrics.batches.collect() for sample in metric.samples]
    return {each.labels["windows"]: each.value for each in samples if each.name.endswith("_total")}


async def results(jobs: list[Job]) -> list[float]:
    return [float((await job.result).start[0]) for job in jobs]


def test_windows_that_wait_share_a_call_and_each_gets_its_own_logits() -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = submit(lanes.pool, SLOW, *range(1, 6), tokens=30)
        assert await results(jobs) == [SLOW, 1, 2, 3, 4, 5]
        assert calls_of(lanes) == {"4": 1}  # then one window is left
        assert [job.rung for job in jobs[1:5]] == [32] * 4

    play(scenario, *ONE)


def test_an_idle_server_runs_single_windows() -> None:
    async def scenario(lanes: Lanes) -> None:
        for first in range(1, 6):
            assert await results(submit(lanes.pool, first)) == [first]
        assert await results(submit(lanes.pool, 1, 2)) == [1, 2]  # one for each lane
        assert calls_of(lanes) == {}

    play(scenario, *NARROW)


def test_each_lane_takes_its_share_of_what_waits() -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = submit(lanes.pool, SLOW, SLOW, 1, 2, 3)
        assert sorted(await results(jobs)) == [1, 2, 3, SLOW, SLOW]
        assert calls_of(lanes) == {"2": 1}

    play(scenario, *NARROW)


def test_windows_of_the_next_shorter_rung_join_and_others_keep_their_place() -> None:
    async def scenario(lanes: Lanes) -> None:
        (slow,) = submit(lanes.pool, SLOW)
        first, long, short = (
            submit(lanes.pool, each, tokens=tokens)[0] for each, tokens in ((1, 32), (2, 60), (3, 16))
        )
        assert await results([slow, first, long, short]) == [SLOW, 1, 2, 3]
        assert calls_of(lanes) == {"2": 1}
        assert (first.rung, short.rung, long.rung) == (32, 32, 64)
        assert first.started_at == short.started_at < long.started_at

    play(scenario, *ONE)


def test_the_limit_of_the_setting_holds() -> None:
    async def scenario(lanes: Lanes) -> None:
        assert len(await results(submit(lanes.pool, SLOW, *range(1, 6)))) == 6
        assert calls_of(lanes) == {"2": 2}

    play(scenario, *ONE, max_windows=2)


def test_one_window_at_a_time_needs_no_measurement() -> None:
    async def scenario(lanes: Lanes) -> None:
        assert len(await results(submit(lanes.pool, SLOW, *range(1, 6)))) == 6
        assert calls_of(lanes) == {}
        assert lanes.pool.lanes[0].warm_batches == {"INT8": frozenset()}

    play(scenario, *ONE, max_windows=1)


def test_wide_lanes_and_the_guard_take_single_windows() -> None:
    async def scenario(lanes: Lanes) -> None:
        wide = next(lane for lane in lanes.pool.lanes if lane.spec is WIDE)
        assert wide.warm_batches == {}
        ticket = Ticket()
        jobs = [lanes.pool.submit_idle(ticket, "INT8", [window(*[each] * 32)])[0] for each in range(1, 6)]
        assert await results(jobs) == [1, 2, 3, 4, 5]
        assert calls_of(lanes) == {}

    play(scenario, *NARROW, WIDE, GUARD)


def test_a_long_window_waits_for_a_turn_of_each_other_request_and_no_longer() -> None:
    async def scenario(lanes: Lanes) -> None:
        (slow,) = submit(lanes.pool, SLOW)
        many = lanes.pool.submit(Ticket(), "INT8", [window(*[each] * 20) for each in range(1, 41)])
        (long,) = submit(lanes.pool, 50, tokens=64)
        await results([slow, *many, long])
        assert sum(job.started_at < long.started_at for job in many) <= 8  # a turn of 4, and those that share its calls

    play(scenario, *ONE)


def test_a_window_is_not_overtaken_for_ever_by_batches_of_later_requests() -> None:
    async def scenario(lanes: Lanes) -> None:
        (slow,) = submit(lanes.pool, SLOW)
        first = submit(lanes.pool, 1, 2, 3)
        (long,) = submit(lanes.pool, 50, tokens=64)
        waiting = set(first)
        number = 100
        while not long.result.done():
            done, _ = await asyncio.wait([job.result for job in waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting = {job for job in waiting if job.result not in done}
            waiting |= set(submit(lanes.pool, *range(number, number + len(done))))
            number += len(done)
            assert number < 120
        await results([slow, *waiting])

    play(scenario, *ONE)


def test_windows_of_a_lost_lane_run_again_and_alone() -> None:
    async def scenario(lanes: Lanes) -> None:
        slow, *jobs = submit(lanes.pool, SLOW, 1, CRASH, 2, 3)
        assert await results([slow, jobs[0], *jobs[2:]]) == [SLOW, 1, 2, 3]
        with pytest.raises(InferenceFailed, match="two lanes were lost while they ran the same window"):
            await jobs[1].result
        assert [(job.attempts, job.lanes_lost) for job in jobs] == [(2, 1), (2, 2), (2, 1), (2, 1)]
        assert calls_of(lanes) == {}  # no call with several windows has ended

    play(scenario, *ONE)


def test_an_idle_lane_that_has_run_windows_is_replaced_when_it_is_lost() -> None:
    async def scenario(lanes: Lanes) -> None:
        assert len(await results(submit(lanes.pool, SLOW, 1, 2, 3, 4))) == 5
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        os.kill(lane.process.pid, signal.SIGKILL)
        await until(lambda: lane.restarts == 1 and lane.process is not None)
        assert await results(submit(lanes.pool, 5)) == [5]

    play(scenario, *ONE)


def test_a_window_that_raises_an_error_fails_alone() -> None:
    async def scenario(lanes: Lanes) -> None:
        slow, *jobs = submit(lanes.pool, SLOW, 1, FAIL, 2, 3)
        assert await results([slow, jobs[0], *jobs[2:]]) == [SLOW, 1, 2, 3]
        with pytest.raises(InferenceFailed, match="the model raised an error"):
            await jobs[1].result

    play(scenario, *ONE)


def test_the_new_lanes_inherit_the_batches_when_the_zygote_was_lost() -> None:
    async def scenario(lanes: Lanes) -> None:
        zygote = lanes.supervisor._zygote.process
        assert zygote is not None
        zygote.kill()
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        chosen = frozenset(lanes.pool.batches.chosen("INT8"))
        lane.process.kill()  # type: ignore[attr-defined]
        await until(lambda: lane.restarts == 1 and lane.warm_batches.get("INT8") == chosen)
        jobs = submit(lanes.pool, SLOW, 1, 2, 3, 4)
        assert await results(jobs) == [SLOW, 1, 2, 3, 4]
        assert calls_of(lanes) == {"4": 1}

    play(scenario, *ONE)


def test_a_waiting_window_that_is_dropped_does_not_join() -> None:
    async def scenario(lanes: Lanes) -> None:
        slow, *jobs = submit(lanes.pool, SLOW, 1, 2)
        ticket = Ticket()
        (gone,) = lanes.pool.submit(ticket, "INT8", [window(*[3] * 32)])
        lanes.pool.drop(ticket, {gone})
        assert await results([slow, *jobs]) == [SLOW, 1, 2]
        assert not gone.result.done()
        assert calls_of(lanes) == {"2": 1}

    play(scenario, *ONE)


def test_the_measurement_runs_in_a_lane_of_its_own_and_ends_it() -> None:
    async def scenario(lanes: Lanes) -> None:
        assert set(lanes.pool.batches.chosen("INT8")) == {Batch(32, 2), Batch(32, 4), Batch(64, 2), Batch(64, 4)}
        assert lanes.pool.batches.gain("INT8", Batch(64, 4)) == pytest.approx(4 / 1.75)
        assert lanes.pool.batches.cost_ms("INT8", Batch(64, 2)) == pytest.approx(1.25 * COST_MS)

    play(scenario, *ONE)


def test_a_precision_that_cannot_be_measured_runs_one_window_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        lanes = batched(*ONE, path=COLD_FILE)  # cannot run 32 tokens
        lanes.pool.open()
        try:
            await lanes.bring_up(model_file(path=COLD_FILE))
            fork = lanes.supervisor._zygote.fork
            with pytest.raises(Exception, match="INT8 cannot run 32 tokens"):
                await BatchMeasurement(lanes.pool.batches, fork, ONE[0]).run("INT8")
            assert lanes.pool.batches.chosen("INT8") == []
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_a_server_that_is_busy_from_its_start_measures_batches_all_the_same() -> None:
    async def ask_on(pool: LanePool) -> None:
        while True:
            (job,) = submit(pool, 1)
            await job.result

    async def scene() -> None:
        lanes = batched(*NARROW, WIDE)
        lanes.pool.open()
        clients = []
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                await lanes.bring_up(model_file())
                clients = [asyncio.create_task(ask_on(lanes.pool)) for _ in range(6)]
                lanes.supervisor.complete()
                await until(lambda: bool(calls_of(lanes)))
        finally:
            for each in clients:
                each.cancel()
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_work_ahead_counts_a_call_once() -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = submit(lanes.pool, SLOW, SLOW, SLOW, SLOW, SLOW)
        await jobs[0].result
        while len(lanes.pool.lanes[0].jobs) != 4:
            await asyncio.sleep(0)  # the call of four takes only SLOW_SECONDS
        assert lanes.pool.work_ahead_ms(1) <= 1.75 * COST_MS
        await results(jobs)

    play(scenario, *ONE)


def test_a_hand_made_plan_has_no_batches() -> None:
    assert (Plan((), 16, 0).max_batch_windows, Plan((), 16, 0).batch_shapes) == (1, 0)
