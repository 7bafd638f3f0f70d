"""Whether lines act where they were not made to: one request clears a row for many lines.

A row is asked with all lines left out but those whose cluster it is of. Where its outcome stays, none of the others
matters there (group screening: Dorfman 1943; Watson 1961). Where it changes, and changes again, the lines are halved
until the one is found that does it, and its own leave-one-out is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.attribute.asking import Desk
from optimizer.attribute.posterior import FAILED, NAMED, OTHERS, Seen
from optimizer.attribute.pricing import is_settled, is_settled_by, pool_of
from optimizer.attribute.removal import Removal
from optimizer.attribute.survey import Survey
from optimizer.dataset import Example
from optimizer.prompt import Prompt
from optimizer.stats import EPSILON

BLOCK = 12
"""Rows that are asked at a time."""
NAMED_ROWS = 3
"""Rows of each line that are asked at a time, of those whose value it names."""
SEARCHES = 4
"""Rows that move for no line that names their value, for which all lines are halved to find the one that does it."""
MOST = 72
"""Rows of the others from which more would change little."""


@dataclass(kw_only=True, slots=True)
class Screening:
    """Asks rows with many lines left out at once."""

    desk: Desk
    """Where rows are asked for."""
    survey: Survey
    """The lines, and the rows that they touch."""
    whole: Prompt
    """The prompt that holds the lines."""
    found: Sequence[Removal]
    """Each line alone."""
    searches: int = SEARCHES
    """Rows for which the line that moves them is still looked for among all."""

    async def named(self) -> None:
        """Rows whose value a line names, those that fail first: a line that reaches too far is seen there."""
        for stratum in (FAILED, NAMED):
            while True:
                pool = pool_of(self.desk)
                rows: dict[str, Example] = {}
                for removal in self.found:
                    if not is_settled_by(removal, pool, stratum):
                        rows |= {row.id: row for row in removal.open(stratum)[:NAMED_ROWS]}
                if not rows or not await self._ask(list(rows.values())):
                    break

    async def others(self, least: int, most: int = MOST) -> None:
        """Rows of the rest in blocks: so many at least, then until signs are settled, or the reserve is used."""
        while wanting := [removal for removal in self.found if removal.open(OTHERS)]:
            asked = min(sum(row.id in one.asked for row in one.rows(OTHERS)) for one in wanting)
            pool = pool_of(self.desk)
            if asked >= most or (asked >= least and all(is_settled(one.posterior(pool)) for one in self.found)):
                return
            wanted = {row.id for removal in wanting for row in removal.open(OTHERS)}
            block = min(BLOCK, least - asked) if asked < least else BLOCK
            if not await self._ask([row for row in self.survey.ground.rows if row.id in wanted][:block]):
                return

    async def _ask(self, rows: Sequence[Example]) -> bool:
        """Ask rows, each with all lines left out that it may judge; whether the reserve reached for all."""
        wanted = []
        for row in rows:
            lines = [removal.lines[0] for removal in self.found if row in removal.open(FAILED, NAMED, OTHERS)]
            wanted += [(self.survey.removal(self.whole, lines), [row])] if lines else []
        chosen = self.desk.affordable(wanted)
        await self.desk.look_well(chosen)
        await self.desk.look_again([removal for removal, _ in chosen], [row.id for row in rows])
        named = {row.id: self._named(removal, row) for removal, (row,) in chosen}
        await self._alone([(one, row) for _, (row,) in chosen for one in named[row.id]])
        for removal, (row,) in chosen:
            await self._assign(removal, row, named[row.id])
        return len(chosen) == len(wanted)

    def _named(self, group: Removal, row: Example) -> list[Removal]:
        """The lines that are asked by themselves where they move a row together.

        Several may be needed on a row whose value they name, and so may each that moved a row of the rest before.
        Else its further rows, once no search is left, would count as not asked.
        """
        seen = group.seen.get(row.id)
        if seen is None or abs(seen.value) <= EPSILON:
            return []
        lines = [one for one in self.found if one.lines[0] in group.lines]
        return [one for one in lines if row in one.open(FAILED, NAMED) or _reaches(one)]

    async def _alone(self, wanted: Sequence[tuple[Removal, Example]]) -> None:
        """Ask rows with one line left out, all side by side: they wait for each other only."""
        await self.desk.look_well(
            self.desk.affordable([(one, [row]) for one, row in wanted if row.id not in one.asked])
        )
        await self.desk.look_again(list({id(one): one for one, _ in wanted}.values()), {row.id for _, row in wanted})

    async def _assign(self, group: Removal, row: Example, named: Sequence[Removal]) -> None:
        """Clear the lines of a row, but for those that move it; where none is found, nothing is known of any."""
        lines = [one for one in self.found if one.lines[0] in group.lines]
        seen = group.seen.get(row.id)
        if seen is None:
            # An error tells nothing of a line, and the row is not asked again.
            for alone in lines:
                alone.asked.add(row.id)
            return
        moved = abs(seen.value) > EPSILON
        named = [one for one in lines if one in named or (moved and _reaches(one))]
        guilty = [one for one in named if await self._moves(one, row)]
        if moved and not guilty and len(named) < len(lines):
            guilty = await self._among([one for one in lines if one not in named], seen.value, row)
        for alone in lines:
            if row.id not in alone.asked:
                alone.asked.add(row.id)
                if guilty or not moved:
                    raw = 0.0 if moved else seen.raw
                    beside = 0.0 if alone.counts(row) else None
                    alone.seen[row.id] = Seen(raw=raw, value=0.0, beside=beside, again=seen.again)

    async def _among(self, lines: Sequence[Removal], value: float, row: Example) -> list[Removal]:
        """The line of many that moves a row, by halves; none where it takes several, or the reserve ends."""
        if self.searches <= 0:
            return []
        self.searches -= 1
        while len(lines) > 1:
            half, rest = lines[: len(lines) // 2], lines[len(lines) // 2 :]
            together = self.survey.removal(self.whole, [one.lines[0] for one in half])
            if not await self._reached(together, row):
                return []
            seen = together.seen.get(row.id)
            if seen is None:
                return []
            lines = half if seen.raw * value > 0 else rest
        return [one for one in lines if await self._moves(one, row)]

    async def _moves(self, alone: Removal, row: Example) -> bool:
        if not await self._reached(alone, row):
            return False
        await self.desk.look_again([alone], [row.id])
        seen = alone.seen.get(row.id)
        return seen is not None and abs(seen.value) > EPSILON

    async def _reached(self, removal: Removal, row: Example) -> bool:
        if row.id not in removal.asked:
            chosen = self.desk.affordable([(removal, [row])])
            if not chosen:
                return False
            await self.desk.look(chosen)
        return True


def _reaches(alone: Removal) -> bool:
    """Whether a line moved a row of the rest."""
    return any(abs(alone.seen[row.id].value) > EPSILON for row in alone.rows(OTHERS) if row.id in alone.seen)
