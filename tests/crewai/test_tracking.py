"""`track`, entered in every way that a block can be."""

import asyncio

import tc_crewai


class Named:
    """Stands for a crew, of which `labels_of` only asks who it is."""

    key = "k"


def labels(crew):
    from tc_crewai.tracking import labels_of

    return labels_of(crew, "crew_kickoff_started")


def test_one_block_may_be_entered_by_several_tasks_at_once():
    crew = Named()
    block = tc_crewai.track(crew, customer="acme")

    async def use(first, second):
        async with block:
            first.set()
            await second.wait()
            assert labels(crew) == {"customer": "acme"}
        assert labels(crew) == {}

    async def main():
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(use(one, two), use(two, one))

    asyncio.run(main())


def test_blocks_nest_and_leave_the_outer_one_in_place():
    crew = Named()
    outer, inner = tc_crewai.track(crew, customer="acme"), tc_crewai.track(crew, customer="other", feature="x")
    with outer:
        with inner, outer:
            assert labels(crew) == {"customer": "acme", "feature": "x"}
        assert labels(crew) == {"customer": "acme"}
    assert labels(crew) == {}
