"""Counts that are made later are complete whenever the metrics are read."""

import threading

import pytest
from prometheus_client import CollectorRegistry, Counter

from serve.deferred_counts import MAX_NOTES, DeferredCounts


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def deferred(registry: CollectorRegistry) -> DeferredCounts:
    counts = DeferredCounts()
    registry.register(counts)
    return counts


@pytest.fixture
def counter(registry: CollectorRegistry, deferred: DeferredCounts) -> Counter:
    return Counter("windows", "Windows.", registry=registry)


def test_a_read_includes_every_count(registry: CollectorRegistry, deferred: DeferredCounts, counter: Counter) -> None:
    for value in (1, 2):
        deferred.add(counter.inc, value)
    assert counter._value.get() == 0, "they were counted at once"
    assert [registry.get_sample_value("windows_total") for _ in range(2)] == [3, 3]


def test_many_notes_are_counted_without_a_read(deferred: DeferredCounts, counter: Counter) -> None:
    for _ in range(MAX_NOTES):
        deferred.add(counter.inc)
    assert counter._value.get() == MAX_NOTES


def test_a_count_that_fails_is_logged_and_takes_no_other_with_it(
    registry: CollectorRegistry, deferred: DeferredCounts, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    for value in (1, -1, 2):  # a counter refuses to become smaller
        deferred.add(counter.inc, value)
    assert registry.get_sample_value("windows_total") == 3
    assert "Counters can only be incremented" in caplog.text


def test_counts_are_neither_lost_nor_made_twice_while_a_thread_reads(
    registry: CollectorRegistry, deferred: DeferredCounts, counter: Counter
) -> None:
    has_ended = threading.Event()

    def read() -> None:
        while not has_ended.is_set():
            registry.get_sample_value("windows_total")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(20_000):
            deferred.add(counter.inc)
    finally:
        has_ended.set()
        thread.join()
    assert registry.get_sample_value("windows_total") == 20_000
