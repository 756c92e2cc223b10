"""The cores of this machine, shared by the lanes of all models: a core runs one lane in the foreground at a time.

Each model's pool asks here what the others use, and says here when a core is free again: the pools then take it in
turns. The pool of a single model is alone in its book.
"""

from typing import Protocol


class CoreUser(Protocol):
    """A pool of lanes, as the others see it."""

    def busy_cores(self) -> frozenset[int]:
        """Cores that its lanes in the foreground use now."""

    def dispatch(self) -> bool:
        """Give free lanes work; whether any got some."""

    def work_ms(self, windows: int) -> float:
        """Lane milliseconds of its own before a new request of so many windows."""


class CoreArbiter:
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._users: list[CoreUser] = []  # the one whose turn was longest ago first

    def enter(self, user: CoreUser) -> None:
        """One more shares the cores."""
        self._users.append(user)

    def leave(self, user: CoreUser) -> None:
        """It uses no core any more."""
        if user in self._users:
            self._users.remove(user)
            self.offer()

    def busy_beside(self, user: CoreUser) -> frozenset[int]:
        """Cores that the others use."""
        return frozenset().union(*(other.busy_cores() for other in self._users if other is not user))

    def work_ms_beside(self, user: CoreUser, windows: int, own_ms: float) -> float:
        """Lane milliseconds that the others run in turns with so much work of this one."""
        return sum(min(own_ms, other.work_ms(windows)) for other in self._users if other is not user)

    def offer(self) -> None:
        """A core may be free: all may take it, in turns."""
        for user in list(self._users):
            if user.dispatch():
                self._users.remove(user)
                self._users.append(user)
