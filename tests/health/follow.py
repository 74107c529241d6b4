"""Recording a conversation by hand, call by call, as an adapter would."""

import json

from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for


def segments(messages):
    """Return messages of OpenAI's API as the parts that an adapter hands over."""
    found = []
    for message in messages:
        if message["role"] == "tool":
            found.append(Segment("tool", "tool_result", message["content"]))
        elif message.get("content"):
            found.append(Segment(message["role"], "text", message["content"]))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            found.append(Segment("assistant", "tool_call", [function["name"], json.loads(function["arguments"])]))
    return found


def record(store, messages, *, model="gpt-4o", usage=None, **labels):
    """Record each assistant's message as a call whose prompt is all before it; return the ids of the calls."""
    recorder, ids = recorder_for(store), []
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            key = object()
            prompt = segments(messages[:place])
            ids.append(recorder.start("llm_call", key=key, model=model, content=prompt, labels=labels))
            recorder.finish(key, usage=None if usage is None else Usage(*usage), output=segments([message]))
    return ids
