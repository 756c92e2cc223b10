"""The HTTP process's side of the zygote and of one lane: start, call, kill. See model_loader/zygote.py."""

import asyncio
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from model_loader import errors, wire
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from model_loader.wire import HEADER, Kind

PROGRAM_DIR = Path(__file__).parents[1]


class LaneDied(Exception):
    """The lane's process ended."""


class LaneProcess:
    """One living lane. One call at a time."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._writer = writer
        self._reply: asyncio.Future[tuple[Kind, bytes]] | None = None
        self.died = asyncio.create_task(self._read_replies(reader))

    async def call(self, frame: bytes) -> tuple[Kind, bytes]:
        """Send a frame, wait for its reply.

        Raises: LaneDied.
        """
        if self.died.done():
            raise LaneDied(f"lane process {self.pid} has ended")
        self._reply = asyncio.get_running_loop().create_future()
        self._writer.write(frame)
        return await self._reply

    def close(self) -> None:
        """Close the socket, at which the lane ends."""
        self._writer.close()

    async def _read_replies(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                length, kind = HEADER.unpack(await reader.readexactly(HEADER.size))
                body = await reader.readexactly(length)
                if self._reply and not self._reply.done():
                    self._reply.set_result((Kind(kind), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            if self._reply and not self._reply.done():
                self._reply.set_exception(LaneDied(f"lane process {self.pid} ended while it computed"))


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

    async def fork(self, cores: frozenset[int]) -> LaneProcess:
        """Fork one lane, pinned to these cores."""
        ours, theirs = socket.socketpair()
        reply = await self._call(wire.json_frame(Kind.FORK, cores=sorted(cores)), theirs.fileno())
        theirs.close()
        ours.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return LaneProcess(int(str(reply["pid"])), reader, writer)

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
