"""Split a body in JSON Lines into its lines while it arrives."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

LINE_BYTES = 8 * 2**20  # a longer line is not kept, and is answered with an error object

_NEWLINES = re.compile(rb"\n+")


@dataclass(frozen=True)
class Blank:
    """So many lines without content, one after the other. A body of newlines has a million of them in a megabyte."""

    count: int


async def split(body: AsyncIterator[bytes]) -> AsyncIterator[bytes | Blank | None]:
    """Split a body into its lines, without the line ends. None stands for a line that is longer than LINE_BYTES."""
    begun = bytearray()  # the line whose end has not arrived yet
    is_too_long = False
    async for piece in body:
        at = 0
        while at < len(piece):
            if not begun and not is_too_long and (newlines := _NEWLINES.match(piece, at)):
                yield Blank(newlines.end() - at)
                at = newlines.end()
                continue
            end = piece.find(b"\n", at)
            stop = end if end >= 0 else len(piece)
            is_too_long = is_too_long or len(begun) + stop - at > LINE_BYTES
            if is_too_long:
                begun.clear()
            else:
                begun += piece[at:stop]
            at = stop + 1
            if end >= 0:
                yield _line(begun, is_too_long)
                begun.clear()
                is_too_long = False
    if begun or is_too_long:
        yield _line(begun, is_too_long)


def _line(begun: bytearray, is_too_long: bool) -> bytes | Blank | None:
    if is_too_long:
        return None
    return Blank(1) if begun.isspace() or not begun else bytes(begun)
