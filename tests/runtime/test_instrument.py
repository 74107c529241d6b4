"""`instrument()`: frameworks are hooked when the program imports them, and not before."""

SETUP = """
import sys, tc_core
from tc_core.record.guard import faults
tc_core.instrument("s.db")
frameworks = {"crewai", "langchain_core", "llama_index_instrumentation"} & set(sys.modules)
assert not frameworks, frameworks
"""
CALL = """
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
GenericFakeChatModel(messages=iter([AIMessage("hi", usage_metadata=usage)])).invoke("hello")
print(tc_core.CostTracker("s.db").get_costs().input_tokens, dict(faults.counts))
"""


def test_no_framework_is_imported_before_the_program_does_and_then_it_is_recorded(run_python):
    assert run_python(SETUP + CALL).strip() == "3 {}"


def test_instrumenting_again_before_the_import_records_once(run_python):
    assert run_python(SETUP + "tc_core.instrument('s.db')" + CALL).strip() == "3 {}"


def test_after_uninstrument_a_later_import_is_not_hooked(run_python):
    assert run_python(SETUP + "tc_core.uninstrument()" + CALL).strip() == "0 {}"


def test_a_fault_of_an_adapter_does_not_stop_the_import_of_its_framework(run_python):
    said = run_python(SETUP + "sys.modules['tc_langchain.install'] = None" + CALL).strip()
    assert said == "0 {'tc_langchain.instrument: ModuleNotFoundError': 1}"


STATES = """
from tc_core.runtime.instrument import framework_states
print({each.name: (each.state, each.detail) for each in framework_states()}["langchain"])
"""


def test_the_state_of_a_framework_is_told_before_and_after_its_import(run_python):
    told = run_python(SETUP + STATES + CALL + STATES + "tc_core.uninstrument()" + STATES).splitlines()
    assert told[0] == "('not imported', 'hooked when langchain_core is imported')"
    assert (told[2], told[3]) == ("('hooked', '')", "('not hooked', 'not asked for')")


def test_a_framework_that_cannot_be_hooked_is_told_with_its_error_and_costs_no_other_one(run_python):
    program = """
import sys
import langchain_core, llama_index_instrumentation, tc_core
from tc_core.runtime.instrument import framework_states
sys.modules["langchain_core.callbacks"] = None
hooked = tc_core.instrument("s.db")
print({each.name: (each.state, each.detail[:30]) for each in framework_states()})
print(hooked)
tc_core.uninstrument()
"""
    states, hooked = run_python(program).splitlines()
    assert "'langchain': ('failed', 'ModuleNotFoundError: " in states
    assert "'llamaindex': ('hooked', '')" in states
    assert ("langchain" in hooked, "llamaindex" in hooked) == (False, True)
