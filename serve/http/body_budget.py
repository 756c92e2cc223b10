"""The memory that the bodies of all requests may hold together."""

SMALL_BYTES = 65_536
LARGE_SHARE = 0.75  # large bodies leave the rest to small ones, so that slow uploads cannot lock these out


class BodyBudget:
    """Counts the bytes of bodies from the end of their head until their request has been answered.

    A body larger than the share of large bodies counts as that share, so it is admitted while no other large body is
    in flight. It also never counts more than `most_bytes`, because a longer body is refused or read as a stream.
    """

    def __init__(self, limit_bytes: int, most_bytes: int | None) -> None:
        self._limit = limit_bytes
        self._large_limit = int(limit_bytes * LARGE_SHARE)
        self._most = min(self._large_limit, most_bytes or self._large_limit)
        self._held = 0
        self._held_by_large = 0

    @property
    def held_bytes(self) -> int:
        """The bytes that all bodies hold now."""
        return self._held

    def hold(self, held: int, wanted: int) -> int | None:
        """Let a body that holds some bytes hold another number of bytes; 0 for none.

        Returns: what the body holds now; None if there is no room for it, and it keeps what it had.
        """
        wanted = min(wanted, self._most)
        total = self._held - held + wanted
        large = self._held_by_large - _if_large(held) + _if_large(wanted)
        if wanted > held and (total > self._limit or large > self._large_limit):
            return None
        self._held, self._held_by_large = total, large
        return wanted


def _if_large(size: int) -> int:
    return size if size > SMALL_BYTES else 0
