"""Which window of which request runs next."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from model_loader.model_io import ModelInput
from serve.lanes.fair_queue import FairQueue, Job, Priority, PriorityQueues, Ticket

MakeJobs = Callable[..., list[Job]]


@pytest.fixture
def make_jobs() -> Iterator[MakeJobs]:
    """Makes jobs of these costs. The token ids are their numbers, so that no two jobs are equal."""
    loop = asyncio.new_event_loop()
    number = itertools.count()

    def make(*costs_ms: float) -> list[Job]:
        windows = [ModelInput(np.array([next(number)], dtype=np.int32), 0) for _ in costs_ms]
        return [
            Job("INT8", window, cost, asyncio.Future(loop=loop)) for window, cost in zip(windows, costs_ms, strict=True)
        ]

    yield make
    loop.close()


def queued(queue: FairQueue, jobs: list[Job]) -> Ticket:
    ticket = Ticket()
    for job in jobs:
        queue.add(ticket, job)
    return ticket


def drained(queue: FairQueue) -> list[Job]:
    order = []
    while found := queue.pop(lambda _: True):
        order.append(found[1])
    return order


def test_windows_of_one_request_come_in_their_order(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    jobs = make_jobs(1, 1, 1)
    ticket = queued(queue, jobs)
    assert queue.pop(lambda _: True) == (ticket, jobs[0])
    assert drained(queue) == jobs[1:]


def test_requests_take_turns(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    book, short, pair = make_jobs(1, 1, 1, 1), make_jobs(1), make_jobs(1, 1)
    for jobs in (book, short, pair):
        queued(queue, jobs)
    assert drained(queue) == [book[0], short[0], pair[0], book[1], pair[1], book[2], book[3]]


def test_a_new_request_waits_for_one_window_of_each_other_request(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    book = make_jobs(*[1] * 50)
    queued(queue, book)
    for _ in range(10):
        queue.pop(lambda _: True)
    new = make_jobs(1)
    queued(queue, new)
    assert drained(queue)[:3] == [book[10], new[0], book[11]]


def test_an_empty_queue_gives_nothing() -> None:
    queue = FairQueue()
    assert queue.pop(lambda _: True) is None
    assert (len(queue), queue.work_ahead_ms(5)) == (0, 0)


def test_the_length_is_the_number_of_windows(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    queued(queue, make_jobs(1, 1, 1))
    queued(queue, make_jobs(1))
    assert len(queue) == 4
    queue.pop(lambda _: True)
    assert len(queue) == 3
    drained(queue)
    assert len(queue) == 0


def test_a_window_that_is_put_back_is_next(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    lost, other = make_jobs(1, 1), make_jobs(1, 1)
    ticket = queued(queue, lost)
    queued(queue, other)
    assert queue.pop(lambda _: True) == (ticket, lost[0])
    queue.put_back(ticket, lost[0])
    assert len(queue) == 4
    assert drained(queue) == [lost[0], other[0], lost[1], other[1]]


def test_the_last_window_of_a_request_can_be_put_back(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    lost, other = make_jobs(1), make_jobs(1)
    ticket = queued(queue, lost)
    queued(queue, other)
    queue.pop(lambda _: True)
    queue.put_back(ticket, lost[0])
    assert drained(queue) == [lost[0], other[0]]


def test_only_the_named_windows_are_dropped(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    lines, other = make_jobs(1, 1, 1, 1), make_jobs(1)
    ticket = queued(queue, lines)
    queued(queue, other)
    queue.drop(ticket, {lines[0], lines[2]})
    assert len(queue) == 3
    assert drained(queue) == [lines[1], other[0], lines[3]]


def test_a_request_without_windows_leaves_the_ring(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    gone, other = make_jobs(1, 1), make_jobs(1)
    ticket = queued(queue, gone)
    queued(queue, other)
    queue.drop(ticket, set(gone))
    assert len(queue) == 1
    assert drained(queue) == other


def test_dropping_a_window_that_does_not_wait_changes_nothing(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    jobs = make_jobs(1, 1)
    ticket = queued(queue, jobs)
    _, running = queue.pop(lambda _: True) or pytest.fail("the queue is empty")
    queue.drop(ticket, {running})
    queue.drop(Ticket(), {jobs[1]})
    assert drained(queue) == [jobs[1]]
    queue.drop(ticket, set(jobs))
    assert len(queue) == 0


def test_a_dropped_request_can_queue_again(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    line, next_line = make_jobs(1), make_jobs(1)
    ticket = queued(queue, line)
    queue.drop(ticket, set(line))
    queue.add(ticket, next_line[0])
    assert drained(queue) == next_line


def test_a_window_that_cannot_run_is_skipped(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    long, short = make_jobs(384, 384), make_jobs(16)
    queued(queue, long)
    ticket = queued(queue, short)
    assert queue.pop(lambda job: job.cost_ms < 100) == (ticket, short[0])
    assert queue.pop(lambda job: job.cost_ms < 100) is None
    assert drained(queue) == long


def test_a_pop_that_finds_nothing_leaves_the_order(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    first, second, third = make_jobs(1), make_jobs(1), make_jobs(1)
    for jobs in (first, second, third):
        queued(queue, jobs)
    assert queue.pop(lambda _: False) is None
    assert drained(queue) == [first[0], second[0], third[0]]


def test_a_request_that_was_skipped_keeps_its_place(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    skipped, second, third = make_jobs(384), make_jobs(16, 16), make_jobs(16)
    for jobs in (skipped, second, third):
        queued(queue, jobs)
    found = queue.pop(lambda job: job.cost_ms < 100)
    assert found is not None
    assert found[1] is second[0]
    assert drained(queue) == [skipped[0], third[0], second[1]]


def test_a_request_that_one_of_two_lanes_can_run_is_not_starved(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    long, book, other_book = make_jobs(384), make_jobs(*[16] * 50), make_jobs(*[16] * 50)
    for jobs in (long, book, other_book):
        queued(queue, jobs)
    for _ in range(10):  # a lane whose long rung is cold and one whose long rung is warm take windows alternately
        queue.pop(lambda job: job.cost_ms < 100)
        queue.pop(lambda _: True)
    assert long[0] not in drained(queue)


def test_the_work_ahead_counts_no_more_windows_of_others_than_the_new_request_has(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    queued(queue, make_jobs(5, 7, 11, 13))
    queued(queue, make_jobs(100))
    assert queue.work_ahead_ms(1) == 5 + 100
    assert queue.work_ahead_ms(2) == 5 + 7 + 100
    assert queue.work_ahead_ms(4) == queue.work_ahead_ms(1000) == 5 + 7 + 11 + 13 + 100


def test_a_request_runs_its_quantum_in_one_turn(make_jobs: MakeJobs) -> None:
    queue = FairQueue(quantum=2)
    book, pair, triple = make_jobs(*[1] * 5), make_jobs(1, 1), make_jobs(1, 1, 1)
    for jobs in (book, pair, triple):
        queued(queue, jobs)
    order = drained(queue)
    assert order == [*book[:2], *pair, *triple[:2], *book[2:4], triple[2], book[4]]


def test_a_turn_that_ended_early_does_not_lengthen_the_next_one(make_jobs: MakeJobs) -> None:
    queue = FairQueue(quantum=2)
    line, more, other = make_jobs(1), make_jobs(1, 1, 1), make_jobs(1)
    ticket = queued(queue, line)
    queue.pop(lambda _: True)
    for job in more:
        queue.add(ticket, job)
    queued(queue, other)
    assert drained(queue) == [*more[:2], other[0], more[2]]


def test_the_work_ahead_counts_whole_turns(make_jobs: MakeJobs) -> None:
    queue = FairQueue(quantum=2)
    queued(queue, make_jobs(5, 7, 11, 13))
    assert queue.work_ahead_ms(1) == queue.work_ahead_ms(2) == 5 + 7
    assert queue.work_ahead_ms(3) == 5 + 7 + 11 + 13


def test_all_windows_of_a_precision_can_be_taken_out(make_jobs: MakeJobs) -> None:
    queue = FairQueue()
    mixed, gone = make_jobs(1, 1, 1), make_jobs(1)
    mixed[1].precision = gone[0].precision = "FP32"
    queued(queue, mixed)
    queued(queue, gone)
    assert queue.take_out("FP32") == [mixed[1], gone[0]]
    assert len(queue) == 2
    assert drained(queue) == [mixed[0], mixed[2]]


def add_all(queues: PriorityQueues, ticket: Ticket, jobs: list[Job]) -> None:
    for job in jobs:
        queues.add_next(ticket, job)


def test_a_request_has_four_windows_in_the_foreground_and_the_others_in_the_background(make_jobs: MakeJobs) -> None:
    queues = PriorityQueues(has_background=True)
    jobs = make_jobs(*[1] * 6)
    add_all(queues, Ticket(), jobs)
    assert [job.priority for job in jobs] == [Priority.FOREGROUND] * 4 + [Priority.BACKGROUND] * 2
    assert (len(queues[Priority.FOREGROUND]), len(queues[Priority.BACKGROUND]), queues.waiting) == (4, 2, 6)


def test_the_windows_of_a_request_count_over_all_its_questions(make_jobs: MakeJobs) -> None:
    queues = PriorityQueues(has_background=True)
    ticket = Ticket()
    add_all(queues, ticket, make_jobs(1, 1, 1))
    later = make_jobs(1, 1)
    add_all(queues, ticket, later)
    assert [job.priority for job in later] == [Priority.FOREGROUND, Priority.BACKGROUND]


def test_without_background_lanes_every_window_is_in_the_foreground(make_jobs: MakeJobs) -> None:
    queues = PriorityQueues(has_background=False)
    jobs = make_jobs(*[1] * 9)
    add_all(queues, Ticket(), jobs)
    assert {job.priority for job in jobs} == {Priority.FOREGROUND}


def test_a_long_request_waits_for_background_work_too(make_jobs: MakeJobs) -> None:
    queues = PriorityQueues(has_background=True)
    add_all(queues, Ticket(), make_jobs(1, 1, 1, 1, 10, 10, 10))
    assert queues.work_ahead_ms(4) == 4
    assert queues.work_ahead_ms(5) == 4 + 10
    assert queues.work_ahead_ms(6) == 4 + 20


def test_windows_are_dropped_and_taken_out_of_all_queues(make_jobs: MakeJobs) -> None:
    queues = PriorityQueues(has_background=True)
    ticket, jobs, idle = Ticket(), make_jobs(*[1] * 6), make_jobs(1)
    add_all(queues, ticket, jobs)
    queues[Priority.IDLE].add(Ticket(), idle[0])
    queues.drop(ticket, {jobs[0], jobs[5]})
    assert queues.waiting == 4
    assert queues.take_out("INT8") == [*jobs[1:4], jobs[4], idle[0]]
    assert queues.waiting == 0
