"""The HTTP process's side of the zygote and of one lane: start, call, kill. See model_loader/zygote.py."""

import asyncio
import json
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from model_loader import errors, wire
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from model_loader.wire import HEADER, Kind

PROGRAM_DIR = Path(__file__).parents[1]


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
            self._on_reply(self, Kind(kind), body)

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


OnReply = Callable[[LaneProcess, Kind, bytes], None]
OnEnd = Callable[[LaneProcess], None]


class Zygote:
    """The process that holds the loaded models and forks lanes."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.process = process
        self._control = control
        self._lock = asyncio.Lock()

    @classmethod
    async def start(cls, files: Sequence[ModelFile]) -> "Zygote":
        """Start the process and load the models; takes seconds.

        Raises: ModelLoadError where a file cannot be loaded, WarmupFailed where the process ends.
        """
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
        zygote = cls(process, ours)
        reply = await zygote._call(wire.json_frame(Kind.LOAD, files=[asdict(file) for file in files]))
        if "error" in reply:
            failure: type[ModelLoadError] = getattr(errors, str(reply["failure"]))
            raise failure(str(reply["error"]))
        return zygote

    async def fork(self, cores: frozenset[int], on_reply: OnReply, on_end: OnEnd) -> LaneProcess:
        """Fork one lane, pinned to these cores."""
        ours, theirs = socket.socketpair()
        reply = await self._call(wire.json_frame(Kind.FORK, cores=sorted(cores)), theirs.fileno())
        theirs.close()
        ours.setblocking(False)
        lane = LaneProcess(int(str(reply["pid"])), on_reply, on_end)
        await asyncio.get_running_loop().create_unix_connection(lambda: lane, sock=ours)
        return lane

    async def kill(self, pid: int) -> None:
        """Kill a lane that hangs. The zygote does it: it knows which process ids are still its own."""
        async with self._lock:
            self._control.send(wire.json_frame(Kind.KILL, pid=pid))

    async def close(self) -> None:
        """Close the control socket, at which the process ends; kill it should it hang."""
        self._control.close()
        try:
            async with asyncio.timeout(2):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()

    async def _call(self, frame: bytes, *fds: int) -> dict[str, object]:
        async with self._lock:
            socket.send_fds(self._control, [frame], list(fds))
            length, _ = HEADER.unpack(await self._receive(HEADER.size))
            fields: dict[str, object] = json.loads(await self._receive(length))
            return fields

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < length:
            try:
                chunk = await loop.sock_recv(self._control, length - len(data))
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise WarmupFailed(
                    f"the process that loads the models ended, exit status {await self.process.wait()}; "
                    "its own message stands above. Killed (-9) means that memory ran out"
                )
            data += chunk
        return data
