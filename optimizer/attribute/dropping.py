"""What does not earn is dropped, and the drop is verified on the rows that would show it to be wrong.

Lines that touch no rows in common are left out together: each row then tells of one line, so that those that are
missed stay and the rest goes at once. Lines that touch the same rows may stand in for each other, and are tried one
after another: of several that do the same, one stays. At last val is asked whether anything is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute.asking import Desk
from optimizer.attribute.posterior import OTHERS, Pool, Seen
from optimizer.attribute.removal import Removal
from optimizer.attribute.survey import SEED, Survey
from optimizer.dataset import Example
from optimizer.prompt import Prompt
from optimizer.stats import EPSILON

KEEP = 0.7
"""A changed line stays where the probability that it earns is at least this."""
MISSED = 0.9
"""A dropped line comes back where the check alone says so with this probability."""
HURTS = 0.25
"""A line hurts where that probability is at most this: it goes first, and a line of the seed goes for nothing less."""
NEW_ROWS = 4
"""Rows of each line's own that a drop is verified on: such as were not asked before, first of all."""
STAND_IN_ROWS = 3
"""Rows that the line shares with each line that is gone."""
OTHER_ROWS = 8
"""Rows that no line of the group touches."""
CHECKED_OTHERS = 24
"""Val rows that no dropped line touches on which the last check is made as well."""
LOST_ROWS = 4
"""Rows that tell which line must come back."""


