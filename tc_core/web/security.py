"""Who may ask, and what the browser may do with the answer."""

import hmac
import ipaddress
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tc_core.web.rates import Rates

COOKIE = "token_calc"
"""Behind it stands the port: browsers send cookies to all ports of a host, and several explorers may be open."""
LEAST_TOKEN = 16
"""Characters of a token: a shorter one could be guessed."""
CHANGE = "x-token-calc"
"""A header that a request which changes something must have: another site's page cannot send it."""
QUIET = ("/api/shell", "/api/latest")
"""Questions that read nothing but how many calls there are: they are not in the log of who has read what."""
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
    """Where it is served, and the token that is asked for; without one only this machine may ask, and only read.

    `ticket` opens the explorer once in place of the token: it may stand in the arguments of the browser's process,
    which others on the machine can see.
    """

    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.host)

    @property
    def may_change(self) -> bool:
        """Whether something may be changed from the explorer."""
        return self.token is not None

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


Note = Callable[[str, str, str, int], object]
"""Is told of who has asked for what, with which parameters, and what the status of the answer was."""


class Guard:
    """Stands before everything: refuses whom it must, notes who reads, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access, note: Note) -> None:
        self._app, self._access, self._note = app, access, note
        self._session = secrets.token_urlsafe(32)  # what the cookie holds: not the token, and gone with this process
        self._ticket = access.ticket
        self._questions = Rates(burst=400, per_second=80)
        self._guesses = Rates(burst=10, per_second=0.2)
        self._refusals = Rates(burst=100, per_second=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown", 0))[0]
        scope["tc_who"] = address if self._access.token is None else f"{address} with the token"
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        refusal = self._refusal(scope, address) or self._admission(scope, address)
        try:
            await (refusal or self._app)(scope, receive, send_with_headers)
        finally:
            self._note_read(scope, address, status, is_refused=refusal is not None)

    def _note_read(self, scope: Scope, address: str, status: int, *, is_refused: bool) -> None:
        path = scope["path"]
        if is_refused:  # a flood of them would push out what matters
            if status >= 400 and not self._refusals.wait_seconds(address):
                self._note(address, f"{scope['method']} {path}", _without_token(scope), status)
        elif path.startswith("/api/") and path not in QUIET:
            what = path.removeprefix("/api/")
            self._note(scope["tc_who"], what if scope["method"] != "POST" else f"POST {what}", _shown(scope), status)

    def _refusal(self, scope: Scope, address: str) -> Response | None:
        headers = Headers(scope=scope)
        wait = self._questions.wait_seconds(address)
        if wait:
            return _refused(429, "So many questions at once are too many: ask again in a moment.", wait)
        refused = self._refused_method(scope, headers)
        if refused is not None:
            return refused
        if len(scope["path"]) + len(scope["query_string"]) > MOST_BYTES:
            return _refused(414, f"The address is longer than {MOST_BYTES:,} bytes: leave some filters out.")
        if headers.get("content-length", "0").strip("0") or "transfer-encoding" in headers:
            return _refused(413, "A question has no body: put it into the address.")
        host, allowed = headers.get("host", ""), self._access.hosts()
        name = host.lower().rsplit(":", 1)[0] if not host.endswith("]") else host.lower()
        if allowed is not None and name not in allowed:
            return _refused(421, f"This explorer is not {name[:100]!r}: open it at the address that it printed.")
        if _is_of_another_site(headers, host):
            return _refused(403, "Another site asked: open the explorer itself.")
        return None

    def _refused_method(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST" or not scope["path"].startswith("/api/"):
            return _refused(405, "The explorer only reads: use GET.")
        if not self._access.may_change:
            return _refused(405, "The explorer only reads: set TOKEN_CALC_SERVE_TOKEN to change something from here.")
        if headers.get(CHANGE) != "change":
            return _refused(403, f"What changes something needs the header {CHANGE}: change.")
        return None

    def _admission(self, scope: Scope, address: str) -> Response | None:
        """Ask for the token where there is one: in the address once, then in a cookie, or as a bearer's."""
        token = self._access.token
        if token is None:
            return None
        headers = Headers(scope=scope)
        if _is_same(_cookie(headers, _cookie_name(scope)), self._session):
            return None
        parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(parameters)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer and "token" not in given and "ticket" not in given:
            return _refused(401, "This explorer asks for its token: open the address that `token-calc serve` printed.")
        wait = self._guesses.wait_seconds(address)
        if wait:
            return _refused(429, "Too many tokens were tried: wait, then open the address that was printed.", wait)
        if bearer and _is_same(bearer, token):
            return None
        if scope["method"] in ("GET", "HEAD") and (_is_same(given.get("token", ""), token) or self._redeem(given)):
            others = urlencode([(name, value) for name, value in parameters if name not in ("token", "ticket")])
            path = "/" + scope["path"].lstrip("/\\")  # `//evil.example` would be another site
            answer = RedirectResponse(f"{path}{'?' if others else ''}{others}", status_code=303)
            secure = scope["scheme"] == "https"
            answer.set_cookie(_cookie_name(scope), self._session, httponly=True, samesite="strict", secure=secure)
            return answer
        return _refused(401, "This is not the token: open the address that `token-calc serve` printed.")

    def _redeem(self, given: Mapping[str, str]) -> bool:
        """Tell whether a ticket opens the explorer; it does once."""
        if self._ticket is None or not _is_same(given.get("ticket", ""), self._ticket):
            return False
        self._ticket = None
        return True


def _is_of_another_site(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is not None and (urlsplit(origin).netloc.lower() != host.lower() or "://" not in origin):
        return True
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return not is_link


def _shown(scope: Scope) -> str:
    return str(scope["query_string"].decode("latin-1"))


def _without_token(scope: Scope) -> str:
    parameters = parse_qsl(_shown(scope)[:MOST_BYTES], keep_blank_values=True)
    return urlencode([(name, "..." if name in ("token", "ticket") else value) for name, value in parameters])


def _cookie_name(scope: Scope) -> str:
    return f"{COOKIE}_{(scope.get('server') or ('', 0))[1]}"


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8", "replace"))


def _refused(status: int, sentence: str, wait_seconds: float = 0.0) -> Response:
    headers = {"Cache-Control": "no-store"}
    if wait_seconds:
        headers["Retry-After"] = str(math.ceil(wait_seconds))
    if status == 401:
        return PlainTextResponse(sentence, status, headers)
    return JSONResponse({"error": sentence}, status, headers)
