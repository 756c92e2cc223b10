"""The HTTP process's side of the zygote: start, call and kill it. model_loader/zygote.py is the other side."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_loader import wire
from model_loader.errors import WarmupFailed
from model_loader.ladder import Batch, WarmStep
from model_loader.model_file import ModelFile
from model_loader.wire import HEADER, FrameKind, Run, RunResult
from serve.lanes.lane import ForkedLane, LaneConnection, LaneReplies, OnEnd
from serve.lanes.plan import LaneKind, LaneSpec
from serve.processes.child import Activity, ChildProcess, Lifeline, activity_of

PROGRAM_DIR = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "model_loader.zygote")  # by name: importing the module would import torch here
CLOSE_TIMEOUT_SECONDS = 2
# The niceness of each kind of lane, which is added to the zygote's. A background lane gets the time that other lanes do
# not use; if they use all of it, it still gets a twelfth of a core (the kernel's weights are 820 and 70). A guard lane
# runs on idle cores only.
NICENESS = {LaneKind.NARROW: 0, LaneKind.WIDE: 0, LaneKind.BACKGROUND: 11, LaneKind.GUARD: wire.IDLE_CLASS}


class ZygoteEnded(WarmupFailed):
    """The zygote has ended; a new one may succeed. was_killed: most likely memory ran out."""

    def __init__(self, message: str, *, was_killed: bool = False) -> None:
        super().__init__(message)
        self.was_killed = was_killed


class Zygote:
    """The process that loads and warms the models and forks lanes. Its calls run one after the other."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket, lifeline: Lifeline) -> None:
        self._process = process
        self._control = control
        self._lifeline = lifeline
        self._lock = asyncio.Lock()
        self._is_usable = True
        self._pinging: asyncio.Task[None] | None = None
        self._has_pinged = False

    @classmethod
    async def start(cls, command: Sequence[str] = COMMAND) -> "Zygote":
        """Start the process. The process imports torch for some seconds, and the first call waits for this.

        command: the command to run; the file descriptors of the control socket and of the lifeline are added.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        lifeline = Lifeline()
        process = await asyncio.create_subprocess_exec(
            *command,
            str(theirs.fileno()),
            str(lifeline.reading_end),
            pass_fds=(theirs.fileno(), lifeline.reading_end),
            cwd=PROGRAM_DIR,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the HTTP process; the zygote ends when the socket closes
        )
        theirs.close()
        lifeline.tie(process.pid)
        return cls(process, ours, lifeline)

    @property
    def is_alive(self) -> bool:
        """Whether the process is running, and no call of it was interrupted, whose reply the next call would read."""
        return self._process.returncode is None and self._is_usable

    async def load(self, file: ModelFile) -> None:
        """Load one precision.

        Raises: ModelLoadError if the file cannot be loaded, ZygoteEnded if the process ends.
        """
        _, reply = await self._call(wire.load_frame(file))
        wire.raise_load_error(reply)

    async def warm(self, step: WarmStep) -> float:
        """Compile one shape, for the lanes that are forked afterwards; return the milliseconds of a call.

        Raises: WarmupFailed, ZygoteEnded.
        """
        kind, reply = await self._call(wire.warm_frame(step))
        if kind is FrameKind.FAILED:
            raise WarmupFailed(reply["error"])
        return float(reply["cost_ms"])

    async def fork(self, spec: LaneSpec, replies: LaneReplies, on_end: OnEnd) -> ForkedLane:
        """Fork one lane, pinned to its cores.

        Raises: ZygoteEnded.
        """
        ours, theirs = socket.socketpair()
        try:
            frame = wire.json_frame(FrameKind.FORK, cores=sorted(spec.cores), niceness=NICENESS[spec.kind])
            _, reply = await self._call(frame, theirs.fileno())
            child = ChildProcess(reply["pid"])  # the zygote reaps no lane before it gets the next frame
        except ProcessLookupError:
            ours.close()
            raise ZygoteEnded("a lane ended before the server had seen it") from None
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        lane = LaneConnection(child, self._lifeline, replies, on_end)
        await asyncio.get_running_loop().create_unix_connection(lambda: lane, sock=ours)
        if lane.has_ended:  # nobody knew it yet, so nobody would replace it
            raise ZygoteEnded("a lane ended before the server could use it")
        return ForkedLane(
            lane,
            {precision: tuple(sorted(set(rungs))) for precision, rungs in reply["warm"].items()},
            {precision: frozenset(Batch(*each) for each in shapes) for precision, shapes in reply["batches"].items()},
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def owes_answer(self) -> bool:
        """Whether a call has not been answered."""
        return self._lock.locked()

    @property
    def owes_pong(self) -> bool:
        """Whether a ping has not been answered. The zygote answers it before any call that was sent later."""
        return self._has_pinged

    def activity(self) -> Activity:
        """Read what the process does."""
        return activity_of(self.pid)

    def ping(self) -> None:
        """Ask the idle process for a sign of life."""
        self._pinging = asyncio.create_task(self._ping())

    async def _ping(self) -> None:
        self._has_pinged = True
        with contextlib.suppress(ZygoteEnded):  # the next call starts another zygote
            await self._exchange(wire.PING_FRAME)
        self._has_pinged = False

    def kill(self) -> None:
        """Kill the process, even one that is stopped or hangs. The lanes keep running."""
        self._is_usable = False
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """Close the control socket; the process then ends. Kill the process if it hangs."""
        if self._pinging:
            self._pinging.cancel()
        self._control.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def run(self, run: Run) -> RunResult:
        """Run windows in the zygote itself, before lanes are forked from it.

        Raises: WarmupFailed, ZygoteEnded.
        """
        kind, body = await self._exchange(wire.run_frame(run))
        if kind is FrameKind.FAILED:
            raise WarmupFailed(json.loads(body)["error"])
        return wire.parse_logits(body)

    async def _call(self, frame: bytes, *fds: int) -> tuple[FrameKind, dict[str, Any]]:
        kind, body = await self._exchange(frame, *fds)
        return kind, json.loads(body)

    async def _exchange(self, frame: bytes, *fds: int) -> tuple[FrameKind, bytes]:
        async with self._lock:
            try:
                socket.send_fds(self._control, [frame], list(fds))
            except OSError:
                await self._raise_ended()
            try:
                length, kind = HEADER.unpack(await self._receive(HEADER.size))
                body = await self._receive(length)
            except BaseException:
                self.kill()
                raise
            return FrameKind(kind), body

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < length:
            try:
                chunk = await loop.sock_recv(self._control, length - len(data))
            except OSError:
                chunk = b""
            if not chunk:
                await self._raise_ended()
            data += chunk
        return data

    async def _raise_ended(self) -> None:
        self._is_usable = False
        with contextlib.suppress(TimeoutError):  # its exit status says why it ended, so let it end by itself
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._process.wait()
        self.kill()
        status = await self._process.wait()
        raise ZygoteEnded(
            f"the process that loads the models ended with exit status {status}; its message is above. "
            "Status -9 (killed) most likely means that memory ran out",
            was_killed=status == -signal.SIGKILL,
        )
