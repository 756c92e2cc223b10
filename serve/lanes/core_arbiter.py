"""The cores of this machine, shared by the lanes of all models. A core runs one foreground lane at a time.

Each model's pool asks here which cores the other models use, and reports here when a core becomes free. The pools then
get a chance to use the core one after the other, beginning with the one that waited longest. A single model has an
arbiter of its own.
"""

from typing import Protocol


class CoreUser(Protocol):
    """A pool of lanes as the arbiter sees it."""

    def busy_cores(self) -> frozenset[int]:
        """Return the cores that the pool's foreground lanes use now."""

    def dispatch(self) -> bool:
        """Give work to free lanes; return whether any lane got some."""

    def work_ahead_ms(self, windows: int) -> float:
        """Return the lane-milliseconds of the pool's own work ahead of a new request of `windows` windows."""


class CoreArbiter:
    """Decides which model may use a free core. It is used on the event loop only."""

    def __init__(self) -> None:
        self._users: list[CoreUser] = []  # the one that waited longest comes first

    def join(self, user: CoreUser) -> None:
        """Let another pool share the cores."""
        self._users.append(user)

    def leave(self, user: CoreUser) -> None:
        """Remove a pool, which uses no core any more."""
        if user in self._users:
            self._users.remove(user)
            self.offer_cores()

    def cores_of_others(self, user: CoreUser) -> frozenset[int]:
        """Return the cores that the other pools use."""
        return frozenset().union(*(other.busy_cores() for other in self._users if other is not user))

    def work_of_others_ms(self, user: CoreUser, windows: int, own_ms: float) -> float:
        """Return the lane-milliseconds of other pools' work that runs alternately with `own_ms` of this pool's work."""
        return sum(min(own_ms, other.work_ahead_ms(windows)) for other in self._users if other is not user)

    def offer_cores(self) -> None:
        """Let each pool use the free cores; a pool that got one goes to the end of the line."""
        for user in list(self._users):
            if user.dispatch():
                self._users.remove(user)
                self._users.append(user)
