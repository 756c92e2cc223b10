"""Limit the number of values in a JSON text before it is parsed."""

import numpy as np

from serve.errors import PayloadTooLarge

VALUES_PER_ITEM = 16  # of JSON, beside those that strings contain; more would need too much memory once parsed
COUNT_BYTES = 2**20  # of a body that are looked at at a time


def check(data: bytes | bytearray, max_items: int) -> None:
    """Refuse JSON of very many small values: `{}` is two bytes, and takes 72 once parsed.

    Raises: PayloadTooLarge.
    """
    limit = max_items * VALUES_PER_ITEM
    if len(data) <= limit or data.count(b",") + data.count(b"{") + data.count(b"[") <= limit:
        return
    if _count_values(data) > limit:
        raise PayloadTooLarge(
            f"the body has more than {limit} JSON values, {VALUES_PER_ITEM} for each of {max_items} items; "
            "split it into several requests, or raise MAX_ITEMS"
        )


def _count_values(data: bytes | bytearray) -> int:
    """Count the characters , { [ outside strings: there are about as many values."""
    count = at = 0
    is_in_string = False
    while at < len(data):
        end = min(at + COUNT_BYTES, len(data))
        while end < len(data) and data[end - 1] == 0x5C:  # a backslash belongs to the character after it
            end += 1
        part = np.frombuffer(data[at:end].replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
        is_inside = np.logical_xor.accumulate(part == 0x22) ^ is_in_string
        count += int(np.count_nonzero(np.isin(part, (0x2C, 0x5B, 0x7B)) & ~is_inside))
        is_in_string = bool(is_inside[-1]) if part.size else is_in_string
        at = end
    return count
