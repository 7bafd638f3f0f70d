"""Lines that only work together: each one's rows are lost without it, and they are the same rows.

Two such lines are told as one, since what they are worth would count twice. Where the rows come back once both are
left out, the one only mended what the other broke, and that is no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from optimizer.attribute.asking import Desk
from optimizer.attribute.posterior import OWN, Pool
from optimizer.attribute.removal import Removal
from optimizer.attribute.survey import Survey
from optimizer.prompt import Prompt
from optimizer.stats import EPSILON

SHARED_ROWS = 2
"""Rows that two lines must both be needed on."""
BOTH = 0.6
"""Part of the rows that one of two is needed on, of those asked for both, that the other must be needed on too."""
TRIED = 3
"""Rows that are asked with neither."""


async def pairs(desk: Desk, survey: Survey, whole: Prompt, removals: Sequence[Removal], pool: Pool) -> dict[str, str]:
    """Line -> the line that it only works together with."""
    found: dict[str, str] = {}
    earning = [one for one in removals if one.posterior(pool).label == "earns"]
    for one, other in combinations(earning, 2):
        first, second = one.lines[0], other.lines[0]
        if first in found or second in found or not survey.overlap(first, [second]):
            continue
        if len(_needed_by_both(one, other)) < SHARED_ROWS:
            continue
        await desk.look_again([one, other])
        rows = _needed_by_both(one, other)
        if len(rows) >= SHARED_ROWS and await _are_lost(desk, survey.removal(whole, (first, second)), rows):
            found |= {first: second, second: first}
    return found


def _needed_by_both(one: Removal, other: Removal) -> list[str]:
    """Rows that are lost without either; none where each is needed on rows of its own."""
    asked = one.seen.keys() & other.seen.keys()
    first, second = ({key for key in asked if each.seen[key].value > EPSILON} for each in (one, other))
    both = first & second
    return sorted(both) if both and len(both) >= BOTH * len(first | second) else []


async def _are_lost(desk: Desk, both: Removal, wanted: Sequence[str]) -> bool:
    rows = [row for row in both.open(*OWN) if row.id in wanted][:TRIED]
    chosen = desk.affordable([(both, rows)]) if rows else []
    await desk.look(chosen)
    await desk.look_again([removal for removal, _ in chosen])
    seen = [both.seen[key].value for key in wanted if key in both.seen]
    return sum(value > EPSILON for value in seen) * 2 > len(seen)
