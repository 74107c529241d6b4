"""Cache breaks: calls that were billed for a front which the provider's cache should have had, and why.

What was billed as cached is held against what the call before it in the same conversation left in the cache, by the
provider's rules (`tc_core.meter.cache_rules`). Fewer cached tokens than last time are no break by themselves: another
conversation has another front, and a cache that never hit has not broken.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tc_core.ledger.prompts import Prompt, shared
from tc_core.lineage.patterns.cache_causes import ADVICE, SAID, Cause, compare, goes_on
from tc_core.lineage.patterns.cache_cost import cost_of_miss
from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen
from tc_core.meter.cache_rules import CacheRule, rule_for
from tc_core.record.reports import CACHE_REASON

MOST_PAST = 16
"""So many calls of a conversation are looked at for the one that a call goes on from."""
MOST_SCOPES = 2_000

LEAST_LOST = 256
LEAST_LOST_SHARE = 0.1
HIT = 0.5
"""From so much of what was expected on it is a hit."""
COLD_AFTER = 2
"""After so many misses without a cause, and no hit, a cache is taken for one that does not work here."""


class _Past(NamedTuple):
    seen: Seen
    prompt: Prompt
    line: "_Line"


class _Line:
    """What one conversation has shown of its cache."""

    def __init__(self) -> None:
        self.hits = self.unexplained = 0
        self.writes = False
        self.is_kept_an_hour = False

    @property
    def is_cold(self) -> bool:
        return not self.hits and self.unexplained >= COLD_AFTER


class CacheBreaks:
    """Holds the last calls of each conversation."""

    def __init__(self, _limits: PatternLimits) -> None:
        self._past: Recent[str, deque[_Past]] = Recent(MOST_SCOPES)
        self._found: Recent[tuple[str, str | None, Cause], Finding] = Recent()

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        event = seen.event
        if seen.prompt is None or not seen.is_ok or not event.input_tokens or event.usage_source != "provider":
            return
        rule = rule_for(event.served_model or event.model, event.provider)
        past = self._past.get(seen.scope) or self._past.set(seen.scope, deque(maxlen=MOST_PAST))
        before = _before(seen, seen.prompt, past)
        line = _Line() if before is None else before.line
        line.writes |= bool(event.cache_write_tokens or event.cached_tokens)
        line.is_kept_an_hour |= bool(event.cache_write_1h_tokens)
        past.append(_Past(seen, seen.prompt, line))
        if before is None or rule is None:
            return
        miss = _judge(seen, seen.prompt, before, past, rule)
        if miss is not None:
            yield self._add(seen, before.seen, rule, *miss)

    def _add(self, seen: Seen, before: Seen, rule: CacheRule, cause: Cause, lost: int) -> Finding:
        key = (seen.scope, seen.event.agent_id, cause)
        finding = self._found.get(key)
        if finding is None:
            finding = self._found.set(key, Finding("cache_break", ADVICE[cause]))
            finding.evidence |= {
                "cause": cause,
                "because": SAID[cause],
                "model": seen.event.model,
                "agent": seen.event.agent_id,
                "after": before.event.event_id,
                "lost_tokens": 0,
                "rule_of": rule.read_on.isoformat(),
                "provider_says": {},
            }
        finding.waste(seen, 0 if cause == "below_minimum" else cost_of_miss(seen.event, lost))
        finding.evidence["lost_tokens"] += lost
        reason = seen.event.metadata.get(CACHE_REASON)
        if isinstance(reason, str):
            said = finding.evidence["provider_says"]
            said[reason] = said.get(reason, 0) + 1
        return finding


def _before(seen: Seen, prompt: Prompt, past: Sequence[_Past]) -> _Past | None:
    """Return the latest call that a call goes on from: what it left in the cache is what can be expected."""
    ended = (each for each in reversed(past) if seen.is_after(each.seen))
    return next((each for each in ended if goes_on(each.prompt, prompt)), None)


def _judge(
    seen: Seen, prompt: Prompt, before: _Past, past: Sequence[_Past], rule: CacheRule
) -> tuple[Cause, int] | None:
    """Return why a call missed its cache, and how many tokens that lost; None where it did not, or nobody knows."""
    event, line = seen.event, before.line
    left = _left_in_cache(before.seen, rule)
    change = compare(before.prompt, prompt)
    input_tokens, cached = event.input_tokens or 0, event.cached_tokens or 0
    scale = input_tokens / prompt.weight
    if change.cause is not None:
        left = min(left, round(change.kept * scale))
    expected = min(left, input_tokens) // rule.step_tokens * rule.step_tokens
    lost = expected - cached
    is_hit = expected > 0 and cached >= HIT * expected
    line.hits += is_hit
    if expected < rule.least_tokens:
        is_shorter = input_tokens < rule.least_tokens <= left and before.seen.event.cached_tokens
        return ("below_minimum", lost) if is_shorter and lost >= LEAST_LOST else None
    if lost < max(LEAST_LOST, LEAST_LOST_SHARE * expected):
        return None
    cause = _cause(seen, before, change.cause, past, rule)
    if cause is None:
        line.unexplained += not is_hit
        is_broken = line.hits > 0 and not is_hit and rule.is_promised
        return ("none_on_our_side", lost) if is_broken else None
    is_known_to_work = rule.is_promised and not line.is_cold if cause != "expiry" else line.hits > 0
    return (cause, lost) if is_known_to_work or line.hits else None


def _left_in_cache(before: Seen, rule: CacheRule) -> int:
    """Return how much of a call's prompt the provider has kept: all of it, or what it was told to."""
    event = before.event
    if rule.is_marked:
        return (event.cached_tokens or 0) + (event.cache_write_tokens or 0)
    return event.input_tokens or 0


def _cause(seen: Seen, before: _Past, changed: Cause | None, past: Sequence[_Past], rule: CacheRule) -> Cause | None:
    """Return the first cause there is, None where there is none on our side."""
    event, earlier = seen.event, before.seen.event
    if (event.served_model or event.model) != (earlier.served_model or earlier.model) and event.model != earlier.model:
        return "model"
    if event.service_tier != earlier.service_tier:
        return "tier"
    if changed is not None:
        return changed
    kept_s = 3600 if before.line.is_kept_an_hour and rule.is_marked else rule.kept_s
    return "expiry" if kept_s is not None and _pause_s(seen, before, past) > kept_s else None


def _pause_s(seen: Seen, before: _Past, past: Sequence[_Past]) -> float:
    """Return how long ago the front that two calls share was sent last."""
    used = [
        each.seen.start_us
        for each in past
        if each.seen is not seen
        and each.seen.event.model == seen.event.model
        and (common := shared(each.prompt.end, before.prompt.end)) is not None
        and common.id == before.prompt.end.id
    ]
    return (seen.start_us - max(used, default=before.seen.start_us)) / 1_000_000
