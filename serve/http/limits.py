"""How much one connection may send and hold, and for how long. docs/api.md has the table for clients."""

import resource
from dataclasses import dataclass

from container.settings import Settings

FILES_FOR_OTHERS = 256  # file descriptors that are not connections: lanes, log, spools, libraries
MEMORY_PER_BODY_BYTE = 64  # a body in work takes up to 12 times its size, and all of them a quarter of the memory
MAX_BODIES_MIB = 256


@dataclass(frozen=True)
class Limits:
    """The limits of connections, heads and bodies. Times are in seconds."""

    head_bytes: int = 65_536  # request line and headers; servers commonly allow 8 to 64 KB
    header_fields: int = 100
    framing_bytes: int = 65_536  # chunk sizes, extensions and trailers, beyond the size of the body itself
    pipelined: int = 16  # requests of one connection that wait for its earlier responses
    connections: int = 1000
    first_byte_seconds: float = 20  # from the connection to its first byte
    head_seconds: float = 10  # from the first byte of a head to its end
    request_seconds: float = 60  # from the first byte of a request to the end of its body; also to read a response
    idle_seconds: float = 75  # between two requests
    linger_seconds: float = 30  # nginx's lingering_time: to read the rest of a refused request

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        """Return the limits of this server, and let this process open a file for each connection if the system does."""
        return cls(
            connections=max(1, min(settings.max_connections, _allow_files(settings.max_connections))),
            request_seconds=settings.engine_timeout_seconds,
            idle_seconds=settings.keep_alive_seconds,
        )


def _allow_files(connections: int) -> int:
    """Raise this process's limit on open files as far as needed and allowed; return how many connections it allows."""
    needed = connections + FILES_FOR_OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else soft - FILES_FOR_OTHERS


def bodies_mib(settings: Settings, memory_mb: float) -> int:
    """Return how many MiB the bodies of all requests may hold together, for a machine or container of this memory."""
    return settings.max_bodies_mb or max(1, min(MAX_BODIES_MIB, int(memory_mb * 1e6 / 2**20 / MEMORY_PER_BODY_BYTE)))
