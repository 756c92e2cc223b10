"""The supervisor over a scripted zygote: precisions come up in order, and what is lost comes back."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from container.precision import Precision
from model_loader.errors import ArtifactInvalid, WarmupFailed
from serve.lanes.fair_queue import Ticket
from serve.lanes.lane import Lane
from serve.lanes.plan import LaneKind
from tests.server.server_process import has_ended
from tests.unit.serve.lanes.conftest import Play
from tests.unit.serve.lanes.scripted_lanes import (
    BACKGROUND,
    NARROW,
    RUNGS,
    SCENARIO_SECONDS,
    SCRIPT,
    WIDE,
    Lanes,
    lanes_of,
    model_file,
    until,
    window,
)
from tests.unit.serve.lanes.scripted_zygote import INVALID_FILE, SLOW


def zygotes() -> list[psutil.Process]:
    """The scripted zygotes that this process has started and that are alive."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # also of a zombie, which has no command line any more
            if str(SCRIPT) in each.cmdline():
                found.append(each)
    return found


async def answer(lanes: Lanes, precision: Precision = "INT8") -> list[float]:
    (job,) = lanes.pool.submit(Ticket(), precision, [window(3, 4)])
    result = await job.result
    return list(result.start)


async def lose_zygote_and_lane(lanes: Lanes, restarts: int = 1) -> Lane:
    """Kill the zygote, then a lane; return the lane when it runs again."""
    (zygote,) = zygotes()
    zygote.kill()
    zygote.wait(60)
    lane = lanes.pool.lanes[0]
    assert lane.process is not None
    os.kill(lane.process.pid, signal.SIGKILL)
    await until(lambda: lane.restarts == restarts and lane.process is not None)
    return lane


