"""CPU time and memory of a server on this machine: all its processes, from the one that was started or that listens."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessTree:
    """A process and all that it started; what of it has ended counts as nothing."""

    root: psutil.Process

    @classmethod
    def behind(cls, url: str) -> "ProcessTree | None":
        """The tree that listens at a URL of this machine; None for another machine's, or another user's."""
        parts = urlsplit(url)
        if not _is_loopback(parts.hostname or ""):
            return None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        pids = {c.pid for c in psutil.net_connections("tcp") if c.pid and _is_listening(c, port)}
        if not pids:
            return None
        root = psutil.Process(min(pids))
        # Workers inherit their parent's socket, and any one of those who share it is told.
        while (parent := root.parent()) and _listens(parent, port):
            root = parent
        # A container engine's proxy listens for a server that is none of its children.
        return None if "proxy" in root.name() else cls(root)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum((float(t.user + t.system) for process in self._all() if (t := _read(process.cpu_times))), 0.0)

    def memory_bytes(self) -> int:
        """Proportional set size: a page that n processes share counts 1/n for each, so the sum counts it once."""
        return sum(int(memory.pss) for process in self._all() if (memory := _read(process.memory_full_info)))

    def _all(self) -> list[psutil.Process]:
        return [self.root, *(_read(lambda: self.root.children(recursive=True)) or [])]


def _read(figure: Callable[[], T]) -> T | None:
    try:
        return figure()
    except psutil.NoSuchProcess:  # it ended meanwhile
        return None


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(_is_listening(connection, port) for connection in process.net_connections("tcp"))
    except psutil.Error:  # another user's, such as the system's first
        return False


def _is_listening(connection: Any, port: int) -> bool:
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
