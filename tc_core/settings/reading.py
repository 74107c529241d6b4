"""Reading the settings: when, and from where the program is or was."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tc_core.errors import ConfigurationError
from tc_core.foreign import let_pass
from tc_core.settings import file
from tc_core.settings.parts import Settings
from tc_core.settings.variables import PREFIX, environment, lay_over


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where the settings were read, and what they said."""

    folder: Path | None
    """The working directory of that time, None where it was gone."""
    wanted: str | None
    """What TOKEN_CALC_CONFIG said."""
    file: Path | None
    settings: Settings
    is_fixed: bool = False


_reading: _Reading | None = None


def load() -> Settings:
    """Return what environment and file say, or what they said when `fix` was called.

    The file is what TOKEN_CALC_CONFIG names, else `token_calculator.yaml` in the working directory, else in the
    user's configuration directory; the first reading chooses it. Raises ConfigurationError that names variable or file,
    key and value.
    """
    global _reading
    known = _reading
    if known is not None and known.is_fixed:
        return known.settings
    found = _read_again(known)
    if _reading is known:  # else another thread has fixed them meanwhile
        _reading = found
    return found.settings


def fix() -> None:
    """Read the settings anew, from where the program is now, and have them hold until `forget` or `fix` is called."""
    global _reading
    _reading = replace(_read_again(None), is_fixed=True)


def forget() -> None:
    """Have the next reading be the first one."""
    global _reading
    _reading = None
    _load.cache_clear()


def absolute(path: str | Path) -> Path:
    """Return a path of the settings, with `~` and what is relative made whole by where they were read.

    Raises ConfigurationError where that cannot be: without a home, or in a folder that was gone.
    """
    found = _known_place(path)
    if found is None:
        raise ConfigurationError(f"{path}: there is no home or working directory to begin from: name the whole path")
    return found


def user_folder(find: Callable[..., Path], name: str) -> Path | None:
    """Return a folder of the user's that platformdirs finds, as an absolute path; None for a user without a home."""
    try:
        return _known_place(find(name, appauthor=False))
    except RuntimeError:
        return None


def _known_place(path: str | Path) -> Path | None:
    if not Path(path).is_absolute():
        load()
    return file.whole(path, None if _reading is None else _reading.folder)


def _read_again(known: _Reading | None) -> _Reading:
    """Read the settings where they were read before, else from where the program is."""
    said = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(PREFIX)))
    wanted = dict(said).get("TOKEN_CALC_CONFIG")
    folder = _working_directory() if known is None else known.folder
    path = known.file if known is not None and known.wanted == wanted else file.find(wanted, folder)
    try:
        changed_ns = None if path is None else path.stat().st_mtime_ns
    except OSError as error:
        let_pass(error)
        if known is None or known.file != path:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
        return known  # a file that has gone said what it said
    return _Reading(folder, wanted, path, _load(said, path, changed_ns))


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError as error:
        let_pass(error)
        return None


@lru_cache(maxsize=16)
def _load(_said: tuple[tuple[str, str], ...], path: Path | None, _changed_ns: int | None) -> Settings:
    values = {} if path is None else file.read(path)
    lay_over(values, environment())
    return Settings.model_validate(values)
