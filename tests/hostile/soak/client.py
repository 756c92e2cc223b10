"""Clients that send random requests, one in a hundred of them hostile, and compare each answer with its reference."""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.hostile.catalogue import HOSTILE, request
from tests.hostile.exchange import Received, exchange, read_responses
from tests.hostile.soak.questions import FORMS, SINGLE_FORMS, Reference, answers_in, body_of

HOSTILE_SHARE = 0.01
MOST_PIPELINED = 6
MOST_ITEMS = 4  # in one request of a form with several items
RETRIES = 20  # of a request that is refused with 429
SECONDS = 120  # a request that takes longer has failed


@dataclass
class Tally:
    """What happened, over all clients.

    Attributes:
        done: requests that are over.
        counts: requests by form, and `hostile`, `refused` (429, sent again) and `answers` compared.
        failures: what went wrong, in words; only the first of them are kept.
    """

    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, requests: int, counts: Counter[str], failures: Sequence[str]) -> None:
        """Add what one client has done."""
        with self.lock:
            self.done += requests
            self.counts += counts
            self.failed += len(failures)
            self.failures += failures[: max(0, 20 - len(self.failures))]


class Client:
    """One client: it sends one batch of requests after another until `until` are done."""

    def __init__(self, port: int, references: Sequence[Reference], tally: Tally, seed: str) -> None:
        self._port = port
        self._references = references
        self._tally = tally
        self._chance = random.Random(seed)
        self._connection: socket.socket | None = None

    def run(self, until: int) -> None:
        """Send requests until all clients together have done this many."""
        try:
            while self._tally.done < until:
                if self._tally.counts["hostile"] < HOSTILE_SHARE * self._tally.done:
                    self._attack()
                else:
                    self._ask()
        finally:
            self._close()

    def _attack(self) -> None:
        hostile = self._chance.choice(HOSTILE)
        try:
            statuses = [each.status for each in exchange(self._port, hostile.make(), 1, SECONDS, hostile.method)]
            is_documented = statuses and set(statuses) <= hostile.statuses | {429}
            failures = [] if is_documented else [f"{hostile.name}: {statuses}"]
        except Exception as error:
            failures = [f"{hostile.name}: {error!r}"]
        self._tally.add(1, Counter({"hostile": 1}), failures)

    def _ask(self) -> None:
        """Send one request, or several in one packet, on a new or on a kept connection."""
        number = 1 if self._chance.random() < 0.8 else self._chance.randint(2, MOST_PIPELINED)
        forms = self._chance.choices(FORMS, k=number)
        asked = [self._choose(form) for form in forms]
        counts = Counter({"pipelined": number if number > 1 else 0, **Counter(forms)})
        waiting, failures = list(range(number)), []
        for attempt in range(RETRIES):
            data = b"".join(_request(forms[each], asked[each]) for each in waiting)
            try:
                responses = self._send(data, len(waiting))
            except Exception as error:
                self._close()
                failures = [f"{forms}: {error!r}"]
                break
            if len(responses) < len(waiting):
                failures = [f"{forms}: {len(responses)} responses to {len(waiting)} requests"]
                break
            refused = [each for each, response in zip(waiting, responses, strict=True) if response.status == 429]
            for each, response in zip(waiting, responses, strict=True):
                if each not in refused:
                    failures += _compare(forms[each], asked[each], response)
                    counts["answers"] += len(asked[each])
            counts["refused"] += len(refused)
            waiting = refused
            if not waiting:
                break
            time.sleep(min(1 + attempt, 10))
        else:
            failures.append(f"{forms}: still refused after {RETRIES} attempts")
        self._tally.add(number, counts, failures)

    def _choose(self, form: str) -> list[Reference]:
        return self._chance.choices(
            self._references, k=1 if form in SINGLE_FORMS else self._chance.randint(1, MOST_ITEMS)
        )

    def _send(self, data: bytes, count: int) -> list[Received]:
        if self._connection is None or self._chance.random() < 0.3:
            self._close()
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=SECONDS)
        self._connection.sendall(data)
        responses = read_responses(self._connection, count)
        if any(each.headers.get("connection") == "close" for each in responses) or len(responses) < count:
            self._close()
        return responses

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _request(form: str, asked: Sequence[Reference]) -> bytes:
    media_type = "application/jsonlines" if form == "lines" else "application/json"
    return request(body_of(form, asked), f"Content-Type: {media_type}")


def _compare(form: str, asked: Sequence[Reference], response: Received) -> list[str]:
    """Return what is wrong with a response, if anything is."""
    if response.status != 200:
        return [f"{form}: {response.status} {response.body[:300]!r}"]
    answers = answers_in(form, response.body)
    if len(answers) != len(asked):
        return [f"{form}: {len(answers)} answers to {len(asked)} questions"]
    return [
        f"{form}: {answer} instead of {reference.answer}"
        for reference, answer in zip(asked, answers, strict=True)
        if "error" in answer or not reference.agrees(answer)
    ]
