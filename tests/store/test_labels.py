"""Labels with too many values for the roll-ups: the answers stay the same, and everybody learns of it once."""

import logging

from tc_core import InMemoryStorage
from tc_core.costs.plain_totals import PlainTotals
from tc_core.model.ports import Priced
from tc_core.store.write.rolled_labels import MOST_VALUES
from tests.store.contract import NOON, call


def tickets(start, end):
    return [call(n, labels={"ticket": f"T-{n}", "team": f"team {n % 2}"}) for n in range(start, end)]


def cells(store, name):
    """How many sums the roll-ups keep of a label, by hour and by day."""
    with store._database.reading() as connection:
        keys = store._interned.find(connection, "label", [name])
        count = "SELECT count(*) FROM {} WHERE label = {}".format
        return [
            connection.exec_driver_sql(count(each, *keys)).scalar_one() for each in ("rollup_label", "rollup_label_day")
        ]


def assert_answers_are_right(store):
    plainly = PlainTotals(store)
    for group_by, filters in ((["ticket"], {}), (["team"], {}), (["day", "ticket"], {}), ([], {"ticket": ["T-1"]})):
        for start in (None, NOON):
            assert store.totals(group_by, filters, start) == plainly.totals(group_by, filters, start)


def test_a_label_with_too_many_values_answers_as_before(opened, caplog):
    with opened() as store:
        store.save_events(tickets(0, MOST_VALUES))
        assert (store.wide_labels(), cells(store, "ticket") != [0, 0]) == ({}, True)
        assert_answers_are_right(store)
        with caplog.at_level(logging.WARNING, "tc_core"):
            store.save_events(tickets(MOST_VALUES, MOST_VALUES + 1))
            store.save_events(tickets(MOST_VALUES + 1, MOST_VALUES + 10))
        assert list(store.wide_labels()) == ["ticket"]
        assert [cells(store, "ticket"), cells(store, "team") != [0, 0]] == [[0, 0], True]
        assert [record.getMessage().count("'ticket'") for record in caplog.records] == [1]
        assert_answers_are_right(store)
    with opened() as store:
        assert_answers_are_right(store)


def test_a_store_that_is_open_elsewhere_learns_that_a_label_is_wide(opened):
    with opened() as one, opened() as other:
        other.save_events(tickets(0, 5))  # so that it knows their keys
        one.save_events(tickets(5, MOST_VALUES + 1))
        other.save_events([call(minute, labels={"ticket": "T-1"}) for minute in range(5)])
        other.save_events(tickets(MOST_VALUES + 1, MOST_VALUES + 5))
        assert cells(other, "ticket") == [0, 0]
        assert_answers_are_right(other)
        assert other.aggregate("calls", filters={"ticket": "T-1"}) == {(): 6}


def test_prices_of_events_with_a_wide_label_can_change():
    store = InMemoryStorage()
    store.save_events([call(n, cost=None, model="m", labels={"ticket": str(n)}) for n in range(MOST_VALUES + 1)])
    list(store.reprice(lambda event: Priced(5, "a test", None)))
    assert store.aggregate("cost", filters={"ticket": "7"}) == {(): 5e-9}
    assert cells(store, "ticket") == [0, 0]
