"""The web application: the shell for every page, and what pages ask under `/api/`."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tc_core import version
from tc_core.errors import ConfigurationError, StorageError, TokenCalculatorError
from tc_core.store.sql import SqlStore
from tc_core.web import static_files
from tc_core.web.asked import MOST_TEXT, Asked
from tc_core.web.pages import PAGES, Page
from tc_core.web.reads import ReadLog
from tc_core.web.security import Access, Guard

log = logging.getLogger("tc_core")


class Explorer:
    """Answers for one store; `shown_store` is what it is called in commands, without secrets."""

    def __init__(self, store: SqlStore, *, name: str, shown_store: str = "", may_change: bool = False) -> None:
        self._store, self._name, self._shown_store, self._may_change = store, name, shown_store, may_change
        self._files = static_files.read_all()

    def routes(self) -> list[Route]:
        """Return all routes."""
        found = [Route("/api/shell", self._answering(self._shell)), Route("/api/latest", self._answering(_latest))]
        for page in PAGES:
            found += self._routes_of(page)
        found += [Route("/api/{rest:path}", _no_such_question), Route("/static/{path:path}", self._file)]
        return [*found, Route("/{page:path}", self._page)]

    def _routes_of(self, page: Page) -> list[Route]:
        base = f"/api/{page.name}"
        found = [Route(base, self._answering(page.view))]
        if page.plain is not None:
            found.append(Route(f"{base}.json", self._answering(page.plain, indented=True)))
        if page.csv is not None:
            found.append(Route(f"{base}.csv", self._answering(page.csv)))
        found += [Route(f"{base}/{what}", self._answering(view)) for what, view in page.more.items()]
        deeds = page.deeds.items() if self._may_change else ()
        return found + [Route(f"{base}/{what}", self._answering(do), methods=["POST"]) for what, do in deeds]

    def _answering(self, view: Callable[[Asked], Any], *, indented: bool = False) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            parameters = {name: request.query_params.getlist(name) for name in request.query_params}
            who = request.scope.get("tc_who", "")
            return await run_in_threadpool(self._answer, view, parameters, who, indented)

        return answer

    def _answer(
        self,
        view: Callable[[Asked], Any],
        parameters: Mapping[str, list[str]],
        who: str,
        indented: bool,  # noqa: FBT001  # handed on by position
    ) -> Response:
        """Ask, on a thread of the pool; what goes wrong becomes one sentence."""
        try:
            _check_length(parameters)
            path = self._store.path
            if path is not None and not path.exists():
                raise StorageError(f"The store {self._name} is not there any more: put it back, or serve another one")
            found = view(Asked(self._store, parameters, self._shown_store, self._may_change, f"explorer, {who}"))
        except StorageError as error:
            return _failed(503, error)
        except (ConfigurationError, ValueError) as error:
            return _failed(400, error)
        except TokenCalculatorError as error:
            return _failed(404, error)
        headers = {"Cache-Control": "no-store"}
        if isinstance(found, str):
            return Response(found, headers=headers, media_type="text/csv; charset=utf-8")
        return Response(_json(found, indented=indented), headers=headers, media_type="application/json")

    def _shell(self, asked: Asked) -> Mapping[str, Any]:
        pages = [
            {"name": page.name, "title": page.title, "json": page.plain is not None, "csv": page.csv is not None}
            for page in PAGES
        ]
        return {"pages": pages, "store": self._name, "version": version.__version__, **_latest(asked)}

    async def _file(self, request: Request) -> Response:
        file = self._files.get(request.path_params["path"])
        return static_files.missing() if file is None else file.response(request)

    async def _page(self, request: Request) -> Response:
        answer = self._files["index.html"].response(request)
        names = {"", *(page.name for page in PAGES)}
        if request.path_params["page"].partition("/")[0] not in names:
            answer.status_code = 404  # the shell says which pages there are
        return answer


def build(
    store: SqlStore,
    *,
    name: str,
    shown_store: str = "",
    access: Access | None = None,
    reads: ReadLog | None = None,
) -> Starlette:
    """Return the application for a store; `name` is how people know it, without secrets.

    Who reads what is noted in `reads`, which whoever serves it closes at the end.
    """
    access, reads = access or Access(), reads or ReadLog(store)
    explorer = Explorer(store, name=name, shown_store=shown_store, may_change=access.may_change)
    middleware = [
        Middleware(Guard, access=access, note=reads.note),
        Middleware(
            GZipMiddleware,
            minimum_size=1000,
            compresslevel=1,  # of a run of 100,000 events it takes 50 ms, 5 would take 170
        ),
    ]
    return Starlette(routes=explorer.routes(), middleware=middleware, exception_handlers={500: _broken})


def _check_length(parameters: Mapping[str, list[str]]) -> None:
    for name, values in parameters.items():
        if any(len(value) > MOST_TEXT for value in values):
            raise ConfigurationError(f"{name[:40]} is longer than {MOST_TEXT} characters: shorten it")


def _latest(asked: Asked) -> Mapping[str, Any]:
    """Tell how many calls there are, by which a page knows that there is something new."""
    return {"calls": asked.store.totals()[()].calls}


def _json(value: object, *, indented: bool = False) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 if indented else 0)


def _failed(status: int, error: Exception) -> Response:
    sentence = str(error).strip() or type(error).__name__
    body = {"error": f"{sentence[:1].upper()}{sentence[1:]}{'' if sentence.endswith('.') else '.'}"}
    return Response(_json(body), status, {"Cache-Control": "no-store"}, "application/json")


async def _no_such_question(request: Request) -> Response:
    return _failed(404, ConfigurationError(f"there is no {request.url.path[:100]}: see docs/explorer.md"))


async def _broken(request: Request, error: Exception) -> Response:
    log.error("token-calculator: the explorer could not answer %s", request.url.path, exc_info=error)
    sentence = f"this is a fault of ours, {type(error).__name__}: `token-calc serve` has printed where"
    return _failed(500, RuntimeError(sentence))
