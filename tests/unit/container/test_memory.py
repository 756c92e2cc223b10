"""Freed memory goes back to the operating system."""

import ctypes
import os
from pathlib import Path

from container import memory

BLOCK_BYTES = 64 * 1024  # glibc takes blocks of this size from the heap, and does not map each on its own
BLOCKS = 1600  # 100 MiB


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_pages_below_a_block_that_is_still_in_use_are_returned() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK_BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    for block in blocks[:-1]:  # the last block is at the end of the heap, so that free() cannot shrink the heap
        libc.free(block)
    before = resident_bytes()
    memory.give_back()
    after = resident_bytes()
    libc.free(blocks[-1])
    assert before - after > 0.9 * BLOCKS * BLOCK_BYTES
