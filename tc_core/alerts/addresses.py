"""Where a webhook goes: its name is resolved once, the address is checked, and that one is connected to.

Private addresses, those of clouds' metadata and of this machine are refused, however they are written, unless the
settings allow them: a webhook's URL must not be a way into a network.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from tc_core.alerts.outbox import NotifyError

LIMIT_SECONDS = 5.0
MOST_ADDRESSES = 8

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host."""

_NAT64 = ip_network("64:ff9b::/96")


class Place(NamedTuple):
    """Where a request goes: `address` is what is connected to, `host` what is asked for there."""

    host: str
    port: int
    path: str
    is_secure: bool
    address: str

    @property
    def shown(self) -> str:
        """The host alone: the path of a webhook is often its secret."""
        return self.host if self.port == (443 if self.is_secure else 80) else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


def place(url: str, *, allow_private: bool, resolve: Resolve | None = None) -> Place:
    """Return where a URL leads; raise NotifyError for one that must not be called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotifyError("the URL of the webhook cannot be read: alerts.webhook_url") from None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise NotifyError("alerts.webhook_url must begin with https:// and a host, without user and password")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise NotifyError("alerts.webhook_url has blanks or control characters in it")
    is_secure = parts.scheme == "https"
    if not is_secure and not allow_private:
        raise NotifyError(f"http://{host} is not encrypted: use https, or set alerts.allow_private_webhooks")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    whole_port = port or (443 if is_secure else 80)
    addresses = (resolve or resolved)(host, whole_port)
    if not addresses:
        raise NotifyError(f"{host} has no address")
    for address in addresses:
        if not allow_private and not is_public(address):
            why = "is not a public address (alerts.allow_private_webhooks allows it)"
            raise NotifyError(f"{host} leads to {address}, which {why}")
    return Place(host, whole_port, path.encode("ascii", "replace").decode(), is_secure, addresses[0])


def is_public(address: str) -> bool:
    """Tell whether an address is one of the internet, also where an IPv4 address hides in one of IPv6."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    return all(each.is_global and not each.is_multicast and not each.is_reserved for each in _meant(found))


def _meant(address: IPv4Address | IPv6Address) -> Sequence[IPv4Address | IPv6Address]:
    """Return an address, or what it stands for."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address]


def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, within some seconds; raise NotifyError where there are none."""
    found: list[str] = []
    failed: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers[:MOST_ADDRESSES]))
        except (OSError, UnicodeError) as error:
            failed.append(getattr(error, "strerror", None) or str(error))

    asking = threading.Thread(target=ask, name="token-calculator-resolver", daemon=True)
    asking.start()
    asking.join(LIMIT_SECONDS)  # a resolver has limits of its own, of half a minute and more
    if failed or asking.is_alive():
        raise NotifyError(f"{host} cannot be resolved: {failed[0] if failed else 'no answer in time'}")
    return found