@dataclass(kw_only=True, slots=True)
class Dropping:
    """Drops doubtful lines from a prompt."""

    desk: Desk
    """Where rows are asked for."""
    survey: Survey
    """The lines, and the rows that may judge them."""
    whole: Prompt
    """The prompt that all that is left is held against: its answers are known best."""
    pool: Pool
    """What the lines tell of each other."""
    priced: dict[str, Removal]
    """Line -> what leaving it out showed."""
    gone: list[str] = field(default_factory=list)
    """Lines dropped so far."""
    stale: set[str] = field(default_factory=set)
    """Lines that were priced while another one was gone that came back."""

    @property
    def prompt(self) -> Prompt:
        """What is left."""
        return self.survey.without(self.whole, self.gone)

    async def drop(self, lines: Sequence[str]) -> None:
        """Drop those of the lines that the prompt can do without, as far as the reserve goes."""
        left = [line for line in lines if self.desk.fits(self.survey.without(self.whole, [line]))]
        while left:
            group: list[str] = []
            for line in left:
                if not self.survey.overlap(line, group):
                    group.append(line)
            left = [line for line in left if line not in group]
            if not await self._try(group):
                return

    async def _try(self, lines: Sequence[str]) -> bool:
        """Leave lines out together, and drop those that are not missed. False where the reserve ends."""
        removal = self.survey.removal(self.whole, lines, self.gone)
        if not self.desk.fits(self.survey.without(self.whole, [*self.gone, *lines])):
            return True
        chosen = self.desk.affordable([(removal, self._telling(removal))])
        if not chosen:
            return await self._fewer(lines)
        await self.desk.look(chosen)
        await self.desk.look_again([removal])
        for line in lines:
            self.priced[line] = self._told(removal, line)
        self.gone += [line for line in lines if self._may_go(removal, line)]
        return True

    def _may_go(self, removal: Removal, line: str) -> bool:
        """Whether a line does not earn, by rows that were asked to verify it; where all are errors nothing is."""
        asked = removal.asked & self.survey.own(line) or removal.asked
        if asked and not asked & removal.seen.keys():
            return False
        most = HURTS if self.survey.lines[line].change == SEED else KEEP
        return self.priced[line].posterior(self.pool).earns < most

    async def _fewer(self, lines: Sequence[str]) -> bool:
        """The reserve cannot verify so much: half of it, down to one line whose own price is the proof."""
        if len(lines) > 1:
            return await self._try(lines[: len(lines) // 2])
        if not self.gone and self.priced[lines[0]].whole.fingerprint == self.whole.fingerprint:
            self.gone.append(lines[0])
        return False

    def _telling(self, removal: Removal) -> list[Example]:
        """Rows of each line's own, such as were not asked before it first, then a few that none of them touches."""
        may = {row.id for stratum in removal.strata for row in stratum.rows}
        found: dict[str, Example] = {}
        for line in removal.lines:
            strata = self.survey.removal(self.whole, [line]).strata
            rows = [row for part in strata if part.name != OTHERS for row in part.rows if row.id in may]
            rows.sort(key=lambda row: row.id in self.priced[line].asked)
            chosen = rows[:NEW_ROWS]
            for other in self.gone:
                # What a line that is gone did, this one may do in its place.
                chosen += [row for row in rows if row.id in self.survey.own(other)][:STAND_IN_ROWS]
            found |= {row.id: row for row in chosen}
        rest = [row for row in removal.open(OTHERS) if row.id not in found][:OTHER_ROWS]
        return [*found.values(), *rest]

    def _told(self, removal: Removal, line: str) -> Removal:
        """What a group tells of one of its lines: its own rows, and those that no line of the group touches.

        Where the group as a whole moves a row that none of them touches, that tells nothing of one of them.
        """
        before = self.priced[line]
        own, theirs = self.survey.own(line), self.survey.own(*removal.lines)
        fresh = self._seen(removal, line, own)
        fresh |= {key: seen for key, seen in removal.seen.items() if key not in theirs and abs(seen.value) <= EPSILON}
        known = {} if self.gone and self.survey.overlap(line, self.gone) else before.seen
        return replace(
            _holding(before, {**known, **fresh}),
            whole=self.whole,
            part=self.survey.part(self.whole, [*self.gone, line]),
        )

    def _seen(self, removal: Removal, line: str, keys: frozenset[str]) -> dict[str, Seen]:
        """Some rows of a group as they are for one of its lines: on the metrics that it is about."""
        rows = self.desk.rows
        found: dict[str, Seen] = {}
        for key, seen in removal.seen.items():
            if key in keys:
                read = self.desk.read(removal, rows[key], seen.again, self.priced[line].counts(rows[key]))
                found |= {key: read} if read is not None else {}
        return found

    async def check(self) -> None:
        """Hold what is left against what was, on val; a line whose rows are lost comes back."""
        if not self.gone:
            return
        removal = self.survey.removal(self.whole, self.gone)
        touched = self.survey.own(*self.gone)
        rows = [row for row in self.desk.bench.val if row.id in touched]
        rows += [row for row in self.desk.bench.val if row.id not in touched][:CHECKED_OTHERS]
        while rows and not self.desk.affordable([(removal, rows)]):
            rows = rows[: len(rows) - max(len(rows) // 8, 1)]
        if not rows:
            return
        await self.desk.look([(removal, rows)])
        await self.desk.look_again([removal])
        for line in removal.lines:
            if line in self.gone and self._is_missed(removal, line):
                await self._restore(removal, line)

    def _is_missed(self, removal: Removal, line: str) -> bool:
        """Whether the check shows that a line earned: by itself for sure, or with what was known before.

        Rows that came back with another line tell nothing of it.
        """
        own = self.survey.own(line) - self.survey.own(*(one for one in removal.lines if one not in self.gone))
        before, seen = self.priced[line], self._seen(removal, line, own)
        if _holding(before, seen).posterior(self.pool).earns >= MISSED:
            return True
        return _holding(before, {**before.seen, **seen}).posterior(self.pool).earns >= KEEP

    async def _restore(self, removal: Removal, line: str) -> None:
        """Of the lines that touch the rows lost, the one comes back that wins most of them back; if any does."""
        own = self.survey.own(line)
        lost = [row for row in self.desk.bench.val if row.id in own and _is_up(removal, row)][:LOST_ROWS]
        rows = {row.id for row in lost}
        back = {one: self._back(one) for one in self.gone if rows & self.survey.own(one)}
        alike = [other for other, prompt in back.items() if self.desk.fits(prompt)]
        won: dict[str, int] = {}
        for other in sorted(alike, key=lambda one: len(self.survey.lines[one].text)):
            if self.desk.cost([(back[other], lost)]) > self.desk.left:
                break
            await self.desk.ask([(back[other], f"with {other} again", lost)], self.whole)
            won[other] = sum(self._is_won(back[other], removal.part, row) for row in lost)
            if won[other] == len(lost):
                break
        best = max(won, key=lambda other: won[other], default=line)
        if not won.get(best) and line in alike and line not in won:
            # The reserve ended before it was known which one: nothing that is missed goes.
            best, won[line] = line, len(lost)
        if won.get(best):
            # Chosen for the rows that it won back, it must be priced on its own again.
            self.gone.remove(best)
            kept = [one for one in self.priced if one not in self.gone]
            self.stale |= {one for one in kept if one == best or self.survey.overlap(one, [best])}

    def _back(self, line: str) -> Prompt:
        """What is left, with a line that went."""
        return self.survey.without(self.whole, [one for one in self.gone if one != line])

    def _is_won(self, back: Prompt, part: Prompt, row: Example) -> bool:
        more, less = self.desk.result(back, row), self.desk.result(part, row)
        return ((more.score if more else None) or 0.0) > ((less.score if less else None) or 0.0)


def _holding(removal: Removal, seen: dict[str, Seen]) -> Removal:
    """A removal with other findings, none of which can be asked again."""
    return replace(removal, seen=seen, asked=set(seen), carried=frozenset(seen))


def _is_up(removal: Removal, row: Example) -> bool:
    seen = removal.seen.get(row.id)
    return seen is not None and seen.value > EPSILON
