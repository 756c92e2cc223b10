"""The far end of a lifeline: a pipe that lets the kernel kill processes when the process that holds it has ended."""

import fcntl
import os
import select
import signal

F_SETSIG = 10  # from Linux's fcntl.h; Python's fcntl module has it from 3.13 on


def tie_group_to(lifeline_fd: int) -> None:
    """Let the kernel kill this process group when the writing end of a pipe closes, however its holder ends.

    The caller leads the group, in which the processes are too that it forks. The signal also reaches a process that is
    stopped, that hangs, or whose parent has ended. Source: fcntl(2), F_SETOWN with a process group, and F_SETSIG.
    """
    fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline_fd, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, fcntl.fcntl(lifeline_fd, fcntl.F_GETFL) | os.O_ASYNC)
    watch = select.poll()
    watch.register(lifeline_fd, 0)
    if watch.poll(0):  # the writing end had closed before the kernel was asked
        os._exit(1)
