"""Lines that went when lines were priced, and that rows miss: these come back.

A price rests on rows that the line's proposer was not shown. A rule of few rows has hardly any beside those, and looks
idle. So calls that the plan has left go into the rows that such a line was made for, and into val rows that the drops
changed. Prices stay as they were.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from optimizer.attribute import NO_CAUSE, Cause, Priced
from optimizer.choice import line_prices
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply, without_line
from optimizer.errors import BudgetExceeded
from optimizer.evaluator import Bench, Purpose, fits, judges
from optimizer.events import CandidateMade, Decided, LinePriced
from optimizer.outcome import LineWorth, Phase
from optimizer.prompt import Prompt
from optimizer.protect import broken
from optimizer.round import RunState, progress
from optimizer.search.again import raw, settled
from optimizer.search.study import BELIEVED, Champion
from optimizer.stats import posterior_better

MOST_ROWS = 8
"""Train rows of a line that are asked."""
ASIDE = Edit(op=Op.ADD_LINE, after=END, text="Thank you for your time.", why="a placebo", source="control")
"""Changes the request, says nothing, and is none of the placebos whose answers the search knows."""


async def missed(bench: Bench, state: RunState, priced: Priced) -> Priced:
    """The winner with those lines again that are missed, as far as the plan and the budget reach.

    What was shown to hurt stays away; so does all that went where a shorter or cheaper prompt is wanted.
    """
    gone = [worth for worth in priced.dropped if worth.label != "hurts"]
    if bench.prefer is not None or not gone:
        return priced
    work = _Work(bench=bench, state=state, winner=priced.winner)
    try:
        # Of two lines that stand in for each other, the one that mended more is tried first.
        order = sorted(gone, key=lambda worth: -len(work.cause(worth).mended))
        back = [worth for worth in order if await work.comes_back(worth)]
        winner = await work.completed() if back else priced.winner
    except BudgetExceeded:
        return priced
    if not back:
        return priced
    for worth in back:
        await bench.tell(LinePriced(worth=worth))
    lines = line_prices(state, winner.prompt, (*priced.lines, *back))
    dropped = tuple(worth for worth in priced.dropped if worth not in back)
    return replace(priced, winner=winner, lines=lines, dropped=dropped, scored=(*priced.scored, winner))


@dataclass(kw_only=True, slots=True)
class _Work:
    """The winner, line by line."""

    bench: Bench
    state: RunState
    winner: Champion

    def cause(self, worth: LineWorth) -> Cause:
        """What a line was made for."""
        return self.state.causes.get(worth.text, NO_CAUSE)

    async def comes_back(self, worth: LineWorth) -> bool:
        """Whether rows are lost for good without a line; the winner has it from then on."""
        # As the champion of the rounds has it: there, or not there where it was a line of the seed.
        prompt = without_line(self.state.champion.prompt, self.winner.prompt, worth.id)
        train, val = self._train(worth, prompt), self._val(prompt)
        cost = 2 * self.bench.evaluator.requests([*train, *val])
        if not cost or cost + self._kept > self._left or not fits(prompt, self.bench.max_tokens):
            return False
        up, down = await self._changed(prompt, worth.id, train, Split.TRAIN)
        won, lost = await self._changed(prompt, worth.id, val, Split.VAL)
        if (down | lost) & self.bench.protected or not self._is_missed(up, down, won, lost):
            return False
        self.winner = replace(self.winner, prompt=prompt)
        reason = f"{worth.id} comes back: {len(up)} train rows that it was made for and {len(won)} val rows miss it"
        figures = {"line": worth.id, "rows": sorted(up | won), "candidate": prompt.fingerprint}
        await self._made(prompt, f"with {worth.id} again")
        await self.bench.tell(Decided(kind="missed", round=self.state.round, reason=reason, figures=figures))
        return True

    async def completed(self) -> Champion:
        """The winner with answers of its own on all val rows."""
        purpose = await self._purpose(Split.VAL)
        val = await self.bench.evaluator.evaluate(self.winner.prompt, self.bench.val, purpose)
        return replace(self.winner, val=val)

    def _is_missed(
        self, up: Collection[str], down: Collection[str], won: Collection[str], lost: Collection[str]
    ) -> bool:
        """Whether it mends more rows than it breaks, as a champion of the rounds must; one row alone says too little.

        What it breaks was looked for on few train rows, so beside them it is scaled up.
        """
        train, val = len(self.bench.train), len(self.bench.val)
        worse = round((len(down) + len(lost)) * (train + val) / val)
        return posterior_better(len(up) + len(won), worse) > BELIEVED

    def _train(self, worth: LineWorth, prompt: Prompt) -> list[Example]:
        """Rows that a line was made for, those that it mended in the search first; and protected ones."""
        cause = self.cause(worth)
        rows = [row for row in judges(prompt, self.bench.train) if row.id in cause.mended | cause.shown]
        chosen = sorted(rows, key=lambda row: row.id not in cause.mended)[:MOST_ROWS]
        held = [row for row in judges(prompt, self.bench.train) if row.id in self.bench.protected]
        return [*chosen, *(row for row in held if row not in chosen)]

    def _val(self, prompt: Prompt) -> list[Example]:
        """Rows that the drops changed, for better or worse; and protected ones."""
        changed = raw(self.winner.val, self.state.champion.val)
        asked = changed.up.keys() | changed.down.keys() | self.bench.protected
        return [row for row in judges(prompt, self.bench.val) if row.id in asked]

    async def _changed(
        self, prompt: Prompt, line: str, rows: Sequence[Example], split: Split
    ) -> tuple[set[str], set[str]]:
        """Rows that are better with the line for good, and worse.

        Both sides answer anew, with a line that says nothing: their answers so far chose the line, and these rows.
        """
        purpose = await self._purpose(split)
        sides = (apply(self.winner.prompt, [ASIDE]), apply(prompt, [ASIDE]))
        for side, origin in zip(sides, ("winner", f"with {line} again"), strict=True):
            await self._made(side, f"{origin}, asked anew")
        old, new = await self.bench.evaluator.evaluate_all([(side, rows) for side in sides], purpose)
        sure = await settled(self.bench, sides, (old, new), rows, purpose, reserved=self._kept)
        return set(sure.up), {*sure.down, *broken(old, new, self.bench.protected)}

    async def _made(self, prompt: Prompt, origin: str) -> None:
        parent = self.winner.prompt.fingerprint
        await self.bench.tell(CandidateMade(prompt=prompt, round=self.state.round, origin=origin, parent=parent))

    async def _purpose(self, split: Split) -> Purpose:
        """What the next rows are asked for. Who follows the run is told whose calls they are."""
        phase = self._phase
        step = "pricing lines" if phase is Phase.ATTRIBUTION else "asking what is missed"
        await progress(self.bench, step, 0, self.state)
        return Purpose(phase=phase, split=split, round=self.state.round)

    @property
    def _phase(self) -> Phase:
        """Whose calls are used: of the reserve for prices and what the search left, the larger rest."""
        return max((Phase.ATTRIBUTION, Phase.SEARCH), key=self.bench.plan.left)

    @property
    def _left(self) -> int:
        return self.bench.plan.left(self._phase)

    @property
    def _kept(self) -> int:
        """Requests that the winner may still need for val rows of its own."""
        return self.bench.evaluator.requests(self.bench.val)
