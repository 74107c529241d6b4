"""What can be set from outside: environment variables, and the file `token_calculator.yaml`.

An argument in the program beats the environment, which beats the file.

A program may go anywhere: the first reading fixes the folder from which relative paths are meant, and which file is
read. After `instrument()` nothing that a setting says changes any more, until that is called again.
"""

from tc_core.settings.explaining import explained
from tc_core.settings.file import FILE_NAME
from tc_core.settings.parts import (
    DEFAULT_STORE,
    MOST_DAYS,
    AlertRule,
    Alerts,
    Budget,
    Days,
    Filters,
    KnownModel,
    Policy,
    PostgreSQL,
    Selection,
    Settings,
    Severity,
    Smtp,
    Storage,
    Text,
    Tracking,
)
from tc_core.settings.reading import absolute, fix, forget, load, user_folder
from tc_core.settings.variables import BACKENDS, OTHER_VARIABLES, PREFIX, VARIABLES, Environment, unknown_variables

__all__ = (
    "BACKENDS",
    "DEFAULT_STORE",
    "FILE_NAME",
    "MOST_DAYS",
    "OTHER_VARIABLES",
    "PREFIX",
    "VARIABLES",
    "AlertRule",
    "Alerts",
    "Budget",
    "Days",
    "Environment",
    "Filters",
    "KnownModel",
    "Policy",
    "PostgreSQL",
    "Selection",
    "Settings",
    "Severity",
    "Smtp",
    "Storage",
    "Text",
    "Tracking",
    "absolute",
    "explained",
    "fix",
    "forget",
    "load",
    "unknown_variables",
    "user_folder",
)
