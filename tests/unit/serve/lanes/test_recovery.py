"""The supervisor over a scripted zygote when processes hang, end at once, or cannot be started any more."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from container.precision import Precision
from model_loader.errors import WarmupFailed
from model_loader.model_io import RunWindows
from serve.lanes.fair_queue import Ticket
from serve.lanes.warmup.zygote import Recheck
from serve.processes.absence import Absence
from tests.server.server_process import has_ended
from tests.unit.serve.lanes.conftest import Play
from tests.unit.serve.lanes.scripted_lanes import (
    BACKGROUND,
    GUARD,
    NARROW,
    SCENARIO_SECONDS,
    Lanes,
    lanes_of,
    model_file,
    until,
    window,
)
from tests.unit.serve.lanes.scripted_zygote import HANG, INVALID_TEXT, SLOW, STILLBORN_TEXT
from tests.unit.serve.lanes.test_supervisor import answer, zygotes

FOUND_SECONDS = 30  # within which a process that is stopped or hangs is killed: 10, and pauses of a busy machine


def play_lanes(lanes: Lanes, scenario: Callable[[], Awaitable[None]]) -> None:
    """Play a scenario on lanes of their own, and end them afterwards."""

    async def scene() -> None:
        lanes.pool.open()
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                await lanes.bring_up(*lanes.pool.precisions.files.values())
                await scenario()
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def new_lanes(*args: object, **kwargs: object) -> Lanes:
    """Lanes need an event loop only when they are started."""
    return lanes_of(*args, **kwargs)  # type: ignore[arg-type]


def test_a_busy_lane_that_is_stopped_is_killed_and_its_window_runs_elsewhere(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        jobs = lanes.pool.submit(Ticket(), "INT8", [window(SLOW, 1)] * 2)
        stopped = lanes.pool.lanes[0].process
        assert stopped is not None
        os.kill(stopped.pid, signal.SIGSTOP)
        async with asyncio.timeout(FOUND_SECONDS):
            await until(lambda: has_ended(stopped.pid))
            results = await asyncio.gather(*(job.result for job in jobs))
        assert [list(each.start) for each in results] == [[SLOW, 1]] * 2

    play(scenario, NARROW)


def test_a_guard_lane_that_waits_for_ever_is_found(play: Play) -> None:
    """Nothing but the heartbeat looks at it: a window of the guard may take ten minutes."""

    async def scenario(lanes: Lanes) -> None:
        lanes.pool.submit_idle(Ticket(), "INT8", [window(HANG)])
        (guard,) = (lane.process for lane in lanes.pool.lanes if lane.jobs)
        assert guard is not None
        async with asyncio.timeout(FOUND_SECONDS):
            await until(lambda: has_ended(guard.pid))

    play(scenario, (*NARROW, GUARD))


@pytest.mark.parametrize("kind", ["idle", "busy"])
def test_a_lane_that_is_stopped_outlives_neither_its_zygote_nor_the_heartbeat(play: Play, kind: str) -> None:
    async def scenario(lanes: Lanes) -> None:
        if kind == "busy":
            lanes.pool.submit(Ticket(), "INT8", [window(SLOW)] * 8)
        old = [*lanes.supervisor.pids, zygotes()[0].pid]
        for pid in old:
            os.kill(pid, signal.SIGSTOP)
        os.kill(old[-1], signal.SIGKILL)
        async with asyncio.timeout(FOUND_SECONDS):
            await until(lambda: all(map(has_ended, old)))
        await until(lambda: lanes.supervisor.has_live_lane)
        assert await answer(lanes) == [3.0, 4.0]

    play(scenario, (*NARROW, *BACKGROUND))


async def no_file_check(_: Precision) -> None:
    """Accept every file."""


def test_a_zygote_that_cannot_load_everything_is_never_used(tmp_path: Path) -> None:
    second = tmp_path / "fp32.pt"
    lanes = new_lanes(NARROW, model_file("INT8"), model_file("FP32", str(second)))

    async def scenario() -> None:
        second.write_text(INVALID_TEXT)
        zygotes()[0].kill()
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        os.kill(lane.process.pid, signal.SIGKILL)
        await until(lambda: lane.restarts == 1)
        await asyncio.sleep(2)  # the server tries again and again
        assert lane.process is None
        assert lanes.supervisor.has_live_lane  # the other lane still answers in both precisions
        assert await answer(lanes, "FP32") == [3.0, 4.0]
        second.write_text("")
        await until(lambda: lane.process is not None)
        assert set(lane.warm) == {"INT8", "FP32"}
        await until(lambda: len(zygotes()) == 1)  # those that were refused have ended

    play_lanes(lanes, scenario)


def test_a_new_zygote_is_checked_before_a_lane_is_forked_from_it() -> None:
    seen: list[tuple[Precision, list[float]]] = []
    is_right = False

    async def recheck(precision: Precision, run: RunWindows) -> None:
        (logits,) = await run(precision, [window(7, 8)])
        seen.append((precision, logits.start.tolist()))
        if not is_right:
            raise WarmupFailed("other numbers")

    lanes = new_lanes(NARROW, model_file("INT8"), model_file("FP32"), recheck=Recheck(no_file_check, recheck))

    async def scenario() -> None:
        nonlocal is_right
        assert seen == []  # the first zygote is checked through its lanes
        zygotes()[0].kill()
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        os.kill(lane.process.pid, signal.SIGKILL)
        await until(lambda: len(seen) >= 2)
        assert lane.process is None
        assert seen[0] == seen[1] == ("INT8", [7.0, 8.0])
        seen.clear()
        is_right = True
        await until(lambda: lane.process is not None)
        assert ("FP32", [7.0, 8.0]) in seen
        assert lanes.pool.precisions.accepted == ["INT8", "FP32"]

    play_lanes(lanes, scenario)


def test_a_failed_check_of_a_new_zygote_withdraws_no_precision() -> None:
    async def recheck(_: Precision, __: RunWindows) -> None:
        raise WarmupFailed("other numbers")

    lanes = new_lanes(NARROW, model_file("INT8"), recheck=Recheck(no_file_check, recheck))

    async def scenario() -> None:
        zygotes()[0].kill()
        lanes.supervisor.complete()  # the ladder needs a new zygote
        await asyncio.sleep(3)
        assert lanes.pool.precisions.accepted == ["INT8"]
        assert await answer(lanes) == [3.0, 4.0]

    play_lanes(lanes, scenario)


def test_a_lane_that_ends_at_once_is_forked_again(tmp_path: Path) -> None:
    file = tmp_path / "int8.pt"
    lanes = new_lanes(NARROW, model_file("INT8", str(file)))

    async def scenario() -> None:
        file.write_text(STILLBORN_TEXT)
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        os.kill(lane.process.pid, signal.SIGKILL)
        await until(lambda: lane.restarts >= 1)  # the second process may end before this looks
        await asyncio.sleep(1)
        file.write_text("")
        await until(lambda: lane.process is not None and not has_ended(lane.process.pid))
        assert await answer(lanes) == [3.0, 4.0]

    play_lanes(lanes, scenario)


def test_a_zygote_that_ends_while_the_server_is_quiet_is_replaced(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        (old,) = zygotes()
        before = lanes.supervisor.pids
        old.kill()
        await until(lambda: any(each.pid != old.pid for each in zygotes()))
        assert lanes.supervisor.pids == before

    play(scenario, NARROW)


def test_the_server_ends_when_it_had_lanes_and_has_had_none_for_too_long(tmp_path: Path) -> None:
    file = tmp_path / "int8.pt"
    ended: list[bool] = []
    lanes = new_lanes(NARROW, model_file("INT8", str(file)), no_lane=Absence(3, lambda: ended.append(True)))

    async def scenario() -> None:
        file.write_text(INVALID_TEXT)
        await asyncio.sleep(5)
        assert ended == []
        pids: Sequence[int] = [zygotes()[0].pid, *lanes.supervisor.pids]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        lost_at = asyncio.get_running_loop().time()
        await until(lambda: bool(ended))
        assert asyncio.get_running_loop().time() - lost_at >= 3
        await asyncio.sleep(3)
        assert ended == [True]

    play_lanes(lanes, scenario)


def test_a_lane_that_ends_now_and_then_is_replaced_at_once(play: Play) -> None:
    """Only processes that end soon after their start are replaced more and more slowly."""

    async def scenario(lanes: Lanes) -> None:
        lane = lanes.pool.lanes[0]
        for _ in range(3):
            lane.count_end()
        assert lane.early_ends == 2
        lane._forked_at -= 100
        lane.count_end()
        assert (lane.early_ends, lane.restarts) == (0, 4)

    play(scenario, NARROW)
