"""Play one case of the matrix on a running server, and say what came of it."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.hostile.processes import TEXT_KINDS, Case, ServerProcesses, send
from tests.server.questions import BODY, CONTEXT, long_body
from tests.server.server_process import has_ended
from tests.waiting import wait_until
from tools.local_server import LocalServer

RECOVERY_SECONDS = {False: 30, True: 60}  # by Case.has_stop: until all lanes are back (issue 19)
GIVE_UP_SECONDS = 120  # also measures recoveries that take too long
REPLY_SECONDS = 75  # longer than the deadline of a request
TIDY_SECONDS = 60  # a new zygote and renewed lanes follow
CLIENTS = 6
LOAD_SECONDS = 1  # before the first fault
LARGE = " " * 40_000  # white space has no tokens, and makes a body that goes to a text process
DOCUMENTED = {"overloaded", "inference_failed", "not_ready", "deadline_exceeded"}
QUESTIONS = [
    BODY,
    {"question": "When was the lighthouse built?", "context": CONTEXT},
    {"question": "How tall is the lighthouse?", "context": CONTEXT},
    {"question": "From how far can its lamp be seen?", "context": CONTEXT},
    {**BODY, "context": BODY["context"] + LARGE},
]
LONG = {**BODY, "context": long_body(3000)["context"] + LARGE}  # its text process lives for about 2 s

Answer = tuple[Any, ...]


def ask(server: LocalServer, body: dict[str, str]) -> Answer | str:
    """Ask one question; return its answer, an error's type, or "closed"."""
    try:
        response = httpx.post(f"{server.url}/invocations", json=body, timeout=REPLY_SECONDS)
    except httpx.TimeoutException:
        return "no reply"
    except httpx.TransportError:
        return "closed"
    found = response.json()
    return (found["answer"], found["start"], found["end"]) if response.status_code == 200 else str(found["error_type"])


@dataclass
class Outcome:
    """What came of a case. seconds: until all lanes were back and every question was answered rightly."""

    case: Case
    hit: int
    seconds: float
    replies: Counter[str] = field(default_factory=Counter)
    left_over: str = ""

    @property
    def problems(self) -> list[str]:
        """What is not as it must be on a machine that does nothing else."""
        return self.problems_within(RECOVERY_SECONDS[self.case.has_stop])

    def problems_within(self, limit_seconds: float) -> list[str]:
        """What is not as it must be, if the recovery may take this long."""
        allowed = {"right", *DOCUMENTED, *(["closed"] if "worker" in self.case.kinds else [])}
        found = [f"{count} x {reply}" for reply, count in self.replies.items() if reply not in allowed]
        if self.seconds > limit_seconds:
            found.append(f"recovered after {self.seconds:.1f} s instead of {limit_seconds} s")
        return [*found, *([self.left_over] if self.left_over else [])]

    def __str__(self) -> str:
        replies = ", ".join(f"{count} {reply}" for reply, count in sorted(self.replies.items()))
        verdict = "FAILED: " + "; ".join(self.problems) if self.problems else "passed"
        return f"{verdict}: {self.case}: {self.hit} processes hit, {self.seconds:.1f} s, {replies}"


class Player:
    """Plays cases on one server, whose answers while it is quiet are the right ones."""

    def __init__(self, server: LocalServer, right: Sequence[Answer | str] | None = None) -> None:
        self.server = server
        self.right = right or [ask(server, body) for body in (*QUESTIONS, LONG)]
        assert all(isinstance(answer, tuple) for answer in self.right), self.right

    def play(self, case: Case) -> Outcome:
        """Send the signals of a case, and wait until the server has recovered."""
        server, replies = self.server, Counter[str]()
        is_done = threading.Event()
        clients = [
            threading.Thread(target=self._ask_on, args=(number, is_done, replies))
            for number in range(CLIENTS if case.moment == "under load" else 0)
        ]
        if case.kinds & set(TEXT_KINDS):
            clients.append(threading.Thread(target=self._ask_one, args=(len(QUESTIONS), replies)))
        for each in clients:
            each.start()
        if case.kinds & set(TEXT_KINDS):
            wait_until("a text process runs", lambda: bool(ServerProcesses(server).by_kind["text"]))
        elif clients:
            time.sleep(LOAD_SECONDS)
        hit = send(server, case)
        start = time.monotonic()
        while not (is_back := self._is_back(hit, replies)) and time.monotonic() - start < GIVE_UP_SECONDS:
            time.sleep(0.2)
        seconds = time.monotonic() - start if is_back else float("inf")
        is_done.set()
        for each in clients:
            each.join()
        return Outcome(case, len(hit), seconds, replies, self._left_over(hit))

    def _ask_on(self, first: int, is_done: threading.Event, replies: Counter[str]) -> None:
        number = first
        while not is_done.is_set():
            self._ask_one(number % len(QUESTIONS), replies)
            number += 1

    def _ask_one(self, number: int, replies: Counter[str]) -> bool:
        answer = ask(self.server, (*QUESTIONS, LONG)[number])
        is_right = answer == self.right[number]
        replies["right" if is_right else answer if isinstance(answer, str) else f"wrong: {answer}"] += 1
        return is_right

    def _is_back(self, hit: Sequence[int], replies: Counter[str]) -> bool:
        """Whether the processes that got a signal have ended, all lanes run, and the server answers every question."""
        assert self.server.process.poll() is None, f"the server ended with {self.server.process.returncode}"
        try:
            lanes = self.server.info()["lanes"]
        except httpx.HTTPError:
            return False
        found = ServerProcesses(self.server).by_kind
        return (
            all(lane["is_alive"] for lane in lanes)
            and all(len(found[kind]) == count for kind, count in _planned(lanes).items())
            and all(map(has_ended, hit))
            and all(self._ask_one(number, replies) for number in range(len(QUESTIONS)))
        )

    def _left_over(self, hit: Sequence[int]) -> str:
        """Wait until the server has exactly the processes that it should have; say which there are if it does not."""
        wanted = {**_planned(self.server.info()["lanes"]), "master": 1, "worker": 1, "zygote": 1, "template": 1}
        deadline = time.monotonic() + TIDY_SECONDS
        while True:
            found = {kind: len(each) for kind, each in ServerProcesses(self.server).by_kind.items() if each}
            if found == wanted and all(map(has_ended, hit)):
                return ""
            if time.monotonic() > deadline:
                return f"the server has the processes {found}"
            time.sleep(0.1)


def _planned(lanes: Sequence[dict[str, Any]]) -> Counter[str]:
    """Count the lanes of each kind in the answer of /info."""
    return Counter(lane["name"].rpartition("-")[0] for lane in lanes)
