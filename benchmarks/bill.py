"""How many recorded answers of providers are read right: tokens of every kind, by API.

The bodies lie beside the repository, in ../shared/data/usage_bodies.json; without them there is nothing to measure.
What is right is worked out here by itself, from what each API documents and from the totals that bodies state, not by
the tables that the reader uses. Each body is handed over as JSON, as its usage alone, as the objects of a client
library and, where clients have one, in snake case; it is right when all of them are.

python -m benchmarks.bill [--json] [--bodies FILE]
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.common import Figure, show
from tc_core.meter.usage import read, usage_part
from tc_core.model.usage import Usage

BODIES = Path(__file__).parents[2] / "shared" / "data" / "usage_bodies.json"
AIM = 0.995

Body = Mapping[str, Any]


def run(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Read all bodies in every way, and count which are right."""
    right, wrong = Counter[str](), list[dict[str, Any]]()
    for place, each in enumerate(bodies):
        api, body = each["api"] or "cohere", each["body"]
        expected = compared(expected_usage(api, body))
        for way, given in ways(body):
            reading = read(json.loads(json.dumps(usage_part(given))), model=each["model"])
            found = compared(reading.usage) if reading is not None and reading.is_whole else {}
            if found != expected:
                wrong.append({"body": place, "api": api, "way": way, "expected": expected, "read": found})
                break
        else:
            right[api] += 1
    everything = Counter(each["api"] or "cohere" for each in bodies)
    rows: list[dict[str, Any]] = [
        {"api": api, "right": right[api], "all": count, "share": right[api] / count}
        for api, count in sorted(everything.items())
    ]
    total = sum(right.values())
    rows.append({"api": "all", "right": total, "all": len(bodies), "share": total / len(bodies)})
    return {"benchmark": "bill", "rows": rows, "wrong": wrong}


def ways(body: Body) -> Iterator[tuple[str, object]]:
    """Yield a body as clients and frameworks hand it over."""
    yield "json", body
    yield "objects", _as_object(body)
    name = next(name for name in ("usage", "usageMetadata", "meta") if name in body)
    yield "usage alone", body[name]
    if name == "usageMetadata" or "inputTokens" in body[name]:
        yield "snake case", _in_snake_case(body)
        yield "objects in snake case", _as_object(_in_snake_case(body))


def expected_usage(api: str, body: Body) -> Usage:
    """Return what was billed, worked out from the documentation of an API."""
    usage = body.get("usage") or body.get("usageMetadata") or body["meta"]
    return _EXPECTED[api](usage)


def _chat(usage: Body) -> Usage:
    # All that is not prompt is output, also reasoning that is in nothing but the total.
    read, written = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    output = usage["total_tokens"] - usage["prompt_tokens"]
    beside = output - usage["completion_tokens"]
    return Usage(
        usage["prompt_tokens"],
        output,
        read.get("cached_tokens"),
        read.get("cache_write_tokens"),
        written.get("reasoning_tokens") or beside,
        read.get("audio_tokens"),
        written.get("audio_tokens"),
    )


def _responses(usage: Body) -> Usage:
    read, written = usage["input_tokens_details"], usage["output_tokens_details"]
    return Usage(
        usage["total_tokens"] - usage["output_tokens"],
        usage["output_tokens"],
        read["cached_tokens"],
        read.get("cache_write_tokens"),
        written["reasoning_tokens"],
    )


def _anthropic(usage: Body) -> Usage:
    # The top level leaves out compactions; steps of other models are theirs.
    steps = [usage, *(step for step in usage.get("iterations") or () if step["type"] == "compaction")]
    cached, wrote = (
        sum(step.get(f"cache_{kind}_input_tokens") or 0 for step in steps) for kind in ("read", "creation")
    )
    hour = sum((step.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0 for step in steps)
    return Usage(
        sum(step["input_tokens"] for step in steps) + cached + wrote,
        sum(step["output_tokens"] for step in steps),
        cached,
        wrote,
        (usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        cache_write_1h_tokens=hour,
    )


def _gemini(usage: Body) -> Usage:
    thoughts = usage.get("thoughtsTokenCount", 0)
    output = usage.get("candidatesTokenCount", 0) + thoughts
    read = usage.get("totalTokenCount", usage["promptTokenCount"] + output) - output
    heard, said = (
        sum(each["tokenCount"] for each in usage.get(f"{side}TokensDetails", ()) if each["modality"] == "AUDIO")
        for side in ("prompt", "candidates")
    )
    return Usage(read, output, usage.get("cachedContentTokenCount"), None, thoughts, heard, said)


def _bedrock(usage: Body) -> Usage:
    cached, wrote = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    hour = sum(each["inputTokens"] for each in usage.get("cacheDetails", ()) if each["ttl"] == "1h")
    read = usage["totalTokens"] - usage["outputTokens"]
    return Usage(read, usage["outputTokens"], cached, wrote, cache_write_1h_tokens=hour)


def _embeddings(usage: Body) -> Usage:
    return Usage(usage["total_tokens"], 0)


def _cohere(usage: Body) -> Usage:
    billed = usage["billed_units"]
    return Usage(billed["input_tokens"] + billed.get("image_tokens", 0), billed.get("output_tokens", 0))


_EXPECTED = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "embeddings": _embeddings,
    "cohere": _cohere,
}


def compared(usage: Usage) -> dict[str, int]:
    """Return the counts that are more than zero; of a report of nothing but zeros there are none."""
    return {name: count for name, count in usage._asdict().items() if count}


def _as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _as_object(each) for name, each in value.items()})
    return [_as_object(each) for each in value] if isinstance(value, list) else value


def _in_snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {re.sub("([A-Z])", r"_\1", name).lower(): _in_snake_case(each) for name, each in value.items()}
    return [_in_snake_case(each) for each in value] if isinstance(value, list) else value


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the line for the table of all figures."""
    if not result["rows"]:
        return []
    whole = result["rows"][-1]
    measured = f"{whole['share']:.1%} ({whole['right']} of {whole['all']})"
    return [Figure("recorded answers of providers read right", f"{AIM:.1%}", measured)]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=Path, default=BODIES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not options.bodies.exists():
        result: dict[str, Any] = {"benchmark": "bill", "rows": [], "wrong": []}
        print(json.dumps(result) if options.json else "skipped: ../shared/data/usage_bodies.json is not there")
        return result
    result = run(json.loads(options.bodies.read_text()))
    show(result, result["rows"], as_json=options.json)
    if not options.json:
        for each in result["wrong"]:
            print(each)
    return result


if __name__ == "__main__":
    main()
