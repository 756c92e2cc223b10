"""Which model gets a free core, and which cores the others use."""

from dataclasses import dataclass, field

from serve.lanes.core_arbiter import CoreArbiter


@dataclass(eq=False)
class Queue:
    """A model with windows that wait, all for core 0."""

    name: str
    arbiter: CoreArbiter
    log: list[str]
    waiting: int = 0
    busy: frozenset[int] = field(default_factory=frozenset)

    def busy_cores(self) -> frozenset[int]:
        return self.busy

    def dispatch(self) -> bool:
        if not self.waiting or 0 in self.busy | self.arbiter.cores_of_others(self):
            return False
        self.waiting -= 1
        self.busy = frozenset({0})
        self.log.append(self.name)
        return True

    def work_ahead_ms(self, windows: int) -> float:
        return float(min(self.waiting, windows))


def run(arbiter: CoreArbiter, queues: list[Queue], windows: int) -> str:
    arbiter.offer_cores()
    for _ in range(windows):
        for queue in queues:
            if queue.busy:
                queue.busy = frozenset()
                arbiter.offer_cores()
                break
    return "".join(queues[0].log)


def queues(**waiting: int) -> tuple[CoreArbiter, list[Queue]]:
    arbiter, log = CoreArbiter(), list[str]()
    made = [Queue(name, arbiter, log, count) for name, count in waiting.items()]
    for queue in made:
        arbiter.join(queue)
    return arbiter, made


def test_models_take_turns_while_they_have_work() -> None:
    arbiter, made = queues(a=4, b=2, c=1)
    assert run(arbiter, made, 10) == "abcabaa"


def test_one_model_alone_has_every_turn() -> None:
    arbiter, made = queues(a=3)
    assert run(arbiter, made, 10) == "aaa"


def test_a_model_that_leaves_gives_its_cores_to_the_others() -> None:
    arbiter, (a, b) = queues(a=2, b=1)
    arbiter.offer_cores()
    assert a.log == ["a"]
    arbiter.leave(a)
    assert a.log == ["a", "b"]
    assert arbiter.cores_of_others(a) == {0}


def test_others_delay_a_request_by_at_most_its_own_models_work() -> None:
    arbiter, (a, _, _) = queues(a=2, b=9, c=1)
    assert arbiter.work_of_others_ms(a, 4, a.work_ahead_ms(4)) == 2 + 1
