"""The body of an answer that the program reads piece by piece: passed on as it comes, and read when it has ended."""

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from tc_core.record.guard import never_raises

MOST_BYTES = 64 * 1024 * 1024
"""Of a longer body nothing is read."""


class Passed(NamedTuple):
    """What of a body was passed on."""

    content: bytes | None
    """None for more than is read here."""
    error: BaseException | None = None
    """What came instead of the next piece."""
    is_complete: bool = False


Ended = Callable[[Passed], object]


def watch(response: Any, ended: Ended) -> None:
    """Have `ended` called, once, when the body of a response has been read or let go of."""
    kinds = _kinds(type(response).__module__.partition(".")[0])
    is_async = not hasattr(response.stream, "__iter__")
    response.stream = kinds[is_async](response.stream, ended)


class _Watching:
    def __init__(self, stream: Any, ended: Ended) -> None:
        self._stream, self._ended = stream, ended
        self._pieces: list[bytes] | None = []
        self._length = 0

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > MOST_BYTES:
            self._pieces = None
        if self._pieces is not None:
            self._pieces.append(piece)

    @never_raises
    def _end(self, error: BaseException | None = None, *, is_complete: bool = False) -> None:
        ended, self._ended = self._ended, _nothing
        pieces, self._pieces = self._pieces, []
        ended(Passed(None if pieces is None else b"".join(pieces), error, is_complete))

    def __del__(self) -> None:
        self._end()


class _Body(_Watching):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stream:
                self._keep(piece)
                yield piece
        except BaseException as error:
            self._end(error)
            raise
        self._end(is_complete=True)

    def close(self) -> None:
        self._end()
        self._stream.close()


class _AsyncBody(_Watching):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                self._keep(piece)
                yield piece
        except BaseException as error:
            self._end(error)
            raise
        self._end(is_complete=True)

    async def aclose(self) -> None:
        self._end()
        await self._stream.aclose()


def guard(response: Any, cut: Callable[[], Exception | None]) -> None:
    """Have the body of a response end with the error that `cut` returns, once it does."""
    guarding = _guarding(type(response).__module__.partition(".")[0])
    is_async = not hasattr(response.stream, "__iter__")
    response.stream = guarding[is_async](response.stream, cut)


class _Guarding:
    def __init__(self, stream: Any, cut: Callable[[], Exception | None]) -> None:
        self._stream, self._cut = stream, cut

    def _look(self) -> None:
        error = self._cut()
        if error is not None:
            raise error


class _GuardedBody(_Guarding):
    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._look()
            yield piece
            self._look()

    def close(self) -> None:
        self._stream.close()


class _AsyncGuardedBody(_Guarding):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._look()
            yield piece
            self._look()

    async def aclose(self) -> None:
        await self._stream.aclose()


@cache
def _kinds(library: str) -> tuple[type[Any], type[Any]]:
    """Return the classes for a library, whose responses take nothing but streams of its own."""
    module = importlib.import_module(library)
    return type("Body", (_Body, module.SyncByteStream), {}), type("AsyncBody", (_AsyncBody, module.AsyncByteStream), {})


@cache
def _guarding(library: str) -> tuple[type[Any], type[Any]]:
    module = importlib.import_module(library)
    kinds = ((_GuardedBody, module.SyncByteStream), (_AsyncGuardedBody, module.AsyncByteStream))
    return type("GuardedBody", kinds[0], {}), type("AsyncGuardedBody", kinds[1], {})


def _nothing(_passed: Passed) -> None:
    """Nothing is to be told twice."""
