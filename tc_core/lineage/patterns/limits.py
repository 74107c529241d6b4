"""From when on a detector speaks."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternLimits:
    """From when on something is a finding. Raises ValueError for a limit below zero.

    A duplicate is one within `duplicate_window_s` seconds of the last. A retry storm has `retry_count` failures within
    `retry_window_s` seconds that are at least `retry_rate` of what was tried. An agent loop has `loop_count` times the
    same call of a tool with the same result; `loop_pause_s` seconds between them make it polling. A run stands out
    against at least `least_runs` earlier ones of its workflow, a call against `least_calls`, by `deviations` robust
    standard deviations and `least_factor` times what is usual.
    """

    duplicate_window_s: float = 3600.0
    near_duplicate_window_s: float = 3600.0
    retry_count: int = 3
    retry_window_s: float = 600.0
    retry_rate: float = 0.5
    loop_count: int = 3
    loop_pause_s: float = 1.0
    alternation_rounds: int = 3
    least_runs: int = 8
    least_calls: int = 20
    deviations: float = 6.0
    least_factor: float = 2.0
    least_depth: int = 5
    least_fan_out: int = 10
    history: int = 200

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"{each.name} must be a number from 0 on, not {value!r}")
