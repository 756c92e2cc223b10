"""The pool over scripted lanes: whose window runs where, and what comes back."""

import asyncio
import os
import signal

import numpy as np
import pytest

from container.precision import Precision
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.lane import Lane
from serve.lanes.plan import LaneKind
from serve.lanes.pool import LanePool
from tests.unit.serve.lanes.conftest import Play
from tests.unit.serve.lanes.scripted_lanes import (
    BACKGROUND,
    GUARD,
    NARROW,
    SCENARIO_SECONDS,
    WIDE,
    Lanes,
    lanes_of,
    model_file,
    no_check,
    until,
    window,
)
from tests.unit.serve.lanes.scripted_zygote import COLD_FILE, COST_MS, CRASH, FAIL, HANG, SLOW

SLOW_WINDOW = window(SLOW, 1)


def running(pool: LanePool) -> list[str]:
    """The names of the lanes that run windows now."""
    return sorted(lane.spec.name for lane in pool.lanes if lane.jobs)


def lane(pool: LanePool, name: str) -> Lane:
    return next(each for each in pool.lanes if each.spec.name == name)


async def warm_wide(lanes: Lanes) -> None:
    """Start the wide lane and wait until all of it is warm."""
    lanes.supervisor.complete()
    await until(lambda: lanes.supervisor.is_warm)


def test_each_window_gets_its_own_logits(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        windows = [window(*range(first, first + 5)) for first in range(20)]
        jobs = lanes.pool.submit(Ticket(), "INT8", windows)
        results = await asyncio.gather(*(job.result for job in jobs))
        for sent, got in zip(windows, results, strict=True):
            assert got.start.tolist() == sent.input_ids.tolist()
            assert got.end.tolist() == (-sent.input_ids).tolist()

    play(scenario, NARROW)


def test_windows_run_on_all_narrow_lanes_at_once(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 3)
        assert running(lanes.pool) == ["narrow-0", "narrow-1"]
        assert lanes.pool.waiting == 1
        assert lanes.pool.busy_cores() == {0, 1}

    play(scenario, NARROW)


def test_a_single_window_takes_the_wide_lane_and_many_take_narrow_ones(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        await warm_wide(lanes)
        (alone,) = lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW])
        assert running(lanes.pool) == ["wide-0"]
        await alone.result
        lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 3)
        assert running(lanes.pool) == ["narrow-0", "narrow-1"]

    play(scenario, (*NARROW, WIDE))


def test_no_narrow_lane_begins_while_a_wide_lane_has_its_core(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        await warm_wide(lanes)
        (alone,) = lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW])
        (second,) = lanes.pool.submit(Ticket(), "INT8", [window(1)])
        assert running(lanes.pool) == ["wide-0"]
        await alone.result
        await second.result

    play(scenario, (*NARROW, WIDE))


def test_a_request_runs_its_fifth_window_in_the_background(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 6)
        assert running(lanes.pool) == ["background-0", "background-1", "narrow-0", "narrow-1"]
        assert lanes.pool.waiting == 2

    play(scenario, (*NARROW, *BACKGROUND))


def test_the_first_window_of_another_request_waits_for_no_background_window(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        book = lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 12)
        short = lanes.pool.submit(Ticket(), "INT8", [window(1)])
        await short[0].result
        assert not all(job.result.done() for job in book[4:])

    play(scenario, (*NARROW, *BACKGROUND))


