"""A discrete-event simulation of a saturated server: clients, one HTTP process, and one narrow lane on each core.

All times are milliseconds of CPU time, or of the simulated clock. The model is this:

* Each client sends a question, waits for the answer, and sends the next one at once.
* The HTTP process handles one thing at a time: half of its work on a question comes before the model, half after it.
* A question becomes windows. They wait in one queue, in order, for the first lane that is free. If batches pay, a lane
  takes as many waiting windows of the same rung as its largest batch holds.
* The HTTP process, and the load generator if it runs on the same machine, go before the lanes: while they run, all
  lanes that work share the cores that are left.

Left out, because a saturated server with short documents hardly has them: the wide lane, background lanes, limits of
memory bandwidth, and hyper-threads.
"""

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

NOTHING = float("inf")


@dataclass(frozen=True)
class Costs:
    """What was measured on one machine, in milliseconds of CPU time.

    http: of the HTTP and text processes, for one question.
    passes: of a pass on one core, by rung.
    batches: of a call with several windows, by rung and number of windows; only those that the server uses.
    generator: of the load generator, for one question; 0 if it runs on another machine.
    """

    http: float
    passes: Mapping[int, float]
    batches: Mapping[tuple[int, int], float] = field(default_factory=dict)
    generator: float = 0.0

    def call(self, rung: int, windows: int) -> float:
        """Return the time of a call with this many windows."""
        return self.passes[rung] if windows == 1 else self.batches[rung, windows]

    def most_windows(self, rung: int, waiting: int) -> int:
        """Return how many of the waiting windows of this rung a lane takes."""
        return max((size for of, size in self.batches if of == rung and size <= waiting), default=1)


@dataclass(frozen=True)
class Outcome:
    """The result of one simulation. The shares are of one core for the HTTP process, and of all cores for the lanes."""

    questions_per_second: float
    http_share: float
    lanes_share: float
    mean_ms: float


def simulate(costs: Costs, questions: Sequence[Sequence[int]], *, cores: int, clients: int, answers: int) -> Outcome:
    """Simulate a closed loop until `answers` questions are answered.

    questions: the rungs of the windows of each question; they are asked in this order, again and again.

    Raises: ValueError if there are no questions, cores, clients or answers, or a question has no windows.
    """
    if not questions or not all(questions) or min(cores, clients, answers) < 1:
        raise ValueError("give at least one question with windows, one core, one client and one answer")
    return _Simulation(costs, questions, cores).run(clients, answers)


@dataclass
class _Question:
    rungs: Sequence[int]
    begun_at: float
    left: int = 0  # windows without logits


class _Process:
    """A process with one thread: it handles what waits, one after the other."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, str, _Question]] = deque()  # its cost, what follows, and the question
        self.busy_ms = 0.0

    @property
    def left_ms(self) -> float:
        return self.waiting[0][0] if self.waiting else NOTHING

    def work(self, cpu_ms: float) -> None:
        cost, following, question = self.waiting[0]
        self.waiting[0] = (cost - cpu_ms, following, question)
        self.busy_ms += cpu_ms


class _Simulation:
    def __init__(self, costs: Costs, questions: Sequence[Sequence[int]], cores: int) -> None:
        self._costs = costs
        self._asked = (questions[number % len(questions)] for number in count())
        self._cores = cores
        self._now = self._lane_clock = 0.0  # the clock of the lanes stands still while they have no core
        self._http, self._generator = _Process(), _Process()
        self._queue: deque[tuple[int, _Question]] = deque()
        self._running: list[tuple[float, int, list[_Question]]] = []  # calls, by when they end on the lanes' clock
        self._order = count()
        self._lanes_ms = self._latency_ms = 0.0
        self._answered = 0

    def run(self, clients: int, answers: int) -> Outcome:
        for _ in range(clients):
            self._ask()
        while self._answered < answers:
            self._advance()
        return Outcome(
            questions_per_second=1000 * self._answered / self._now,
            http_share=self._http.busy_ms / self._now,
            lanes_share=self._lanes_ms / (self._now * self._cores),
            mean_ms=self._latency_ms / self._answered,
        )

    def _ask(self) -> None:
        question = _Question(next(self._asked), self._now)
        question.left = len(question.rungs)
        self._generator.waiting.append((self._costs.generator, "send", question))

    def _advance(self) -> None:
        """Go to the next moment at which something ends, and do what follows."""
        processes = [process for process in (self._http, self._generator) if process.waiting]
        speed = min(1.0, self._cores / len(processes)) if processes else 0.0
        free = max(0.0, self._cores - len(processes))
        lane_speed = min(1.0, free / len(self._running)) if self._running else 0.0
        first = min(processes, key=lambda process: process.left_ms, default=None)
        process_ms = first.left_ms / speed if first else NOTHING
        lane_ms = (self._running[0][0] - self._lane_clock) / lane_speed if lane_speed else NOTHING
        passed = min(process_ms, lane_ms)
        self._now += passed
        self._lane_clock += passed * lane_speed
        self._lanes_ms += passed * lane_speed * len(self._running)
        for process in processes:
            process.work(passed * speed)
        if first and process_ms <= lane_ms:
            self._follow(*first.waiting.popleft()[1:])
        else:
            self._end_call()
        self._start_calls()

    def _follow(self, following: str, question: _Question) -> None:
        match following:
            case "send":
                self._http.waiting.append((self._costs.http / 2, "queue", question))
            case "queue":
                self._queue.extend((rung, question) for rung in question.rungs)
            case "answer":
                self._answered += 1
                self._latency_ms += self._now - question.begun_at
                self._ask()

    def _end_call(self) -> None:
        _, _, questions = heapq.heappop(self._running)
        for question in questions:
            question.left -= 1
            if not question.left:
                self._http.waiting.append((self._costs.http / 2, "answer", question))

    def _start_calls(self) -> None:
        while self._queue and len(self._running) < self._cores:
            rung = self._queue[0][0]
            alike = [place for place, (of, _) in enumerate(self._queue) if of == rung]
            taken = alike[: self._costs.most_windows(rung, len(alike))]
            questions = [self._queue[place][1] for place in taken]
            for place in reversed(taken):
                del self._queue[place]
            end = self._lane_clock + self._costs.call(rung, len(taken))
            heapq.heappush(self._running, (end, next(self._order), questions))
