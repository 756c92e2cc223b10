"""Processes below the HTTP process: see what they do, kill them, and make sure that none outlives it."""

import asyncio
import contextlib
import ctypes
import errno
import os
import signal
import weakref
from typing import NamedTuple

from container import lifeline

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
END_POLL_SECONDS = 0.01
PR_SET_PDEATHSIG = 1  # from Linux's prctl.h
NO_PIDFDS = (errno.ENOSYS, errno.EPERM)  # a kernel before 5.3, or a sandbox that forbids the call


class Activity(NamedTuple):
    """What the kernel says about a process. state: a letter as in proc(5); cpu_seconds: of all its threads together.

    started_ticks: when it started, in clock ticks since the machine did; it tells two processes with one id apart.
    """

    state: str
    cpu_seconds: float
    resident_bytes: int = 0
    started_ticks: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger has stopped the process."""
        return self.state in "Tt"

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended. A zombie counts as ended."""
        return self.state in "ZX"


ENDED = Activity("X", 0.0)
STAT_BYTES = 2048  # a line of /proc/PID/stat has a few hundred bytes


class ChildProcess:
    """A process that this process has started, or that one of its children has forked.

    A pidfd stands for exactly this process. The kernel may give a process id to another process, but never a pidfd.
    """

    def __init__(self, pid: int) -> None:
        """Open the pidfd. The process must not have been reaped.

        Raises: ProcessLookupError if it has been.
        """
        self.pid = pid
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError as error:
            if error.errno not in NO_PIDFDS:
                raise
            return
        self._close = weakref.finalize(self, os.close, self._pidfd)

    def kill(self) -> None:
        """Kill the process, even one that is stopped or hangs. Nothing happens if it has ended."""
        try:
            if self._pidfd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def activity(self) -> Activity:
        """Read what the process does; costs about 0.1 ms."""
        return activity_of(self.pid)


def activity_of(pid: int) -> Activity:
    """Read what a process does. A process that does not exist has ended."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # pathlib takes three times as long
    except (FileNotFoundError, ProcessLookupError):
        return ENDED
    try:
        return _activity(os.read(file, STAT_BYTES))
    except ProcessLookupError:
        return ENDED
    finally:
        os.close(file)


def _activity(stat: bytes) -> Activity:
    fields = stat.rpartition(b")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return Activity(fields[0].decode(), cpu_seconds, int(fields[21]) * PAGE_BYTES, int(fields[19]))


async def until_ended(pid: int) -> None:
    """Wait until the process of a closed lane has ended, and so has freed its memory."""
    while not activity_of(pid).has_ended:
        await asyncio.sleep(END_POLL_SECONDS)


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread of `parent` that started it ends. Source: prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent had ended before
        os._exit(1)


class Lifeline:
    """A pipe whose writing end only this process has. When it closes, the kernel kills a process and all its forks.

    The signal (container/lifeline.py) also reaches processes that are stopped, that hang, or whose parent has ended. It
    needs nothing of this process, which may have been killed itself. The writing end closes when the last object that
    refers to the lifeline is gone.
    """

    def __init__(self) -> None:
        self.reading_end, writing_end = os.pipe()
        self._close_reading_end = weakref.finalize(self, os.close, self.reading_end)
        self.cut = weakref.finalize(self, os.close, writing_end)

    def tie(self, pid: int) -> None:
        """Tie a process that has just been started, that leads a process group and that has the reading end.

        It is tied from its first moment, also if a signal stops it before it can do anything itself.
        """
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            lifeline.tie(self.reading_end, pid)
        self._close_reading_end()
