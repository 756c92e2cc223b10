"""Read the body of a request in the pieces in which it arrives."""

from codecs import BOM_UTF8
from collections.abc import AsyncIterator

from starlette.requests import Request

from serve.errors import PayloadTooLarge


async def read(request: Request, limit_mb: int | None) -> AsyncIterator[bytes]:
    """Read the body. A byte order mark at its head is skipped, as RFC 8259 allows.

    limit_mb: the largest body in MiB; None means that any size is allowed.
    Raises: PayloadTooLarge, ClientDisconnect.
    """
    announced_bytes = request.headers.get("content-length", "")
    _check_size(int(announced_bytes) if announced_bytes.isdecimal() else 0, limit_mb)
    received_bytes = 0
    begin: bytes | None = b""  # what may become a byte order mark; None behind the head of the body
    async for piece in request.stream():
        received_bytes += len(piece)
        _check_size(received_bytes, limit_mb)
        if begin is not None:
            piece = begin + piece
            if len(piece) < len(BOM_UTF8) and BOM_UTF8.startswith(piece):
                begin = piece
                continue
            piece = piece.removeprefix(BOM_UTF8)
            begin = None
        yield piece
    if begin:
        yield begin


def _check_size(size_bytes: int, limit_mb: int | None) -> None:
    if limit_mb is not None and size_bytes > limit_mb * 2**20:
        raise PayloadTooLarge(
            f"the body is larger than {limit_mb} MiB; split it into several requests, or raise MAX_PAYLOAD_MB"
        )
