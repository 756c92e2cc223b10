"""CPU time and memory of all processes of a server on this machine."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessTree:
    """A process and all its descendants. Descendants that have ended are not counted."""

    root: psutil.Process

    @classmethod
    def behind(cls, url: str) -> "ProcessTree | None":
        """Return the processes that listen at a URL; None if they run on another machine or as another user."""
        parts = urlsplit(url)
        if not _is_loopback(parts.hostname or ""):
            return None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        pids = {c.pid for c in psutil.net_connections("tcp") if c.pid and _is_listening(c, port)}
        if not pids:
            return None
        root = psutil.Process(min(pids))
        # Workers inherit the listening socket of their parent, and the system names any one of the processes.
        while (parent := root.parent()) and _listens(parent, port):
            root = parent
        # If a container engine's proxy listens, the server is not among its descendants.
        return None if "proxy" in root.name() else cls(root)

    def cpu_seconds(self) -> float:
        """Return user and system time so far."""
        return sum((float(t.user + t.system) for process in self._all() if (t := _read(process.cpu_times))), 0.0)

    def memory_bytes(self) -> int:
        """Return the sum of the proportional set sizes, which counts each shared page once."""
        return sum(int(memory.pss) for process in self._all() if (memory := _read(process.memory_full_info)))

    def _all(self) -> list[psutil.Process]:
        return [self.root, *(_read(lambda: self.root.children(recursive=True)) or [])]


def _read(figure: Callable[[], T]) -> T | None:
    try:
        return figure()
    except psutil.NoSuchProcess:  # the process has ended in the meantime
        return None


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(_is_listening(connection, port) for connection in process.net_connections("tcp"))
    except psutil.Error:  # the process belongs to another user, as the system's first process does
        return False


def _is_listening(connection: Any, port: int) -> bool:
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
