"""Which earlier output is quoted inside a larger text? Measured on outputs and texts of 150 recorded runs.

The runs lie beside the repository, in ../shared/data/agent_trajectories.jsonl; without them there is nothing to
measure. Outputs of models and tools are sources; each way of quoting puts a hundred of them into users' texts of other
runs, and texts that quote nothing are asked beside them. Another source that holds the same words is as right.

python -m benchmarks.quotations [--json] [--each N]
"""

import argparse
import json
import random
import re
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.common import Figure, show
from benchmarks.provenance import RUNS, load
from tc_core.ledger.blocks import stream
from tc_core.ledger.quotations import Quotations
from tc_core.meter.tokens import count

LEAST_TOKENS = 32
SAME = 64
"""So many letters and digits in a row that are the same words."""


def _cut(text: str, chance: random.Random) -> str:
    """Return three fifths of a text, from somewhere in it."""
    length = int(len(text) * 0.6)
    start = chance.randrange(len(text) - length + 1)
    return text[start : start + length]


def _changed(text: str, chance: random.Random) -> str:
    return " ".join("changed" if chance.random() < 1 / 12 else word for word in text.split(" "))


WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "whole": lambda text, _: text,
    "as JSON": lambda text, _: json.dumps({"result": text}),
    "behind bars": lambda text, _: "\n".join(f"> {line}" for line in textwrap.wrap(text, 70)),
    "re-wrapped": lambda text, _: "\n".join(textwrap.wrap(text, 41)),
    "without markdown": lambda text, _: re.sub(r"[*_#`\[\]{}\"]", "", text),
    "three fifths": _cut,
    "the first 160 characters": lambda text, _: text[:160],
    "a word in 12 changed": _changed,
}
REFERENCE = {
    "whole": 1.00,
    "as JSON": 1.00,
    "behind bars": 1.00,
    "re-wrapped": 0.99,
    "without markdown": 0.99,
    "three fifths": 0.75,
    "the first 160 characters": 0.76,
    "a word in 12 changed": 0.35,
}
"""The recall that a prototype of this method had; its precision was 0.986."""


def _texts() -> tuple[list[str], list[str]]:
    """Return outputs that may be quoted, and users' texts."""
    outputs, users = dict[str, None](), dict[str, None]()
    for messages in load():
        for message in messages:
            content = message.get("content") or ""
            if count(content, "gpt-4o").tokens >= LEAST_TOKENS:
                (users if message["role"] == "user" else outputs if message["role"] != "system" else {})[content] = None
    return list(outputs), list(users)


def _is_right(source: str, true: str, text: str) -> bool:
    said, asked = stream(source), stream(text)
    pieces = stream(true)
    return said == pieces or any(
        (piece := pieces[at : at + SAME]) in said and piece in asked for at in range(0, max(1, len(pieces) - SAME), 8)
    )


def run(each: int = 100) -> dict[str, Any]:
    """Measure each way of quoting, and texts that quote nothing."""
    chance = random.Random(5)
    outputs, users = _texts()
    quotations = Quotations(bytes(range(32)))
    began = time.perf_counter()
    for number, output in enumerate(outputs):
        quotations.add(number, output)
    adding_us = (time.perf_counter() - began) / len(outputs) * 1e6
    stored = sum(len(source.blocks) for source in quotations.take_news()) / len(outputs)
    long = [number for number, output in enumerate(outputs) if len(stream(output)) >= 160]
    rows, wrong, stated = [], 0, 0
    for name, way in WAYS.items():
        found = 0
        for _ in range(each):
            number = chance.choice(long)
            text = f"{chance.choice(users)}\n{way(outputs[number], chance)}\n{chance.choice(users)[:60]}"
            answers = quotations.of(-1, text)
            right = [answer for answer in answers if _is_right(outputs[answer.source], outputs[number], text)]
            found += bool(right)
            stated += bool(answers)
            wrong += bool(answers) and not right
        rows.append({"case": name, "reference": REFERENCE[name], "recall": found / each})
    began = time.perf_counter()
    false = sum(bool(quotations.of(-1, text)) for text in users)
    asking_us = (time.perf_counter() - began) / len(users) * 1e6
    whole = {
        "sources": len(outputs),
        "bytes_per_source": stored,
        "us_to_add": adding_us,
        "us_to_ask": asking_us,
        "false": false,
        "of": len(users),
        "precision": (stated - wrong) / (stated + false),
    }
    return {"benchmark": "quotations", "rows": rows, "whole": whole}


def figures(result: Mapping[str, Any]) -> Sequence[Figure]:
    """Return the lines of the table."""
    found = [
        Figure(f"quotations, {row['case']}: recall", f"{row['reference']:.2f}", f"{row['recall']:.2f}")
        for row in result["rows"]
    ]
    whole = result["whole"]
    measured = f"{whole['precision']:.3f}, {whole['false']} of {whole['of']} false"
    return [*found, Figure("quotations: precision", "0.986", measured)] if result["rows"] else []


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--each", type=int, default=100, help="so many quotations of each kind")
    options = parser.parse_args(arguments)
    if not RUNS.exists():
        result: dict[str, Any] = {"benchmark": "quotations", "rows": [], "whole": {}}
        print(json.dumps(result) if options.json else "skipped: ../shared/data/agent_trajectories.jsonl is not there")
        return result
    result = run(options.each)
    show(result, [*result["rows"], result["whole"]] if options.json else result["rows"], as_json=options.json)
    if not options.json:
        print("  ".join(f"{name} {value:.3g}" for name, value in result["whole"].items()))
    return result


if __name__ == "__main__":
    main()
