"""Find the processes of a server that handle HTTP and text, and read their CPU time.

The server is a tree: gunicorn starts the HTTP worker, the worker starts the zygote, and the zygote forks the lanes. A
commit may have further processes for text below the worker. Every commit starts the zygote with the command
`python -m model_loader.zygote`. So the processes that handle HTTP and text are all descendants of gunicorn, except the
zygote and the processes below the zygote.
"""

import psutil

from tools.errors import ToolError

ZYGOTE_MODULE = "model_loader.zygote"  # The name in the checkouts that are compared, whatever this checkout calls it.


def http_processes(gunicorn: psutil.Process) -> list[psutil.Process]:
    """Return the processes below gunicorn that handle HTTP and text and have not ended.

    Raises: ToolError if there is no zygote, because the lanes would then be taken for HTTP processes.
    """
    found: list[psutil.Process] = []
    to_visit, has_zygote = gunicorn.children(), False
    while to_visit:
        process = to_visit.pop()
        try:
            if ZYGOTE_MODULE in process.cmdline():
                has_zygote = True
                continue
            to_visit += process.children()
        except psutil.NoSuchProcess:  # It has ended; a zombie counts as ended too.
            continue
        found.append(process)
    if not has_zygote:
        raise ToolError(f"no process below gunicorn runs {ZYGOTE_MODULE}: cannot tell the lanes from HTTP processes")
    return found


def lane_processes(gunicorn: psutil.Process) -> list[psutil.Process]:
    """Return the processes below the zygote that have not ended: the lanes."""
    below = gunicorn.children(recursive=True)
    zygotes = [process for process in below if ZYGOTE_MODULE in _command(process)]  # a lane has the same command
    return [process for process in zygotes if process.parent() in zygotes]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended; a zombie counts as ended too
        return []


class CpuClock:
    """The CPU time, user and system, that a server's HTTP and text processes use from now on."""

    def __init__(self, gunicorn: psutil.Process) -> None:
        self._gunicorn = gunicorn
        self._before = {process: cpu_seconds(process) for process in http_processes(gunicorn)}

    def seconds(self) -> float:
        """Return the CPU seconds since the clock was made.

        Raises: ToolError if a process has ended meanwhile, because its CPU time is lost.
        """
        now = {process: cpu_seconds(process) for process in http_processes(self._gunicorn)}
        if ended := self._before.keys() - now.keys():
            raise ToolError(f"an HTTP process ended during the measurement: {sorted(each.pid for each in ended)}")
        return sum(seconds - self._before.get(process, 0) for process, seconds in now.items())


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time, user and system, of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)
