"""Something that threads do again and again while a fault lasts."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def repeated(clients: int, action: Callable[[], object], pause: float = 0.0) -> Iterator[None]:
    """Let so many threads do something again and again until the block ends."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            action()
            done.wait(pause)

    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(run) for _ in range(clients)]
        try:
            yield
        finally:
            done.set()
        for each in running:
            each.result()
