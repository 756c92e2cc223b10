"""The processes of a running server by kind, the faults that are tried on them, and the matrix of all cases."""

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from tests.server.server_process import cores_of, has_ended
from tools.local_server import LocalServer

TEXT_KINDS = ("template", "text")
KINDS = ("worker", "zygote", "narrow", "wide", "background", "guard", *TEXT_KINDS)
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
MOMENTS = ("at rest", "during warm-up", "under load")
GAPS_SECONDS = (0, 0.3, 1.5, 4)  # between two faults: some hit the replacement of the process that was lost first


@dataclass(frozen=True)
class Fault:
    """A signal for one process of a kind."""

    kind: str
    signal: signal.Signals

    def __str__(self) -> str:
        return f"{self.signal.name} {self.kind}"


@dataclass(frozen=True)
class Case:
    """One fault or an ordered pair of faults, at a moment."""

    faults: tuple[Fault, ...]
    moment: str

    @property
    def kinds(self) -> set[str]:
        """The kinds of the processes that get a signal."""
        return {each.kind for each in self.faults}

    @property
    def has_stop(self) -> bool:
        """Whether a process is stopped and not only killed."""
        return any(each.signal is signal.SIGSTOP for each in self.faults)

    @property
    def gap_seconds(self) -> float:
        """The time between the faults, always the same for a case."""
        return random.Random(str(self)).choice(GAPS_SECONDS)

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.faults))} {self.moment}"


FAULTS = [Fault(kind, sent) for kind in KINDS for sent in SIGNALS]
ALL_CASES = [
    Case(faults, moment)
    for moment in MOMENTS
    for faults in [*((each,) for each in FAULTS), *itertools.product(FAULTS, repeat=2)]
]


def eight_cases(seed: int) -> list[Case]:
    """Return eight pairs that are always the same for a seed.

    Each kind is hit twice, each moment occurs at least twice, and both signals come first equally often. The worker is
    only killed, because a worker that is stopped is replaced after half a minute: the soak covers that.
    """
    chance = random.Random(seed)
    hit = [kind for kind in KINDS for _ in range(2)]
    while any(first == second for first, second in zip(hit[::2], hit[1::2], strict=True)):
        chance.shuffle(hit)
    order = [*SIGNALS, *reversed(SIGNALS)]
    sent = [signal.SIGKILL if kind == "worker" else order[number % 4] for number, kind in enumerate(hit)]
    faults = [Fault(*each) for each in zip(hit, sent, strict=True)]
    return [
        Case(pair, MOMENTS[number % len(MOMENTS)])
        for number, pair in enumerate(zip(faults[::2], faults[1::2], strict=True))
    ]


class ServerProcesses:
    """All living processes of a server, found by the port in their environment, also those that lost their parent."""

    def __init__(self, server: LocalServer) -> None:
        marks = [f"PORT={server.port}".encode()]
        found = [each for each in psutil.process_iter() if _is_marked(each, marks)]
        self.by_kind = {kind: [] for kind in ("master", *KINDS, "other")}  # type: dict[str, list[psutil.Process]]
        self.all = found
        for each in found:
            self.by_kind[_kind(each, server.process.pid)].append(each)

    def one(self, kind: str, hit: list[int]) -> psutil.Process | None:
        """Return a process of a kind, if possible one that was not hit before."""
        found = sorted(self.by_kind[kind], key=lambda each: each.pid in hit)
        return found[0] if found else None


def _is_marked(process: psutil.Process, marks: list[bytes]) -> bool:
    try:
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            environment = file.read().split(b"\0")
        return not has_ended(process.pid) and all(mark in environment for mark in marks)
    except (OSError, psutil.Error):
        return False


def _kind(process: psutil.Process, master: int) -> str:
    try:
        command, parent = process.cmdline(), process.ppid()
        if process.pid == master:
            return "master"
        if "model_loader.zygote" in command:
            # The zygote leads a process group of its own, and its lanes are in this group.
            return "zygote" if os.getpgid(process.pid) == process.pid else _lane_kind(process, master)
        if "model_loader.lane_program" in command:  # a wide lane of OpenVINO
            return _lane_kind(process, master)
        if "serve.text_worker" in command:
            return "template" if os.getpgid(process.pid) == process.pid else "text"
        return "worker" if parent == master else "other"
    except (OSError, psutil.Error):
        return "other"


def _lane_kind(lane: psutil.Process, master: int) -> str:
    """Tell the kind of a lane by its cores, and by its priority compared with that of the gunicorn master."""
    if os.sched_getscheduler(lane.pid) == os.SCHED_IDLE:
        return "guard"
    if len(cores_of(lane)) > 1:
        return "wide"
    return "background" if lane.nice() > psutil.Process(master).nice() + 5 else "narrow"


def send(server: LocalServer, case: Case) -> list[int]:
    """Send the signals of a case in order; return the process ids that got one.

    A fault is left out if there is no process of its kind, for example no wide lane while the server starts.
    """
    hit: list[int] = []
    for fault, _ in zip(case.faults, _pauses(case), strict=False):
        process = ServerProcesses(server).one(fault.kind, hit)
        if process is not None:
            try:
                process.send_signal(fault.signal)
            except psutil.NoSuchProcess:
                continue
            hit.append(process.pid)
    return hit


def _pauses(case: Case) -> Iterator[None]:
    yield
    while True:
        time.sleep(case.gap_seconds)
        yield