def test_a_precision_is_checked_on_running_lanes_and_accepted_afterwards() -> None:
    async def scene() -> None:
        lanes = lanes_of(NARROW)
        lanes.pool.open()
        seen: list[object] = []

        async def check(precision: Precision) -> None:
            seen.append(lanes.pool.precisions.accepted.copy())
            seen.append(await answer(lanes, precision))

        try:
            await lanes.supervisor.bring_up(model_file(), check)
            assert seen == [[], [3.0, 4.0]]
            assert lanes.pool.precisions.accepted == ["INT8"]
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_a_precision_that_fails_its_check_is_not_accepted() -> None:
    async def scene() -> None:
        lanes = lanes_of(NARROW)
        lanes.pool.open()

        async def check(_: Precision) -> None:
            raise WarmupFailed("other numbers")

        try:
            with pytest.raises(WarmupFailed, match="other numbers"):
                await lanes.supervisor.bring_up(model_file(), check)
            assert lanes.pool.precisions.accepted == []
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_an_error_of_the_loader_crosses_the_socket_with_its_class() -> None:
    async def scene() -> None:
        lanes = lanes_of(NARROW, model_file(path=INVALID_FILE))
        lanes.pool.open()
        try:
            with pytest.raises(ArtifactInvalid, match="the script says so"):
                await lanes.bring_up(model_file(path=INVALID_FILE))
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_narrow_lanes_are_forked_warm_and_the_whole_ladder_follows(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        assert [each.warm for each in lanes.pool.lanes] == [{"INT8": (max(RUNGS),)}] * 2
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        assert [each.warm for each in lanes.pool.lanes] == [{"INT8": RUNGS}] * 2

    play(scenario, NARROW)


def test_wide_lanes_warm_their_own_rungs(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        (wide,) = (each for each in lanes.pool.lanes if each.spec.kind is LaneKind.WIDE)
        assert wide.warm == {"INT8": RUNGS}

    play(scenario, (*NARROW, WIDE))


def test_every_lane_that_is_killed_comes_back_warm(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)  # so that no lane is renewed meanwhile
        for each in lanes.pool.lanes:
            assert each.process is not None
            pid = each.process.pid
            os.kill(pid, signal.SIGKILL)
            await until(lambda each=each, pid=pid: each.process is not None and each.process.pid != pid)  # type: ignore[misc]
        assert [each.restarts for each in lanes.pool.lanes] == [1] * 4
        assert all(each.warm["INT8"] == RUNGS for each in lanes.pool.lanes)
        assert await answer(lanes) == [3.0, 4.0]

    play(scenario, (*NARROW, *BACKGROUND))


def test_lost_lanes_are_counted(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lane = lanes.pool.lanes[0]
        assert lane.process is not None
        os.kill(lane.process.pid, signal.SIGKILL)
        await until(lambda: lane.restarts == 1)
        samples = [sample for metric in lanes.metrics.lane_restarts.collect() for sample in metric.samples]
        counts = {sample.labels["lane_kind"]: sample.value for sample in samples if sample.name.endswith("_total")}
        assert counts == {"narrow": 1}

    play(scenario, NARROW)


def test_a_lane_that_dies_after_the_zygote_comes_back_from_a_new_zygote(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        await lose_zygote_and_lane(lanes)
        await until(lambda: len(zygotes()) == 1)
        assert await answer(lanes) == [3.0, 4.0]

    play(scenario, NARROW)


def test_a_lane_from_a_new_zygote_gets_the_whole_ladder(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        lane = await lose_zygote_and_lane(lanes)
        await until(lambda: lanes.supervisor.is_warm)
        assert lane.warm == {"INT8": RUNGS}
        second = await lose_zygote_and_lane(lanes, restarts=2)
        await until(lambda: lanes.supervisor.is_warm)
        assert second.warm == {"INT8": RUNGS}

    play(scenario, (*NARROW, WIDE))


def test_a_precision_comes_up_although_its_zygote_is_lost_while_another_is_served(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        (zygote,) = zygotes()
        zygote.send_signal(signal.SIGSTOP)
        coming = asyncio.ensure_future(lanes.bring_up(model_file("FP32")))
        await asyncio.sleep(0.1)
        zygote.kill()
        await coming
        assert lanes.pool.precisions.accepted == ["INT8", "FP32"]
        assert await answer(lanes, "FP32") == [3.0, 4.0]

    async def scene() -> None:
        lanes = lanes_of(NARROW, model_file("INT8"), model_file("FP32"))
        lanes.pool.open()
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                await lanes.bring_up(model_file("INT8"))
                await scenario(lanes)
        finally:
            await lanes.supervisor.close()

    asyncio.run(scene())


def test_a_new_zygote_does_not_load_a_withdrawn_precision(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.pool.withdraw("FP32", "a reason")
        lane = await lose_zygote_and_lane(lanes)
        assert set(lane.warm) == {"INT8"}

    play(scenario, NARROW, model_file("INT8"), model_file("FP32"))


def test_a_lane_is_renewed_between_windows_and_loses_none(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        before = {each.process.pid for each in lanes.pool.lanes if each.process}
        jobs = lanes.pool.submit(Ticket(), "INT8", [window(SLOW, 1)] * 4)
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        await asyncio.gather(*(job.result for job in jobs))
        assert [job.attempts for job in jobs] == [1] * 4
        assert not before & {each.process.pid for each in lanes.pool.lanes if each.process}
        assert [each.restarts for each in lanes.pool.lanes] == [0, 0]

    play(scenario, NARROW)


def test_close_ends_every_process() -> None:
    async def scene() -> list[int]:
        lanes = lanes_of((*NARROW, WIDE))
        lanes.pool.open()
        await lanes.bring_up(model_file())
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        pids = [*lanes.supervisor.pids, *(zygote.pid for zygote in zygotes())]
        await lanes.supervisor.close()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        return pids

    assert len(asyncio.run(scene())) == 4


def test_stopped_lanes_and_a_stopped_zygote_are_replaced(play: Play) -> None:
    async def scenario(lanes: Lanes) -> None:
        lanes.supervisor.complete()
        await until(lambda: lanes.supervisor.is_warm)
        old = [*lanes.supervisor.pids, zygotes()[0].pid]
        for pid in old:
            os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(30):  # with pauses of a busy machine
            await until(lambda: all(map(has_ended, old)))
        await until(lambda: lanes.supervisor.has_live_lane)
        assert await answer(lanes) == [3.0, 4.0]

    play(scenario, NARROW)
