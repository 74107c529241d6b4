"""How many recorded answers of providers are booked right over real HTTP, through the classes that users create.

A server on this machine answers each request with the next recorded body, in the words of its API, plain or as a
stream; a class of a framework asks it, and what is stored is compared with what was billed (`benchmarks.bill` works
that out). The bodies lie beside the repository, in ../shared/data/usage_bodies.json.

    python -m benchmarks.bill_http [--json] [--framework NAME] [--bodies FILE]

A framework is one function in `FRAMEWORKS`: it yields a `Row` for each class and way, with what asks once. Not counted
is what a class drops of an answer before anything of ours can see it (`drops`; docs/frameworks.md says what).
"""

import argparse
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.answers import Wanted, answer
from benchmarks.bill import AIM, BODIES, compared, expected_usage
from benchmarks.bill_classes import Framework, Row, crewai, keeps_all, llamaindex
from benchmarks.common import Figure, show
from tc_core.model.event import CALL_TYPES

Laid = tuple[str, str, dict[str, Any]]
"""An API, its model, and a recorded body."""


class Server(ThreadingHTTPServer):
    """Answers each request with what is laid down, as the API that is asked answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Laid | None = None
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        assert isinstance(self.server, Server)
        assert self.server.asked is not None
        api, model, body = self.server.asked
        kind, content = answer(api, Wanted(model, body, request.get("stream") is True or "stream" in self.path))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Booked:
    """What is stored, call by call."""

    def __init__(self) -> None:
        import tc_core

        self._flush = tc_core.flush
        self._store = tc_core.SQLiteStorage(Path(tempfile.mkdtemp()) / "bill.db")
        tc_core.instrument(storage=self._store)
        self._seen: set[str] = set()

    def new(self) -> list[Any]:
        """Return the calls that were stored since this was last asked."""
        self._flush(20)
        page = self._store.query_events(limit=10, descending=True)
        calls = [each for each in page if each.event_type in CALL_TYPES and each.event_id not in self._seen]
        self._seen.update(each.event_id for each in calls)
        return calls


def run(bodies: list[dict[str, Any]], frameworks: Mapping[str, Framework]) -> dict[str, Any]:
    """Ask for each body through each class that there is for its API, and count which are booked right."""
    rows, wrong = list[dict[str, Any]](), list[dict[str, Any]]()
    booked, server = Booked(), Server()
    for framework, rows_of in frameworks.items():
        for row in rows_of():
            counts = Counter[str]()
            for place, each in enumerate(bodies):
                if each["api"] != row.api:
                    continue
                server.asked = (row.api, each["model"] or "any", each["body"])
                problem = _problem(row, server, booked)
                if problem is None:
                    counts["right"] += 1
                elif row.drops(each["body"]):
                    counts["dropped"] += 1
                else:
                    counts["wrong"] += 1
                    wrong.append({"framework": framework, "api": row.api, "way": row.way, "body": place, **problem})
            rows.append(_row({"framework": framework, "api": row.api, "way": row.way}, counts))
    for name in frameworks:
        own = [row for row in rows if row["framework"] == name]
        total = Counter({kind: sum(row[kind] for row in own) for kind in ("right", "wrong", "dropped")})
        rows.append(_row({"framework": name, "api": "all", "way": "all"}, total))
    server.shutdown()
    server.server_close()
    return {"benchmark": "bill_http", "rows": rows, "wrong": wrong}


def _row(named: dict[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    right, all_ = counts["right"], counts["right"] + counts["wrong"]
    share = right / all_ if all_ else 1.0
    return {**named, "right": right, "wrong": counts["wrong"], "dropped": counts["dropped"], "share": share}


def _problem(row: Row, server: Server, booked: Booked) -> dict[str, Any] | None:
    """Make one call; return what is wrong with what is stored, or None."""
    assert server.asked is not None
    api, model, body = server.asked
    error = None
    try:
        row.ask(server.url, model)
    except Exception as raised:  # noqa: BLE001  # whatever a class makes of an answer, the next one is asked
        error = f"{type(raised).__name__}: {str(raised)[:200]}"
    calls = booked.new()
    if len(calls) != 1:
        return {"error": error, "calls": len(calls)}
    expected = compared(expected_usage(api, body))
    found = compared(calls[0].usage) if calls[0].usage_source == "provider" else {}
    return None if found == expected else {"error": error, "expected": expected, "stored": found}


def langchain() -> Iterator[Row]:
    """Yield LangChain's classes."""
    from langchain_anthropic import ChatAnthropic
    from langchain_aws import ChatBedrockConverse
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_openai import ChatOpenAI

    @cache  # a client takes longer to make than a call
    def chat(url: str, model: str) -> Any:
        return ChatOpenAI(model=model, base_url=f"{url}/v1", stream_usage=True, use_responses_api=False)

    @cache
    def responses(url: str, model: str) -> Any:
        return ChatOpenAI(model=model, base_url=f"{url}/v1", use_responses_api=True)

    @cache
    def anthropic(url: str, model: str) -> Any:
        return ChatAnthropic(model_name=model, base_url=url, max_retries=0, timeout=20, stop=None)

    @cache
    def gemini(url: str, model: str) -> Any:
        return ChatGoogleGenerativeAI(model=model, api_key="x", base_url=url, max_retries=0)

    @cache
    def bedrock(url: str, _model: str) -> Any:
        where: dict[str, Any] = {"endpoint_url": url, "region_name": "us-east-1"}
        return ChatBedrockConverse(model="anthropic.claude-sonnet-4-20250514-v1:0", **where)

    def tells_audio(body: Mapping[str, Any]) -> bool:
        usage = body["usageMetadata"]
        parts = [*usage.get("promptTokensDetails", ()), *usage.get("candidatesTokensDetails", ())]
        return any(part["modality"] == "AUDIO" for part in parts)

    classes = {"chat": chat, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock}
    for api, make in classes.items():
        drops = tells_audio if api == "gemini" else keeps_all
        yield Row(api, "plain", partial(_invoked, make), drops)
        yield Row(api, "stream", partial(_streamed, make), drops)


