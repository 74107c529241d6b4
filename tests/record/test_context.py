import asyncio
import threading

import pytest

from tc_core.record.context import bind_context, here, labels, session


def values():
    return dict(here().values)


def test_labels_hold_inside_and_nest():
    with labels(user_id="u", agent_id="a"):
        with labels(user_id="v"), session("s"):
            assert values() == {"user_id": "v", "agent_id": "a", "session_id": "s"}
        assert values() == {"user_id": "u", "agent_id": "a"}
    assert values() == {}


def test_labels_end_when_the_block_raises():
    with pytest.raises(KeyError), labels(user_id="u"):
        raise KeyError
    assert values() == {}


def test_one_block_object_can_be_entered_twice():
    block = labels(user_id="u")
    with block, block:
        assert values() == {"user_id": "u"}
    assert values() == {}


def test_as_a_decorator_of_a_function():
    @labels(user_id="u")
    def work(x, *, y):
        """Do it."""
        return values(), x, y

    assert work(1, y=2) == ({"user_id": "u"}, 1, 2)
    assert work.__doc__ == "Do it."
    assert values() == {}


async def test_as_a_decorator_of_a_coroutine_and_with_async_with():
    @labels(user_id="u")
    async def work():
        await asyncio.sleep(0)
        async with session("s"):
            return values()

    assert await work() == {"user_id": "u", "session_id": "s"}
    assert values() == {}


async def test_tasks_keep_to_their_own():
    async def work(name):
        with labels(user_id=name):
            await asyncio.sleep(0.01)
            return values()["user_id"]

    assert await asyncio.gather(*(work(str(n)) for n in range(20))) == [str(n) for n in range(20)]


def test_a_generator_is_covered_and_leaks_nothing():
    @labels(user_id="u")
    def count():
        received = []
        for number in range(3):
            received.append((yield number, values()))  # noqa: PERF401  # a comprehension cannot yield
        return received

    generator = count()
    assert next(generator) == (0, {"user_id": "u"})
    assert values() == {}
    assert generator.send("x") == (1, {"user_id": "u"})
    assert generator.send("y") == (2, {"user_id": "u"})
    with pytest.raises(StopIteration) as end:
        generator.send("z")
    assert end.value.value == ["x", "y", "z"]


def test_a_generator_sees_what_is_thrown_and_may_be_closed():
    seen = []

    @labels(user_id="u")
    def patient():
        try:
            yield 1
        except ValueError:
            seen.append(("thrown", values()))
        try:
            yield 2
        finally:
            seen.append(("closed", values()))

    generator = patient()
    assert next(generator) == 1
    assert generator.throw(ValueError) == 2
    generator.close()
    assert seen[0] == ("thrown", {"user_id": "u"})
    assert seen[1][0] == "closed"


async def test_an_async_generator_is_covered_and_leaks_nothing():
    @labels(user_id="u")
    async def count():
        for number in range(2):
            yield number, values()
            await asyncio.sleep(0)

    found = []
    async for item in count():
        found.append(item)  # the next line is what this is about
        assert values() == {}
    assert found == [(0, {"user_id": "u"}), (1, {"user_id": "u"})]


def test_a_plain_thread_starts_empty_and_a_bound_one_does_not():
    found = {}

    def work(name):
        found[name] = values()

    with labels(user_id="u"):
        plain = threading.Thread(target=work, args=("plain",))
        bound = [threading.Thread(target=bind_context(work), args=(n,)) for n in range(5)]
        shared = bind_context(work)
        bound += [threading.Thread(target=shared, args=(n,)) for n in range(5, 10)]
    for thread in [plain, *bound]:
        thread.start()
    for thread in [plain, *bound]:
        thread.join()
    assert found.pop("plain") == {}
    assert all(each == {"user_id": "u"} for each in found.values())


def test_one_object_in_several_threads_at_once_leaks_nothing():
    shared, inside, leave = labels(user_id="u"), threading.Barrier(2, timeout=10), threading.Event()
    after = []

    def first():
        with shared:
            inside.wait()
            leave.wait(10)
        after.append(dict(here().values))

    def second():
        with shared:
            inside.wait()
        after.append(dict(here().values))
        leave.set()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert after == [{}, {}]
