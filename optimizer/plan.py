"""The plan: how many distinct requests each phase may ask for.

The plan counts what is asked, cached or not, retries left out, so that a rerun or a resume takes the same decisions
as the first run. The budget in the gate counts what is really sent, and is the hard stop.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.errors import BudgetExceeded
from optimizer.outcome import Phase

ATTRIBUTION_SHARE = 0.25
"""Part of what the test leaves over that is reserved for pricing lines."""
DEFAULT_CALLS_PER_ROW = 6
"""Without a budget, the plan is this many requests a row of the eval set, and at least MIN_CALLS."""
MIN_CALLS = 600


@dataclass(slots=True)
class Plan:
    """Requests that each phase may ask for, and has asked for."""

    limits: dict[Phase, int]
    """Most requests a phase."""
    asked: dict[Phase, set[str]] = field(default_factory=lambda: {phase: set() for phase in Phase})
    """Keys of what was asked, by the phase that asked first."""
    kept: int = 0
    """Requests within attribution's limit that `left` does not offer: the check of the protected rows at the end."""

    def left(self, phase: Phase) -> int:
        """Requests that a phase may still ask for."""
        kept = self.kept if phase is Phase.ATTRIBUTION else 0
        return max(self.limits[phase] - kept - len(self.asked[phase]), 0)

    def fresh(self, keys: set[str]) -> set[str]:
        """Those keys that no phase has asked for yet: what asking for all of them would cost."""
        return keys.difference(*self.asked.values())

    def take(self, phase: Phase, keys: set[str]) -> None:
        """Count requests; those asked before are free. Overdrawing is a bug of the caller: check `left` before."""
        self.asked[phase] |= self.fresh(keys)


def plan_for(*, calls: int | None, train: int, val: int, test: int, protected: int = 0, repeats: int = 1) -> Plan:
    """Share out a budget of calls.

    The test takes 2 x test rows first, and the check of the winner on the protected rows of train and val one each; a
    quarter of the rest is reserved for attribution; the remainder is the search's limit, baseline and mutator
    included. The check is counted as attribution. Every row takes `repeats` requests. Raises BudgetExceeded where that
    cannot buy the baseline and one proposal, with the number that would do.
    """
    total = max(MIN_CALLS, DEFAULT_CALLS_PER_ROW * repeats * (train + val + test)) if calls is None else calls
    kept = repeats * protected
    first = 2 * repeats * test + kept
    rest = total - first
    attribution = int(max(rest, 0) * ATTRIBUTION_SHARE)
    search = rest - attribution
    needed_search = repeats * (train + val) + 1
    if search < needed_search:
        needed = first + _rest_for(needed_search)
        check = f", {protected} protected rows" if protected else ""
        each = f", each row asked {repeats} times" if repeats > 1 else ""
        raise BudgetExceeded(
            f"budget of {total} calls cannot buy the baseline ({train} train + {val} val rows), one proposal{check} "
            f"and the test (2 x {test} rows){each}; set budget.calls to {needed} or more, or use fewer rows"
        )
    limits = {Phase.SEARCH: search, Phase.TEST: 2 * repeats * test, Phase.ATTRIBUTION: attribution + kept}
    return Plan(limits=limits, kept=kept)


def _rest_for(search: int) -> int:
    rest = search
    while rest - int(rest * ATTRIBUTION_SHARE) < search:
        rest += 1
    return rest
