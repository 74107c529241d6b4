"""The versions that `doctor` calls tested are those that the table of the documents has."""

from importlib import import_module
from importlib.metadata import entry_points

import pytest

from docs import versions
from tc_core.runtime.adapters import GROUP

ADAPTERS = {adapter.name: adapter.module for adapter in entry_points(group=GROUP)}


@pytest.mark.parametrize("framework", ADAPTERS)
def test_an_adapter_calls_tested_what_the_table_has(framework):
    module, rows = import_module(ADAPTERS[framework]), versions.rows_so_far()
    package = getattr(module, "PACKAGE", module.FRAMEWORK.replace("_", "-"))
    lowest, newest = (
        dict(each.split(" ") for each in rows[framework, which][2].split(", "))[package]
        for which in ("lowest", "newest")
    )
    assert lowest in (module.TESTED[0], f"{module.TESTED[0]}.0")
    assert newest.startswith(f"{module.TESTED[1]}.")


def test_the_table_has_the_lowest_and_the_newest_of_every_adapter():
    assert versions.rows_so_far().keys() == {(each, which) for each in ADAPTERS for which in ("lowest", "newest")}
    assert versions.PAGE.read_text().startswith(versions.HEAD)


def test_the_lowest_versions_that_are_tried_are_those_of_the_table():
    rows = versions.rows_so_far()
    for framework, pins in versions.LOWEST.items():
        assert {pin.replace("==", " ") for pin in pins} <= set(rows[framework, "lowest"][2].split(", "))
