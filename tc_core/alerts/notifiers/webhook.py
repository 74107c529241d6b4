"""Alerts as a signed request: to Slack and the like, or to a receiver of one's own.

Headers and signature are those of Standard Webhooks (standardwebhooks.com), so that its libraries verify them:
`webhook-id` is the same at each attempt, `webhook-timestamp` is when this one was made, and `webhook-signature` is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. `X-Signature-256` is HMAC-SHA256 over the raw body alone,
as GitHub has it.
"""

import base64
import binascii
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing

from tc_core import version
from tc_core.alerts.addresses import LIMIT_SECONDS, Place, Resolve, place
from tc_core.alerts.outbox import Notice, NotifyError

MOST_HEAD_BYTES = 65_536
PREFIX = "whsec_"
"""What a secret begins with that is written in base64."""


class Webhook:
    """Sends alerts to a URL; raises NotifyError for anything but an answer that says it was taken."""

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        allow_private: bool = False,
        resolve: Resolve | None = None,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self._url, self._secret = url, secret
        self._allow_private, self._resolve = allow_private, resolve
        self._limit_seconds = limit_seconds

    def __call__(self, notice: Notice) -> None:
        """Send one alert."""
        where = place(self._url, allow_private=self._allow_private, resolve=self._resolve)
        headers = signed(notice.id, notice.body, self._secret, int(time.time()))
        status = _post(where, headers, notice.body, time.monotonic() + self._limit_seconds)
        if 300 <= status < 400:
            raise NotifyError(f"{where.shown} answered {status}, a redirect, which is not followed")
        if not 200 <= status < 300:
            raise NotifyError(f"{where.shown} answered {status}")


def signed(id_: str, body: bytes, secret: str | None, timestamp: int) -> Mapping[str, str]:
    """Return the headers of a request."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"token-calculator/{version.__version__}",
        "Idempotency-Key": id_,
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        key = _key(secret)
        over = f"{id_}.{timestamp}.".encode() + body
        digest = base64.b64encode(hmac.new(key, over, hashlib.sha256).digest()).decode()
        headers["webhook-signature"] = f"v1,{digest}"
        headers["X-Signature-256"] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
    return headers


def _key(secret: str) -> bytes:
    """Return the key that a secret means; one that begins with `whsec_` is base64 behind that."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _post(where: Place, headers: Mapping[str, str], body: bytes, deadline: float) -> int:
    """Send a request to an address that was checked, and return the status of its answer."""
    sent = {"Host": where.authority, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"POST {where.path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    try:
        with closing(_connected(where, deadline)) as connection:
            _send(connection, head + body, deadline)
            return _status(connection, deadline)
    except TimeoutError:
        raise NotifyError(f"{where.shown} did not answer in time") from None
    except ssl.SSLError as error:
        raise NotifyError(f"{where.shown}: TLS failed: {error.reason}") from None
    except (OSError, ValueError) as error:
        raise NotifyError(f"{where.shown}: {getattr(error, 'strerror', None) or error}") from None


def _connected(where: Place, deadline: float) -> socket.socket:
    connection = socket.create_connection((where.address, where.port), timeout=_left(deadline))
    if not where.is_secure:
        return connection
    try:
        connection.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(connection, server_hostname=where.host)
    except BaseException:
        connection.close()
        raise


def _send(connection: socket.socket, request: bytes, deadline: float) -> None:
    connection.settimeout(_left(deadline))
    connection.sendall(request)  # its limit is for the whole of it


def _status(connection: socket.socket, deadline: float) -> int:
    """Read as far as the status; answers that only announce another one are skipped."""
    read = b""
    while len(read) < MOST_HEAD_BYTES:
        connection.settimeout(_left(deadline))
        more = connection.recv(4096)
        read += more
        line, end, _ = read.partition(b"\r\n")
        if end:
            status = _status_of(line)
            if status >= 200:
                return status
            _, whole, after = read.partition(b"\r\n\r\n")
            if whole:
                read = after
                continue
        if not more:
            raise ValueError("the connection was closed without an answer")
    raise ValueError("the answer is too long")


def _status_of(line: bytes) -> int:
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(words[1])


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
