"""A branch as others will be: a table of its own, kept equal to a sum over events by what its part writes."""

from collections import Counter

from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from tc_core.model.part import Part
from tc_core.model.totals import measures
from tc_core.runtime import parts
from tc_core.store.schema.tables import StoreTable

SUMS = ("calls", "input_tokens", "cost_nanos")


class PartSum(StoreTable, table=True):
    __tablename__ = "part_sum"
    agent: str = Field(primary_key=True, sa_type=Text)
    calls: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    cost_nanos: int = Field(sa_type=BigInteger)


def write(transaction, changes):
    sums = {}
    for change in changes:
        for booked, sign in ((change.before, -1), (change.after, 1)):
            if booked is not None:
                found = measures(booked.event_type, booked.status, booked.usage, None, booked.cost_nanos, None)
                added = {"calls": found[0], "input_tokens": found[5], "cost_nanos": booked.cost_nanos or 0}
                total = sums.setdefault(booked.scope.agent_id or "", Counter())
                for name in SUMS:
                    total[name] += sign * added[name]
    rows = sorted((agent, *(total[name] for name in SUMS)) for agent, total in sums.items())
    transaction.database.add_up(transaction.connection, "part_sum", ("agent",), SUMS, rows)


def part(store):
    return Part(name="sums", write=write)


def differences(store):
    """Return what the table says that the events do not, and the other way round."""
    store.flush()
    with store._database.reading() as connection:
        kept = {row for row in map(tuple, connection.exec_driver_sql("SELECT * FROM part_sum")) if any(row[1:])}
        summed = connection.exec_driver_sql(
            "SELECT coalesce(agent.value, ''),"
            " sum(CASE WHEN type.value IN ('llm_call', 'embedding') THEN 1 ELSE 0 END),"
            " sum(coalesce(event.input_tokens, 0)), sum(coalesce(event.cost_nanos, 0)) FROM event"
            " JOIN dimension AS status ON status.id = event.status JOIN dimension AS type ON type.id = event.event_type"
            " LEFT JOIN dimension AS agent ON agent.id = event.agent_id WHERE status.value <> 'open' GROUP BY 1"
        )
        found = {row for row in ((agent, *map(int, sums)) for agent, *sums in summed) if any(row[1:])}
    return kept ^ found


def install():
    parts.TABLES.append(__name__)
    parts.LIVE.append(__name__)