def _invoked(make: Callable[[str, str], Any], url: str, model: str) -> None:
    make(url, model).invoke("hi")


def _streamed(make: Callable[[str, str], Any], url: str, model: str) -> None:
    list(make(url, model).stream("hi"))


FRAMEWORKS: dict[str, Framework] = {"langchain": langchain, "llamaindex": llamaindex, "crewai": crewai}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"recorded answers booked right through {row['framework']}",
            f"{AIM:.1%}",
            f"{row['share']:.1%} ({row['right']} of {row['right'] + row['wrong']}; {row['dropped']} not handed on)",
        )
        for row in result["rows"]
        if row["api"] == "all"
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=Path, default=BODIES)
    parser.add_argument("--framework", choices=list(FRAMEWORKS), help="one alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not options.bodies.exists():
        result: dict[str, Any] = {"benchmark": "bill_http", "rows": [], "wrong": []}
        print(json.dumps(result) if options.json else "skipped: ../shared/data/usage_bodies.json is not there")
        return result
    os.environ.update(_ENVIRONMENT)
    chosen = {name: each for name, each in FRAMEWORKS.items() if options.framework in (None, name)}
    result = run(json.loads(options.bodies.read_text()), chosen)
    show(result, result["rows"], as_json=options.json)
    if not options.json:
        for each in result["wrong"]:
            print(each)
    return result


_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_EC2_METADATA_DISABLED": "true",
    "OPENAI_API_KEY": "x",
    "ANTHROPIC_API_KEY": "x",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "LANGSMITH_TRACING": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
    "OTEL_SDK_DISABLED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""What clients ask for and the server does not look at, and what keeps frameworks from asking anybody else."""


if __name__ == "__main__":
    main()
