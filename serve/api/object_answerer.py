"""Answer one JSON object: the body of a request, or one line of JSON Lines."""

import asyncio
import time
from dataclasses import dataclass

import orjson

from container import memory
from serve.api.body import parse
from serve.api.body.items import Limits
from serve.lanes.admission import Permit
from serve.lifecycle import Lifecycle
from serve.qa.request_lanes import Trace
from serve.text_process.client import LARGE_BODY_BYTES

GIVE_BACK_AFTER_SECONDS = 1.0


@dataclass(slots=True)
class ObjectAnswerer:
    """Answers the objects of one request: small ones here, and large ones in text processes."""

    lifecycle: Lifecycle
    permit: Permit
    trace: Trace

    async def answer(self, body: list[bytes]) -> bytes:
        """Return the body of the response to an object that arrived in these pieces.

        A large body is dropped from the list while it is worked on.

        Raises: RequestError.
        """
        if sum(map(len, body)) > LARGE_BODY_BYTES:
            try:
                return await self.lifecycle.text_processes.answer(body, self.permit, self.trace)
            finally:
                # What the C library keeps of the freed memory goes back to the system, once the response has gone out.
                asyncio.get_running_loop().call_later(GIVE_BACK_AFTER_SECONDS, memory.give_back)
        start = time.perf_counter()
        settings = self.lifecycle.settings
        limits = Limits(settings.max_items, settings.max_characters, self.lifecycle.tasks)
        parsed = parse.parse(b"".join(body), limits, self.trace.note_form)
        self.trace.took("parse", start)
        answers = await self.lifecycle.engine.answer(parsed.questions, self.permit, self.trace)
        return orjson.dumps(parsed.response_body(answers))
