"""How much of each prompt was sent shortly before, in the same order: what a provider's cache can give back."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import select

from tc_core.ledger.tables import PromptRow
from tc_core.ledger.tree import PER_REQUEST
from tc_core.model import ids
from tc_core.model.ports import Filters
from tc_core.store.read.filters import EVENT, Conditions
from tc_core.store.schema.tables import SEED_KEYS, ExternalId, table
from tc_core.store.sql import SqlStore

_PROMPT = table(PromptRow)
_OWN_ID = table(ExternalId).alias("prefix_external_id")
_LLM_CALL = SEED_KEYS["event_type", "llm_call"]
_PER_SECOND = 1_000_000


class SharedPrefix(NamedTuple):
    """A call, and how many of its input tokens are the front of a prompt that was sent to the same model before.

    `shared_tokens` are in the provider's count. `age_s` is how long before it was sent, None where nothing is shared.
    """

    event_id: str
    input_tokens: int
    shared_tokens: int
    age_s: float | None


def shared_prefixes(
    store: SqlStore, filters: Filters, start_us: int | None, end_us: int | None, *, lifetime_s: float
) -> Iterator[SharedPrefix]:
    """Yield the calls that match and whose prompts are known, in order of time.

    A prompt counts as sent before for `lifetime_s` from when it was last sent, as caches keep it.
    """
    from tc_core.ledger import sql  # numpy, for those who ask
    from tc_core.ledger.columns import places

    with store.question() as connection:
        conditions = Conditions(connection, store.database, store.interned).of(filters, start_us, end_us)
        question = (
            select(EVENT.c.id, EVENT.c.at, EVENT.c.model, EVENT.c.input_tokens, _PROMPT.c.node, _OWN_ID.c.value)
            .select_from(
                EVENT.join(_PROMPT, _PROMPT.c.event == EVENT.c.key).outerjoin(_OWN_ID, _OWN_ID.c.id == EVENT.c.id)
            )
            .where(EVENT.c.event_type == _LLM_CALL, EVENT.c.input_tokens > 0, *conditions)
            .order_by(EVENT.c.at, EVENT.c.key)
        )
        calls = connection.execute(question).all()
        nodes = sql.nodes_to(connection, store.database, {call.node for call in calls})
    above, prefixes = places(nodes["id"], nodes["parent"]).tolist(), nodes["prefix"].tolist()
    place_of = {id_: place for place, id_ in enumerate(nodes["id"].tolist())}
    sent: dict[tuple[Any, int], int] = {}
    for call in calls:
        way, node = [], place_of[call.node]
        while node >= 0:
            way.append(node)
            node = above[node]
        alive = call.at - lifetime_s * _PER_SECOND
        before = next((each for each in way if sent.get((call.model, each), -1) >= max(0, alive)), None)
        whole = prefixes[way[0]] - PER_REQUEST
        shared = 0 if before is None or not whole else call.input_tokens * (prefixes[before] - PER_REQUEST) // whole
        age = None if before is None else (call.at - sent[call.model, before]) / _PER_SECOND
        for each in way:
            sent[call.model, each] = call.at
        yield SharedPrefix(call.value or ids.to_text(call.id), call.input_tokens, shared, age)
