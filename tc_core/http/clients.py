"""The clients of httpx, and of httpx2, that note what they send."""

import importlib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from tc_core.http.calls import begin
from tc_core.runtime.destination import Destination
from tc_core.runtime.recorders import open_storage
from tc_core.store.base import StorageBackend

if TYPE_CHECKING:
    import httpx
    import httpx2

Storage = StorageBackend | str | Path | None
Library = Literal["httpx", "httpx2"]


@overload
def tracking_client(
    storage: Storage = None, *, library: Literal["httpx"] | None = None, **options: Any
) -> "httpx.Client": ...
@overload
def tracking_client(storage: Storage = None, *, library: Literal["httpx2"], **options: Any) -> "httpx2.Client": ...
def tracking_client(storage: Storage = None, *, library: Library | None = None, **options: Any) -> Any:
    """Return a client for `http_client=` of the OpenAI and Anthropic libraries and of what is built on them.

    `library` says whose client it is: `httpx2` is what anthropic takes since version 2; without a word it is httpx, or
    httpx2 where that alone is installed. `options` are those of its `Client`; redirects and the number of connections
    are as in OpenAI's own client.
    """
    return _make(library, is_async=False, storage=storage, options=options)


@overload
def async_tracking_client(
    storage: Storage = None, *, library: Literal["httpx"] | None = None, **options: Any
) -> "httpx.AsyncClient": ...
@overload
def async_tracking_client(
    storage: Storage = None, *, library: Literal["httpx2"], **options: Any
) -> "httpx2.AsyncClient": ...
def async_tracking_client(storage: Storage = None, *, library: Library | None = None, **options: Any) -> Any:
    """Return the same for asyncio, for `http_async_client=` in LangChain."""
    return _make(library, is_async=True, storage=storage, options=options)


class _Made:
    """What lies over a client of either library; a copy of it is made anew with the same options."""

    def __init__(self, *, storage: Storage, **options: Any) -> None:
        super().__init__(**options)
        self._storage = None if storage is None else open_storage(storage)  # the default may be chosen later
        self._options = options

    def __reduce__(self) -> tuple[Any, ...]:
        library = next(each.__module__ for each in type(self).__mro__[3:]).partition(".")[0]
        destination = None if self._storage is None else Destination(self._storage)
        again = partial(_made_again, is_async=isinstance(self, _AsyncSending))
        return again, (library, destination, self._options)


class _Sending(_Made):
    """Sends, and notes it."""

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request as the client does, and note it."""
        sent = begin(self._storage, request)
        try:
            response = super().send(request, **options)  # type: ignore[misc]  # of the client, which comes next
        except BaseException as error:
            if sent is not None:
                sent.failed(error)
            raise
        if sent is not None:
            sent.answered(response)
        return response


class _AsyncSending(_Made):
    """The same for asyncio."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request as the client does, and note it."""
        sent = begin(self._storage, request)
        try:
            response = await super().send(request, **options)  # type: ignore[misc]  # the same
        except BaseException as error:
            if sent is not None:
                sent.failed(error)
            raise
        if sent is not None:
            sent.answered(response)
        return response


def _make(library: Library | None, *, is_async: bool, storage: Storage, options: dict[str, Any]) -> Any:
    module = _module(library)
    limits = module.Limits(max_connections=1000, max_keepalive_connections=100)
    kind = _kind(module.__name__, is_async=is_async)
    return kind(storage=storage, **{"follow_redirects": True, "limits": limits, **options})


def _made_again(library: Library, destination: Destination | None, options: dict[str, Any], *, is_async: bool) -> Any:
    storage = None if destination is None else destination.storage
    return _kind(library, is_async=is_async)(storage=storage, **options)


def _module(library: Library | None) -> Any:
    if library not in (None, "httpx", "httpx2"):
        raise ValueError(f"library must be 'httpx' or 'httpx2', not {library!r}")
    for name in ("httpx", "httpx2") if library is None else (library,):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error
    name = library or "httpx"
    raise ImportError(f"{name} is not installed: pip install {name}") from missing


@cache
def _kind(library: str, *, is_async: bool) -> type[Any]:
    module = importlib.import_module(library)
    if is_async:
        return type("AsyncTrackingClient", (_AsyncSending, module.AsyncClient), {"__module__": __name__})
    return type("TrackingClient", (_Sending, module.Client), {"__module__": __name__})
