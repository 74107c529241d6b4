"""Who may ask, and what the browser may do with the answer."""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "token_calc"
MOST_BYTES = 8_192
"""Of an address with its parameters."""

POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types vendor",
))  # fmt: skip
"""Only our own files, no inline script, no text that becomes markup; `vendor` may name our own scripts to load."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Access:
    """Where it is served, and the token that is asked for; without one only this machine may ask."""

    host: str = "127.0.0.1"
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.host)

    def hosts(self) -> frozenset[str] | None:
        """Return the names that requests may name; None for any, where a token is asked for on other addresses."""
        return frozenset({*_LOOPBACK_NAMES, self.host.lower()}) if self.is_loopback else None


def is_loopback(host: str) -> bool:
    """Tell whether an address is only reached from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Stands before everything: refuses whom it must, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        answer = self._refusal(scope) or self._admission(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return _refused(405, "The explorer only reads: use GET.")
        if len(scope["path"]) + len(scope["query_string"]) > MOST_BYTES:
            return _refused(414, f"The address is longer than {MOST_BYTES:,} bytes: leave some filters out.")
        if int(headers.get("content-length") or 0):
            return _refused(413, "A question has no body: put it into the address.")
        host, allowed = headers.get("host", ""), self._access.hosts()
        name = host.lower().rsplit(":", 1)[0] if not host.endswith("]") else host.lower()
        if allowed is not None and name not in allowed:
            return _refused(421, f"This explorer is not {name[:100]!r}: open it at the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return _refused(403, "Another site asked: open the explorer itself.")
        from_elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if from_elsewhere and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "Another site asked: open the explorer itself.")
        return None

    def _admission(self, scope: Scope) -> Response | None:
        """Ask for the token where there is one: in the address once, then in a cookie, or as a bearer's."""
        token = self._access.token
        if token is None:
            return None
        parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in parameters if name == "token"), None)
        if given is not None and _is_same(given, token):
            others = urlencode([(name, value) for name, value in parameters if name != "token"])
            answer = RedirectResponse(f"{scope['path']}{'?' if others else ''}{others}", status_code=303)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
            return answer
        headers = Headers(scope=scope)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _is_same(_cookie(headers), token) or _is_same(bearer, token):
            return None
        return _refused(401, "This explorer asks for its token: open the address that `token-calc serve` printed.")


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _refused(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status) if status != 401 else PlainTextResponse(sentence, status)
