"""Serves the explorer until it is told to stop."""

import asyncio
import contextlib
import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import uvicorn

from tc_core.errors import ConfigurationError
from tc_core.store.sql import SqlStore
from tc_core.web.app import build
from tc_core.web.reads import ReadLog
from tc_core.web.security import LEAST_TOKEN, Access


def serve(
    store: SqlStore,
    access: Access,
    port: int,
    *,
    name: str,
    shown_store: str = "",
    opens: bool = True,
    say: Callable[[str], object] = print,
) -> None:
    """Serve a store until Ctrl-C; `port` 0 takes a free one. Says the address once it listens.

    Raises ConfigurationError for an address that cannot be used: a port in use, or one that others reach while no token
    is set.
    """
    if access.token is None and not access.is_loopback:
        raise ConfigurationError(
            f"{access.host} can be reached from other machines: set TOKEN_CALC_SERVE_TOKEN to a secret of your own, "
            "or leave --host out"
        )
    if access.token is not None and len(access.token) < LEAST_TOKEN:
        raise ConfigurationError(
            f"TOKEN_CALC_SERVE_TOKEN is shorter than {LEAST_TOKEN} characters and could be guessed: take one that "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` prints"
        )
    access = replace(access, ticket=None if access.token is None else secrets.token_urlsafe())
    reads = ReadLog(store)
    app = build(store, name=name, shown_store=shown_store, access=access, reads=reads)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        limit_concurrency=64,
        h11_max_incomplete_event_size=32_768,
    )
    with _listening(access.host, port) as listener:
        port = listener.getsockname()[1]
        say(_address(access, port, token=access.token))
        if opens:
            address = _address(access, port, ticket=access.ticket)
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
        finally:
            reads.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} is in use, maybe by another explorer: use --port {port + 1}, or --port 0 for a free one"
            ) from error
        raise ConfigurationError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error


def _address(access: Access, port: int, **secret: str | None) -> str:
    host = f"[{access.host}]" if ":" in access.host else access.host
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"  # noqa: S104  # told, not bound
    return address if access.token is None else f"{address}?{urlencode(secret)}"
