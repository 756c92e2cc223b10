"""A loop that looks after processes, and background tasks that never fail silently."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from serve.processes.heartbeat import BEAT_SECONDS, Heartbeat, Watched

log = logging.getLogger(__name__)


async def watch(processes: Callable[[], Sequence[Watched]], after_beat: Callable[[], None]) -> None:
    """Look at all processes every BEAT_SECONDS, kill those that are stopped or hang, and call `after_beat`."""
    heartbeat = Heartbeat()
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            for process, reason in heartbeat.beat(processes()):
                log.error("process %d %s; the server kills and replaces it", process.pid, reason)
                process.kill()
            after_beat()
        except Exception:
            log.exception("one heartbeat of the processes failed. This is a bug.")


class BackgroundTasks:
    """Tasks that run until they are done or cancelled. An error of a task is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()  # keeps the tasks from being garbage-collected

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a coroutine in the background."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task that looks after processes failed. This is a bug.", exc_info=error)
