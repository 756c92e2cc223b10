"""The fixture that plays a scenario on scripted lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from model_loader.model_file import ModelFile
from serve.lanes.plan import LaneSpec
from tests.unit.serve.lanes.scripted_lanes import SCENARIO_SECONDS, Lanes, lanes_of, model_file

Scenario = Callable[[Lanes], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play() -> Play:
    """Runs a scenario on lanes of some kinds that have one precision up, and ends them afterwards."""

    def run(scenario: Scenario, specs: Sequence[LaneSpec], *files: ModelFile) -> None:
        async def scene() -> None:
            lanes = lanes_of(specs, *files)
            lanes.pool.open()
            try:
                async with asyncio.timeout(SCENARIO_SECONDS):
                    await lanes.bring_up(*(files or (model_file(),)))
                    await scenario(lanes)
            finally:
                await lanes.supervisor.close()

        asyncio.run(scene())

    return run
