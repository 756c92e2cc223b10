"""Cores in turns: who gets one that is free, and what the others use."""

from dataclasses import dataclass, field

from serve.lanes.core_arbiter import CoreArbiter


@dataclass(eq=False)
class Queue:
    """A model with windows that wait, all for core 0."""

    name: str
    book: CoreArbiter
    log: list[str]
    waiting: int = 0
    busy: frozenset[int] = field(default_factory=frozenset)

    def busy_cores(self) -> frozenset[int]:
        return self.busy

    def dispatch(self) -> bool:
        if not self.waiting or 0 in self.busy | self.book.busy_beside(self):
            return False
        self.waiting -= 1
        self.busy = frozenset({0})
        self.log.append(self.name)
        return True

    def work_ms(self, windows: int) -> float:
        return float(min(self.waiting, windows))


def run(book: CoreArbiter, queues: list[Queue], windows: int) -> str:
    book.offer()
    for _ in range(windows):
        for queue in queues:
            if queue.busy:
                queue.busy = frozenset()
                book.offer()
                break
    return "".join(queues[0].log)


def queues(**waiting: int) -> tuple[CoreArbiter, list[Queue]]:
    book, log = CoreArbiter(), list[str]()
    made = [Queue(name, book, log, count) for name, count in waiting.items()]
    for queue in made:
        book.enter(queue)
    return book, made


def test_models_take_turns_while_they_have_work() -> None:
    book, made = queues(a=4, b=2, c=1)
    assert run(book, made, 10) == "abcabaa"


def test_one_model_alone_has_every_turn() -> None:
    book, made = queues(a=3)
    assert run(book, made, 10) == "aaa"


def test_a_model_that_leaves_gives_its_cores_to_the_others() -> None:
    book, (a, b) = queues(a=2, b=1)
    book.offer()
    assert a.log == ["a"]
    book.leave(a)
    assert a.log == ["a", "b"]
    assert book.busy_beside(a) == {0}


def test_others_delay_a_request_by_as_much_as_its_own_work_at_most() -> None:
    book, (a, _, _) = queues(a=2, b=9, c=1)
    assert book.work_ms_beside(a, 4, a.work_ms(4)) == 2 + 1
