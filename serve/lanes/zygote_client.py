"""The HTTP process's side of the zygote and of one lane: start, call, kill. See model_loader/zygote.py."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from container.precision import Precision
from model_loader import errors, wire
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from model_loader.wire import HEADER, FrameKind

PROGRAM_DIR = Path(__file__).parents[2]
END_POLL_SECONDS = 0.01


class ZygoteEnded(WarmupFailed):
    """The process that loads the models is gone; a new one may do better. was_killed: memory ran out, most likely."""

    def __init__(self, message: str, *, was_killed: bool = False) -> None:
        super().__init__(message)
        self.was_killed = was_killed


class LaneProcess(asyncio.Protocol):
    """One living lane: send a frame, and its reply comes back through on_reply. One frame at a time."""

    def __init__(self, pid: int, on_reply: "OnReply", on_end: "OnEnd") -> None:
        self.pid = pid
        self._on_reply = on_reply
        self._on_end = on_end
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: the socket is open."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's: part of a reply has come."""
        self._received += data
        if len(self._received) < HEADER.size:
            return
        length, kind = HEADER.unpack_from(self._received)
        if len(self._received) >= HEADER.size + length:
            body = bytes(self._received[HEADER.size : HEADER.size + length])
            self._received.clear()
            self._on_reply(self, FrameKind(kind), body)

    def connection_lost(self, _: Exception | None) -> None:
        """asyncio's: the lane has ended, or was closed."""
        self._on_end(self)

    def send(self, frame: bytes) -> None:
        """Give the lane something to do."""
        assert self._transport is not None
        self._transport.write(frame)

    def close(self) -> None:
        """Close the socket, at which the lane ends."""
        assert self._transport is not None
        self._transport.abort()


OnReply = Callable[[LaneProcess, FrameKind, bytes], None]
OnEnd = Callable[[LaneProcess], None]


async def until_ended(pid: int) -> None:
    """Wait until a lane of a closed zygote is gone: its memory is free then."""
    while _is_alive(pid):
        await asyncio.sleep(END_POLL_SECONDS)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Zygote:
    """The process that loads and warms the models and forks lanes. Calls go one after the other."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lock = asyncio.Lock()

    @classmethod
    async def start(cls) -> "Zygote":
        """Start the process; its imports take seconds, in which its first call waits."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "model_loader.zygote",
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
        """Whether the process runs."""
        return self._process.returncode is None

    async def load(self, file: ModelFile) -> None:
        """Load one precision.

        Raises: ModelLoadError where the file cannot be loaded, ZygoteEnded where the process ends.
        """
        _, reply = await self._call(wire.json_frame(FrameKind.LOAD, **asdict(file)))
        if "error" in reply:
            failure: type[ModelLoadError] = getattr(errors, reply["failure"])
            raise failure(reply["error"])

    async def warm(self, precision: Precision, rung: int) -> float:
        """Warm one rung, for lanes to come; gives the milliseconds of a pass.

        Raises: WarmupFailed, ZygoteEnded.
        """
        kind, reply = await self._call(wire.warm_frame(precision, rung))
        if kind is FrameKind.FAILED:
            raise WarmupFailed(reply["error"])
        return float(reply["cost_ms"])

    async def fork(
        self, cores: frozenset[int], niceness: int, on_reply: OnReply, on_end: OnEnd
    ) -> tuple[LaneProcess, dict[Precision, set[int]]]:
        """Fork one lane, pinned to these cores; gives it and the rungs that are warm there.

        Raises: ZygoteEnded.
        """
        ours, theirs = socket.socketpair()
        try:
            frame = wire.json_frame(FrameKind.FORK, cores=sorted(cores), niceness=niceness)
            _, reply = await self._call(frame, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        lane = LaneProcess(reply["pid"], on_reply, on_end)
        await asyncio.get_running_loop().create_unix_connection(lambda: lane, sock=ours)
        return lane, {precision: set(rungs) for precision, rungs in reply["warm"].items()}

    async def kill_lane(self, pid: int) -> None:
        """Kill a lane that hangs. The zygote does it: it knows which process ids are still its own."""
        async with self._lock:
            self._control.send(wire.json_frame(FrameKind.KILL, pid=pid))

    def kill(self) -> None:
        """Kill the process."""
        if self.is_alive:
            self._process.kill()

    async def close(self) -> None:
        """Close the control socket, at which the process ends; kill it should it hang."""
        self._control.close()
        try:
            async with asyncio.timeout(2):
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
            f"the process that loads the models ended, exit status {status}; "
            "its own message stands above. Killed (-9) means that memory ran out",
            was_killed=status == -signal.SIGKILL,
        )
