"""The HTTP process's side of the text processes, which do all work on the text of large requests.

Python holds one lock while it parses JSON, tokenizes or ranks, and the event loop would wait for it. So a large body
goes to a process of its own: it is forked from a template that has loaded the tokenizer, and it ends with its request.
The memory that the text needed is then free again, and a process that crashes harms no other request.
serve/text_worker is the other side. Admission, queue and lanes stay here.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

from container import memory
from container.precision import Precision
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.lanes.admission import Permit
from serve.lanes.fair_queue import Job
from serve.processes.child import Activity, ChildProcess
from serve.processes.heartbeat import Watched
from serve.processes.usage import ProcessUsage
from serve.processes.watch import BackgroundTasks, watch
from serve.qa.engine import QAEngine
from serve.qa.request_lanes import GROUPS_IN_FLIGHT, Demand, PoolLanes, Trace
from serve.text_process import frames
from serve.text_process.frames import HEADER, FrameKind
from serve.text_process.template import Template, TextConfig

LARGE_BODY_BYTES = 32_768  # the text work of a larger body would hold Python's lock for more than 50 ms
MAX_PROCESSES = 16  # at a time, for each model; further large requests wait
MEMORY_MB_PER_PROCESS = 320  # a process needs up to 20 MB beside what its body needs: a sixteenth of the memory for all
GIVE_BACK_BYTES = 2**20  # of a body, from which on the C library's freed memory is worth the time
ENDED = "the process that works on the text of this request ended unexpectedly; send the request again"


class TextProcesses:
    """Starts one process for each large request, from a template."""

    def __init__(self, engine: QAEngine, config: TextConfig, memory_mb: float, usage: ProcessUsage) -> None:
        """memory_mb: of the machine or the container. usage: is told what each text process has used."""
        self._engine = engine
        self._usage = usage
        self._config = config
        self._template: Template | None = None
        self._places = asyncio.Semaphore(max(1, min(MAX_PROCESSES, int(memory_mb / MEMORY_MB_PER_PROCESS))))
        self._requests: set[_LargeRequest] = set()
        self._tasks = BackgroundTasks()
        self._beats: asyncio.Task[None] | None = None

    async def answer(self, body: list[bytes], permit: Permit, trace: Trace) -> bytes:
        """Answer one JSON object that arrived in these pieces. The list is emptied.

        Raises: RequestError.
        """
        async with self._engine.lanes_for(permit, trace) as lanes, self._places:
            template = self._living_template()
            try:
                reader, writer = await asyncio.open_connection(sock=template.fork())
            except OSError:  # it has ended, or does not run
                raise InferenceFailed(ENDED) from None
            request = _LargeRequest(reader, writer, lanes, template)
            self._requests.add(request)
            try:
                return await request.serve(body)
            except (asyncio.IncompleteReadError, ConnectionError):
                raise InferenceFailed(ENDED) from None
            finally:
                self._requests.discard(request)
                request.end()
                if request.process:
                    self._usage.note_end("text", request.process.pid, request.cpu_seconds)

    def open(self) -> None:
        """Start the template. Otherwise the first large request starts it, and so needs the memory of the template."""
        self._living_template()

    def processes(self) -> Iterator[tuple[str, int]]:
        """Yield the kind and the process id of the template and of all text processes."""
        if self._template:
            yield "template", self._template.pid
        for request in self._requests:
            if request.process:
                yield "text", request.process.pid

    def close(self) -> None:
        """End the template and all text processes."""
        self._tasks.cancel()
        if self._template is not None:
            self._template.close_all()
            self._template = None

    def _living_template(self) -> Template:
        if self._template is not None and not self._template.is_alive:
            self._template.close()
            self._template = None
        if self._template is None:
            self._template = Template(self._config)
        self._beats = self._beats or self._tasks.start(watch(self._watched, lambda: None))
        return self._template

    def _watched(self) -> list[Watched]:
        template = [self._template] if self._template and self._template.is_alive else []
        return [*template, *(request.process for request in self._requests if request.process)]


class TextProcess:
    """The process of one large request, as the heartbeat sees it (serve.processes.heartbeat.Watched)."""

    owes_pong = False

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.owes_answer = True  # except while it waits for lanes
        self._child = ChildProcess(pid)

    def activity(self) -> Activity:
        """Read what the process does."""
        return self._child.activity()

    def ping(self) -> None:
        """Do nothing: the process is never idle, except while it waits for lanes."""

    def kill(self) -> None:
        """Kill the process; its request then fails."""
        self._child.kill()


class _LargeRequest:
    """One large request: its lanes, and the connection to its text process."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lanes: PoolLanes, template: Template
    ) -> None:
        self.process: TextProcess | None = None  # once it has said its process id
        self.cpu_seconds = 0.0  # that the process has used, once it has ended
        self._reader = reader
        self._writer = writer
        self._lanes = lanes
        self._template = template  # holds the lifeline of the process
        self._in_flight: deque[list[Job]] = deque()  # one list for each batch

    async def serve(self, body: list[bytes]) -> bytes:
        """Send the body, which empties the list, and do what the text process asks for until it has the answer."""
        await self._send(body)
        while True:
            kind, message = await _receive(self._reader)
            if kind is FrameKind.FAILED:
                failed = orjson.loads(message)
                self.cpu_seconds = failed["cpu_seconds"]
                raise frames.error_of(failed["name"], failed["message"])
            if kind is FrameKind.DONE:
                return await self._done(message)
            if kind is FrameKind.STARTED:
                with suppress(ProcessLookupError):  # it may have sent all that it has to say, and have ended
                    self.process = TextProcess(int(message))
            elif kind is FrameKind.PARSED:
                self._lanes.trace.note_form(message.decode())
            else:
                await self._ask_lanes(kind, message)

    async def _ask_lanes(self, kind: FrameKind, message: bytes) -> None:
        """Do what the text process wants of the lanes, and reply."""
        if kind is FrameKind.RESOLVE:
            with self._waiting_for_lanes():
                found = await self._resolve(orjson.loads(message))
            await self._reply(FrameKind.RESOLVED, orjson.dumps(found))
        elif kind is FrameKind.MEASURE:
            tokens = await self._lanes.max_tokens(*orjson.loads(message))
            await self._reply(FrameKind.MEASURED, orjson.dumps(tokens))
        elif kind is FrameKind.DEMAND:
            await self._lanes.admit([Demand(*row) for row in orjson.loads(message)])
            await self._reply(FrameKind.ADMITTED, b"")
        else:
            await self._run(message)

    async def _resolve(self, wanted: Precision | None) -> dict[str, str]:
        """Return the precision, or why it is unavailable: the text process knows which item of the request asks."""
        try:
            return {"precision": await self._lanes.resolve(wanted)}
        except PrecisionUnavailable as error:
            return {"unavailable": str(error)}

    async def _send(self, body: list[bytes]) -> None:
        size = sum(map(len, body))
        self._writer.write(frames.header(FrameKind.REQUEST, size))
        body.reverse()
        while body:  # each piece is dropped once it has been sent, so that the body exists only once
            self._writer.write(body.pop())
            await self._writer.drain()
        if size > GIVE_BACK_BYTES:
            memory.give_back()  # the text process needs as much now

    def end(self) -> None:
        """End the process, even if it is stopped."""
        self._writer.transport.abort()
        if self.process:
            activity = self.process.activity()
            if not activity.has_ended:  # it has not said what it used, or uses more while it ends
                self.cpu_seconds = max(self.cpu_seconds, activity.cpu_seconds)
            self.process.kill()

    @contextmanager
    def _waiting_for_lanes(self) -> Iterator[None]:
        """Mark that the process rightly does nothing."""
        if self.process:
            self.process.owes_answer = False
        yield
        if self.process:
            self.process.owes_answer = True

    async def _run(self, message: bytes) -> None:
        """Queue a batch, and reply with the logits of the oldest batch once enough batches are in flight."""
        batch, is_last = frames.parse_windows(message)
        self._in_flight.append(self._lanes.submit(batch))
        while len(self._in_flight) >= GROUPS_IN_FLIGHT or (is_last and self._in_flight):
            with self._waiting_for_lanes():
                logits = [await self._lanes.result(job) for job in self._in_flight.popleft()]
            await self._reply(FrameKind.LOGITS, b"".join(part.tobytes() for pair in logits for part in pair))

    async def _done(self, message: bytes) -> bytes:
        trace, done = self._lanes.trace, orjson.loads(message)
        self.cpu_seconds = done["cpu_seconds"]
        for stage, seconds in done["stages"].items():
            trace.stages[stage] = trace.stages.get(stage, 0.0) + seconds
            trace.began.setdefault(stage, done["began"][stage])  # all processes have the same clock
        _, answer = await _receive(self._reader)
        return answer

    async def _reply(self, kind: FrameKind, body: bytes) -> None:
        self._writer.write(frames.header(kind, len(body)) + body)
        await self._writer.drain()


async def _receive(reader: asyncio.StreamReader) -> tuple[FrameKind, bytes]:
    length, kind = HEADER.unpack(await reader.readexactly(HEADER.size))
    return FrameKind(kind), await reader.readexactly(length)
