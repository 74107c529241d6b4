"""The methods there are, and which is the better one: that which would have been, in back-tests of this history."""

import warnings
from functools import cache
from importlib.util import find_spec

import numpy as np

from tc_core.costs.forecasts import members
from tc_core.costs.forecasts.predict import Paths, Prediction, backtests, predict
from tc_core.costs.weekdays import Floats

WEIGHTED, TREND, THETA = "weighted means and trend", "trend", "theta"

METHODS = ("auto", WEIGHTED, TREND, THETA)

_COMPARED = 8
"""So many back-tests decide at most."""

_LEAST = 6
_NOTHING = 1e-9
_BETTER = 0.85
"""Only a method whose error is below this share of the default's takes its place."""


def choose(history: Floats, days: int, *, skip: int = 0, method: str = "auto") -> tuple[str, Prediction]:
    """Forecast by a method, or by the one that did best; return which, and what it says."""
    if method == "auto":
        method = _best(history, days)
    return method, predict(history, days, skip=skip, method=_PATHS.get(method))


def check(method: str) -> None:
    """Raise ValueError for an unknown method, ImportError for one whose library is not installed."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if method == THETA and not has_statsmodels():
        raise ImportError(f"method {method!r} needs statsmodels: pip install 'token-calculator-suite[forecast]'")


@cache
def has_statsmodels() -> bool:
    """Tell whether statsmodels is installed."""
    return find_spec("statsmodels") is not None


def theta(history: Floats, days: int) -> Floats:
    """Return what statsmodels' theta method expects, without any weekday in it."""
    from statsmodels.tsa.forecasting.theta import ThetaModel

    if len(history) < 14 or not history[-56:].any():
        return np.full(days, members.per_day(history, 28))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ThetaModel(history[-364:], period=7, deseasonalize=False).fit().forecast(days)
    return np.asarray(np.maximum(np.asarray(found, float), 0.0))


_PATHS: dict[str, Paths] = {TREND: members.trend, THETA: theta}


def _best(history: Floats, days: int) -> str:
    best, least = WEIGHTED, _BETTER
    others = [TREND, *([THETA] if has_statsmodels() else [])]
    default = backtests(history, days, _default, most=_COMPARED)
    if len(default.came) < _LEAST:
        return best
    error = float(np.abs(default.said[:, 0] - default.came).sum())
    if error <= _NOTHING * float(np.abs(default.came).sum()):
        return best  # it was right each time: what is left are the last digits of numbers
    for name in others:
        tests = backtests(history, days, _PATHS[name], most=_COMPARED)
        ratio = float(np.abs(tests.said[:, 0] - tests.came).sum()) / error if error else 1.0
        if ratio < least:
            best, least = name, ratio
    return best


def _default(history: Floats, days: int) -> Floats:
    return predict(history, days).path
