"""What the question-answering code asks of the processes that run the model."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from container.precision import Precision
from model_loader.model_io import ModelInput
from serve.lanes.cost import CostTable
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.precisions import Precisions
from serve.qa.spans import Logits


class WindowRunner(Protocol):
    """Runs windows. The server uses serve.lanes.pool.LanePool."""

    precisions: Precisions
    costs: CostTable

    def submit(self, ticket: Ticket, precision: Precision, inputs: Sequence[ModelInput]) -> list[Job]:
        """Queue windows of a request."""

    def submit_idle(self, ticket: Ticket, precision: Precision, inputs: Sequence[ModelInput]) -> list[Job]:
        """Queue windows that run on idle cores only."""

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Remove the windows of this request that still wait."""


async def logits_of(jobs: Sequence[Job]) -> list[Logits]:
    """Wait until all windows have run; return their logits in the order of the jobs.

    Raises: RequestError if a window failed.
    """
    results = await asyncio.gather(*(job.result for job in jobs))
    return [(result.start, result.end) for result in results]