def test_a_dropped_window_never_runs(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        ticket = Ticket()
        jobs = lanes.pool.submit(ticket, "INT8", [SLOW_WINDOW] * 4)
        lanes.pool.drop(ticket, set(jobs))
        await asyncio.gather(jobs[0].result, jobs[1].result)
        await lanes.pool.submit(Ticket(), "INT8", [window(1)])[0].result
        assert [job.attempts for job in jobs] == [1, 1, 0, 0]
        assert lanes.pool.waiting == 0

    play(scenario, NARROW)


def test_a_window_that_the_model_cannot_run_fails_alone(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = lanes.pool.submit(Ticket(), "INT8", [window(1), window(FAIL), window(2)])
        results = await asyncio.gather(*(job.result for job in jobs), return_exceptions=True)
        assert [isinstance(result, InferenceFailed) for result in results] == [False, True, False]

    play(scenario, NARROW)


def test_a_window_is_padded_to_the_shortest_warm_rung_that_holds_it(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        (before,) = lanes.pool.submit(Ticket(), "INT8", [window(*range(17))])
        await before.result
        await warm_wide(lanes)
        (after,) = lanes.pool.submit(Ticket(), "INT8", [window(*range(17))])
        await after.result
        assert (before.rung, after.rung) == (48, 32)

    play(scenario, NARROW)


def test_a_withdrawn_precision_fails_its_waiting_windows_and_no_others(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.pool.submit(Ticket(), "FP32", [SLOW_WINDOW] * 2)
        (int8,) = lanes.pool.submit(Ticket(), "INT8", [window(1)])
        (fp32,) = lanes.pool.submit(Ticket(), "FP32", [window(2)])
        lanes.pool.withdraw("INT8", "a reason")
        with pytest.raises(PrecisionUnavailable, match="INT8 is no longer served"):
            await int8.result
        assert (await fp32.result).start.tolist() == [2]
        assert list(lanes.pool.precisions.files) == ["FP32"]

    play(scenario, NARROW, model_file("INT8"), model_file("FP32"))


def test_a_window_whose_lane_dies_runs_on_another(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        (job,) = lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW])
        busy = next(each for each in lanes.pool.lanes if each.jobs)
        assert busy.process is not None
        os.kill(busy.process.pid, signal.SIGKILL)
        assert (await job.result).start.tolist() == SLOW_WINDOW.input_ids.tolist()
        assert job.attempts == 2

    play(scenario, NARROW)


def test_a_window_that_kills_two_lanes_fails_and_harms_no_other(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        killer, other = lanes.pool.submit(Ticket(), "INT8", [window(CRASH), window(5)])
        with pytest.raises(InferenceFailed, match="two lanes were lost"):
            await killer.result
        assert (await other.result).start.tolist() == [5]

    play(scenario, NARROW)


def test_a_lane_that_hangs_is_replaced_and_its_window_tried_once_more(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        ticket = Ticket()
        (job,) = lanes.pool.submit(ticket, "INT8", [window(HANG)])
        hung = next(each for each in lanes.pool.lanes if each.jobs)
        assert hung.process is not None
        pid = hung.process.pid
        await until(lambda: job.attempts == 2)
        await until(lambda: hung.process is not None and hung.process.pid != pid)
        await until(lambda: not os.path.exists(f"/proc/{pid}"))
        lanes.pool.drop(ticket, {job})

    play(scenario, NARROW)


def test_idle_windows_wait_until_no_other_window_does(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        requested = lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 4)
        (idle,) = lanes.pool.submit_idle(Ticket(), "INT8", [window(7)])
        assert (await idle.result).start.tolist() == [7]
        assert sum(job.result.done() for job in requested) >= 3  # the last one may run on the other core still

    play(scenario, (*NARROW, GUARD))


def test_a_precision_that_cannot_warm_a_rung_is_withdrawn(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        await until(lambda: list(lanes.pool.precisions.files) == ["FP32"])
        assert lanes.pool.precisions.withdrawn == {"INT8": "it cannot run a window of 32 tokens; the log says why"}

    play(scenario, (*NARROW, WIDE), model_file("FP32"), model_file("INT8", COLD_FILE))


def test_costs_are_learned_from_what_the_lanes_report(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        await lanes.pool.submit(Ticket(), "INT8", [window(1, 2)])[0].result
        assert lanes.pool.cost_ms("INT8", [window(1, 2), window(3)]) == pytest.approx(2 * COST_MS)

    play(scenario, NARROW)


def test_two_pools_never_run_foreground_windows_on_one_core_at_once() -> None:
    async def scene() -> None:
        arbiter = CoreArbiter()
        pools = [lanes_of(NARROW, cores=arbiter) for _ in range(2)]
        jobs: list[Job] = []
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                for each in pools:
                    each.pool.open()
                    await each.supervisor.bring_up(model_file(), no_check)
                for each in pools:
                    jobs += each.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 3)
                while not all(job.result.done() for job in jobs):
                    assert not pools[0].pool.busy_cores() & pools[1].pool.busy_cores()
                    await asyncio.sleep(0.01)
        finally:
            for each in pools:
                await each.supervisor.close()

    asyncio.run(scene())


@pytest.mark.parametrize("precision", ["INT8", "FP32"])
def test_metrics_count_each_window_by_lane_and_precision(play: Play, precision: Precision) -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = lanes.pool.submit(Ticket(), precision, [window(1)] * 3)
        await asyncio.gather(*(job.result for job in jobs))
        samples = [sample for metric in lanes.metrics.registry.collect() for sample in metric.samples]
        counted = [sample for sample in samples if sample.name == "bertqa_windows_total"]
        assert {sample.labels["precision"] for sample in counted} == {precision}
        assert {sample.labels["lane_kind"] for sample in counted} == {"narrow"}
        assert sum(sample.value for sample in counted) == 3

    play(scenario, NARROW, model_file("INT8"), model_file("FP32"))


def test_logits_keep_their_type(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        result = await lanes.pool.submit(Ticket(), "INT8", [window(1, 2, 3)])[0].result
        assert (result.start.dtype, result.end.shape) == (np.float32, (3,))

    play(scenario, NARROW)


def test_a_guard_lane_leaves_the_kind_of_foreground_lanes_alone(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        assert lane(lanes.pool, "guard-0").spec.kind is LaneKind.GUARD
        lanes.pool.submit(Ticket(), "INT8", [SLOW_WINDOW] * 4)
        assert "guard-0" not in running(lanes.pool)

    play(scenario, (*NARROW, GUARD))
