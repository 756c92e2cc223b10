"""The page at `/`, on which people ask questions about a text: its files, read at start and served from memory."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ASSETS_DIR = Path(__file__).parent / "assets"
INDEX = "index.html"
DOCS_LINKS = (  # left out if the server has no documentation of the API
    b'\n      <a href="docs">API documentation</a>',
    b', or use the <a href="docs">API</a>',
)
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# The page loads its own files and asks this server, and nothing else. The last two make the browser itself refuse to
# parse a text as HTML, wherever a script would try to.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # A browser asks each time whether a file has changed, so that no page mixes the files of two versions.
    "cache-control": "no-cache",
}


class PageFile:
    """One file of the page."""

    def __init__(self, file: Path, *, has_docs: bool = True) -> None:
        name = file.relative_to(ASSETS_DIR).as_posix()
        self.path = "/" if name == INDEX else f"/page/{name}"
        self._content = file.read_bytes()
        for link in () if has_docs else DOCS_LINKS:
            self._content = self._content.replace(link, b"")
        self._media_type = MEDIA_TYPES[file.suffix]
        self._etag = f'"{hashlib.sha256(self._content).hexdigest()[:16]}"'

    async def respond(self, request: Request) -> Response:
        """Return the file, or status 304 if the client has it already."""
        headers = {**HEADERS, "etag": self._etag}
        known = request.headers.get("if-none-match", "").split(",")
        if self._etag in (etag.strip().removeprefix("W/") for etag in known):
            return Response(status_code=304, headers=headers)
        return Response(self._content, headers=headers, media_type=self._media_type)


def page_routes(*, has_docs: bool = True) -> list[Route]:
    """Read the files of the page, and return a route for each of them. has_docs: the server has /docs."""
    files = [PageFile(file, has_docs=has_docs) for file in sorted(ASSETS_DIR.rglob("*.*"))]
    return [Route(file.path, file.respond, name="page", include_in_schema=file.path == "/") for file in files]
