"""The settings file: where it is, and what it says."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tc_core.errors import ConfigurationError
from tc_core.foreign import let_pass
from tc_core.settings.explaining import explained, short
from tc_core.settings.parts import Settings

FILE_NAME = "token_calculator.yaml"


def find(wanted: str | None, start: Path | None) -> Path | None:
    """Return the file: the one that is wanted, else that of a folder, else the user's; None where there is none."""
    if wanted:
        path = whole(wanted, start)
        if path is None or not os.path.isfile(path):  # noqa: PTH113  # also where we may not look
            raise ConfigurationError(f"TOKEN_CALC_CONFIG: there is no file {path or wanted}")
        return path
    folders = [start]
    with suppress(RuntimeError):  # a user without a home
        folders.append(whole(user_config_path("token_calculator", appauthor=False), start))
    paths = (folder / FILE_NAME for folder in folders if folder is not None)
    return next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113  # the same


def whole(path: str | Path, start: Path | None) -> Path | None:
    """Return a path that does not depend on where the program is; None without the home or the folder it needs."""
    try:
        found = Path(path).expanduser()
    except RuntimeError:  # "~", and nobody knows this user's home
        return None
    if found.is_absolute():
        return found
    return None if start is None else start / found


def read(path: Path) -> dict[str, Any]:
    """Read a file, and raise ConfigurationError for what cannot be in it.

    Scalars stay the text that they are written as, so that a label `no` is not False.
    """
    import yaml  # most programs have no file

    try:
        values = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506  # makes nothing but text
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        let_pass(error)
        raise ConfigurationError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    values = {} if values in (None, "") else values
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold names and values, not {short(values)}")
    values = {key: value for key, value in values.items() if value != ""}  # a part of which all is commented out
    for keys in (("storage", "path"), ("prices",)):
        *above, last = keys
        part = _part(values, above)
        if part is not None and isinstance(part.get(last), str) and part[last]:
            part[last] = str(whole(part[last], path.parent) or part[last])
    values["source"] = str(path)
    problem = _first_problem(values)
    if problem is not None:
        name = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(f"{path}: {explained(problem, name, _known_keys(problem['loc']))}")
    return values


def _part(values: dict[str, Any], keys: list[str]) -> dict[str, Any] | None:
    part: Any = values
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else None


def _first_problem(values: Mapping[str, Any]) -> ErrorDetails | None:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        problems = error.errors()
        return next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    return None


def _known_keys(place: tuple[int | str, ...]) -> Iterator[str]:
    """Yield the keys that the file may have beside an unknown one."""
    model: type[BaseModel] = Settings
    for step in place[:-1]:
        if isinstance(step, str):
            found = model.model_fields[step].annotation
            nested = getattr(found, "__args__", (found,))
            model = next(each for each in nested if isinstance(each, type) and issubclass(each, BaseModel))
    yield from (name for name in model.model_fields if name != "source")
