"""The browser's files, read once and compressed once."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    body: bytes
    compressed: bytes
    media_type: str
    mark: str
    """Changes with its content."""

    def response(self, request: Request) -> Response:
        """Return it, or say that the browser has it already."""
        headers = {"ETag": self.mark, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.mark:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                self.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type
            )
        return Response(self.body, headers=headers, media_type=self.media_type)


def read_all() -> dict[str, StaticFile]:
    """Return all files by their path below `static/`."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            body = path.read_bytes()
            mark = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            name = path.relative_to(FOLDER).as_posix()
            found[name] = StaticFile(body, gzip.compress(body, 9, mtime=0), TYPES[path.suffix], mark)
    return found


def missing() -> Response:
    """Return what is said of a file that does not exist."""
    return PlainTextResponse("There is no such file.", 404)
