"""What is wrong with a setting, and what would be right, in one sentence."""

from collections.abc import Iterable

from pydantic_core import ErrorDetails


def explained(problem: ErrorDetails, name: str, known_keys: Iterable[str]) -> str:
    """Say what is wrong with a value, and what would be right; values that may be secret are not shown."""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key {name!r}, known here are {', '.join(sorted(known_keys))}"
    if kind == "missing":
        return f"{name} is missing"
    said = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{name}: {said}"
    wanted = next((words for prefix, words in _WANTED.items() if kind.startswith(prefix)), None)
    wanted = wanted or said.removeprefix("Input should be ").removeprefix("Decimal input should be ")
    is_secret = any(word in name.lower() for word in ("password", "secret", "key", "url", "apprise"))
    return f"{name} must be {wanted}" + ("" if is_secret else f", not {short(problem['input'])}")


_WANTED = {
    "int_": "a whole number",
    "float_": "a number",
    "decimal_": "a number",
    "bool_": "true or false",
    "string_pattern": "a function as module:name",
    "string_too_short": "a text that is not empty",
    "string_": "a text",
    "tuple_": "a list",
    "model_": "names and values",
    "dict_": "names and values",
    "path_": "a path",
}
"""What a value must be, by how the type of pydantic's error begins."""


def short(value: object) -> str:
    """Write a value, the beginning of a long one."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
