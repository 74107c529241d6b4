"""Recording that is switched on and off while other threads call their models breaks none of these calls."""

PROGRAM = """
import sys, threading, time, tc_core
from langchain_core.language_models.fake_chat_models import FakeListChatModel
sys.setswitchinterval(1e-5)
errors, made, end = [], 0, time.monotonic() + 6
def call():
    global made
    model = FakeListChatModel(responses=["hi"])
    while time.monotonic() < end:
        try: model.invoke("x"); made += 1
        except BaseException as error: errors.append(repr(error))
threads = [threading.Thread(target=call) for _ in range(2)]
[each.start() for each in threads]
turns = 0
from tc_langchain import instrument, uninstrument
tc_core.instrument("s.db", frameworks=["langchain"])
while time.monotonic() < end:
    {switch}
    turns += 1
[each.join() for each in threads]
assert not errors and made > 20 and turns > 2, (errors[:3], made, turns)
"""


def test_switching_all_on_and_off(run_python):
    run_python(PROGRAM.format(switch='instrument("s.db"); uninstrument()'))


def test_a_handler_that_is_taken_away_between_two_looks(run_python):
    run_python("""
import tc_core, tc_langchain.install as install
from langchain_core.language_models.fake_chat_models import FakeListChatModel
tc_core.instrument("s.db", frameworks=["langchain"])
class Once(type(install._switch)):
    looks = 0
    def get(self):
        self.looks += 1
        return self.handler if self.looks % 2 else None
install._switch.__class__ = Once
model = FakeListChatModel(responses=["hi"])
for _ in range(3): model.invoke("x")
assert tc_core.CostTracker("s.db").get_costs().total_calls == 3
""")
