"""Who has begun to spend: of a new spender nothing can be expected, so it is told by itself, and once."""

import numpy as np

from tc_core.costs.anomalies.windows import Bools, Places, median
from tc_core.costs.weekdays import Floats

_YOUNG_DAYS = 7
"""So old a spender is new at most."""

SETTLED_DAYS = 14
"""So old a store must be before anybody in it is new."""

_TYPICAL_DAYS = 14


def new_spenders(costs: Floats, begins: Places, settled: int, *, per_day: int) -> Bools:
    """Tell in which bucket a spender is new: the first in which it costs as much as others typically do.

    `begins` has for each bucket where its history begins; nobody is new who began before the bucket `settled`.
    """
    count = costs.shape[1]
    places = np.arange(count)
    is_young = (places - begins < _YOUNG_DAYS * per_day) & (begins >= settled)
    spent = np.where(costs > 0, costs, np.nan)
    typical = np.full(count, np.inf)
    for place in np.flatnonzero((is_young & (costs > 0)).any(0)):
        before = spent[:, max(0, place - _TYPICAL_DAYS * per_day) : place]
        of_each = median(before)
        if np.isfinite(of_each).any():
            typical[place] = float(median(of_each[None, :])[0])
    is_material = is_young & (np.nan_to_num(costs) >= typical) & (costs > 0)
    seen = np.cumsum(is_material, 1)
    earlier = np.concatenate([np.zeros((len(costs), 1), int), seen[:, :-1]], 1)
    at_begin = np.take_along_axis(earlier, begins, 1)
    return np.asarray(is_material & (earlier == at_begin))
