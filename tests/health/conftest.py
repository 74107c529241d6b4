"""Conversations to look at: recorded ones where they lie beside the repository, and ones that are made here."""

import json
import random
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[3] / "shared" / "data" / "agent_trajectories.jsonl"


def call(name, id_="c1", **arguments):
    """Return an assistant's message that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": id_, "type": "function", "function": function}]}


def result(text, id_="c1"):
    return {"role": "tool", "tool_call_id": id_, "content": text if isinstance(text, str) else json.dumps(text)}


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "You book flights. You never make things up, and you ask before you pay."}


def booking(turns, seed=1):
    """Make a conversation about reservations, each with flights; the next call needs values from all over it."""
    dice = random.Random(seed)
    messages = [SYSTEM]
    codes = []
    for turn in range(turns):
        code = "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=6))
        flights = [
            {
                "flight_number": f"HAT{dice.randrange(100, 999)}",
                "origin": dice.choice(["LAX", "SFO", "JFK", "ORD"]),
                "date": f"2024-05-{dice.randrange(10, 28)}",
                "price": dice.randrange(100, 900),
                "status": "available",
                "remarks": "Meals and one bag are included; changes are free of charge until the day before.",
            }
            for _ in range(6)
        ]
        codes.append((code, flights[0]["flight_number"]))
        messages += [
            user(f"Please look at my reservation {code} as well, I am not sure about its flights."),
            call("get_reservation_details", f"c{turn}", reservation_id=code),
            result({"reservation_id": code, "cabin": "economy", "flights": flights}, f"c{turn}"),
            said(f"Your reservation {code} has six flights, the first is {flights[0]['flight_number']}."),
        ]
    messages.append(user("Cancel the first flight of each of them, please."))
    return messages, codes


@pytest.fixture
def runs():
    """The messages of each recorded run."""
    if not RUNS.exists():
        pytest.skip(f"the recorded runs are not at {RUNS}")
    with RUNS.open() as lines:
        return [json.loads(line)["messages"] for line in lines]
