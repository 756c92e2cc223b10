"""The HTTP process's side of the zygote: start, call and kill it. model_loader/zygote.py is the other side."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_loader import wire
from model_loader.errors import WarmupFailed
from model_loader.ladder import WarmStep
from model_loader.model_file import ModelFile
from model_loader.wire import HEADER, FrameKind
from serve.lanes.lane import ForkedLane, LaneConnection, LaneReplies, OnEnd
from serve.lanes.plan import LaneKind, LaneSpec

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

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lock = asyncio.Lock()

    @classmethod
    async def start(cls, command: Sequence[str] = COMMAND) -> "Zygote":
        """Start the process. The process imports torch for some seconds, and the first call waits for this.

        command: the command to run; the number of the control socket's file descriptor is added as its last argument.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *command,
            str(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            cwd=PROGRAM_DIR,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the HTTP process; the zygote ends when the socket closes
        )
        theirs.close()
        return cls(process, ours)

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.returncode is None

    async def load(self, file: ModelFile) -> None:
        """Load one precision.

        Raises: ModelLoadError if the file cannot be loaded, ZygoteEnded if the process ends.
        """
        _, reply = await self._call(wire.load_frame(file))
        wire.raise_load_error(reply)

    async def warm(self, step: WarmStep) -> float:
        """Compile one rung, for the lanes that are forked afterwards; return the milliseconds of a pass.

        Raises: WarmupFailed, ZygoteEnded.
        """
        kind, reply = await self._call(wire.warm_frame(step.precision, step.rung))
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
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        lane = LaneConnection(reply["pid"], replies, on_end)
        await asyncio.get_running_loop().create_unix_connection(lambda: lane, sock=ours)
        return ForkedLane(lane, {precision: set(rungs) for precision, rungs in reply["warm"].items()})

    async def kill_lane(self, pid: int) -> None:
        """Kill a lane that hangs. The zygote does so, because it knows which process ids are still its own."""
        async with self._lock:
            self._control.send(wire.json_frame(FrameKind.KILL, pid=pid))

    def kill(self) -> None:
        """Kill the process."""
        if self.is_alive:
            self._process.kill()

    async def close(self) -> None:
        """Close the control socket; the process then ends. Kill the process if it hangs."""
        self._control.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _call(self, frame: bytes, *fds: int) -> tuple[FrameKind, dict[str, Any]]:
        async with self._lock:
            try:
                socket.send_fds(self._control, [frame], list(fds))
            except OSError:
                await self._raise_ended()
            length, kind = HEADER.unpack(await self._receive(HEADER.size))
            return FrameKind(kind), json.loads(await self._receive(length))

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
        status = await self._process.wait()
        raise ZygoteEnded(
            f"the process that loads the models ended with exit status {status}; its message is above. "
            "Status -9 (killed) most likely means that memory ran out",
            was_killed=status == -signal.SIGKILL,
        )
