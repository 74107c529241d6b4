"""Addresses of servers: what may be shown of one, and where one must not be taken for a file's name."""

import re

from tc_core.errors import ConfigurationError

SERVER_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
"""What the URL of a server may begin with."""

_SERVER = re.compile(r"\s*postgres(ql)?(\+\w+)?:|.*/postgres(ql)?(\+\w+)?:/", re.IGNORECASE | re.DOTALL)
_LOGIN_ENDS = re.compile(r"[^:/]+://([^:/]*(:[^@]*)?@)?[^@]*", re.DOTALL)
_SHOWN = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts options passfile port replication require_auth requirepeer service ssl_max_protocol_version
    ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslmode sslnegotiation
    sslrootcert sslsni target_session_attrs tcp_user_timeout user
    """.split()  # noqa: SIM905  # a list of so many strings would take a page
)


def check_is_path(text: str) -> None:
    """Raise ConfigurationError for a server's address: as a file's name its password could be read by all.

    `Path("postgresql://...")` and a setting that should be a path have one slash; they are found too.
    """
    if _SERVER.match(text):
        raise ConfigurationError(
            "cannot use the address of a server as a file: give it whole and as text, as in "
            "postgresql://user:password@host:5432/database"
        )


def is_clear(url: str) -> bool:
    """Tell whether it is certain where user and password end: an @ in a password would make half of it the host."""
    return _LOGIN_ENDS.fullmatch(url) is not None


def is_shown(option: str) -> bool:
    """Tell whether an option of a URL may be shown: one libpq has that is no secret; another may be misspelt."""
    return option in _SHOWN
