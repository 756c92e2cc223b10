"""A lifeline: a pipe that lets the kernel kill processes when the process that holds its writing end has ended."""

import fcntl
import os
import select
import signal

F_SETSIG = 10  # from Linux's fcntl.h; Python's fcntl module has it from 3.13 on


def tie(lifeline_fd: int, group: int) -> None:
    """Let the kernel kill a process group when the writing end of a pipe closes, however its holder ends.

    The signal also reaches a process that is stopped, that hangs, or whose parent has ended. It comes as long as any
    process has the reading end open. Source: fcntl(2), F_SETOWN with a process group, and F_SETSIG.
    """
    fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, -group)
    fcntl.fcntl(lifeline_fd, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, fcntl.fcntl(lifeline_fd, fcntl.F_GETFL) | os.O_ASYNC)


def tie_own_group(lifeline_fd: int) -> None:
    """Tie this process and those that it forks. Its parent has done so too, or ended before it could."""
    tie(lifeline_fd, os.getpgrp())
    watch = select.poll()
    watch.register(lifeline_fd, 0)
    if watch.poll(0):  # the writing end had closed before the kernel was asked
        os._exit(1)
