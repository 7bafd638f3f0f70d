"""The order of things: own rows, the rest, drops, the rest again. What is decided is told as it falls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.attribute.asking import Desk
from optimizer.attribute.cause import Cause, Priced
from optimizer.attribute.dropping import HURTS, KEEP, Dropping
from optimizer.attribute.pairs import pairs
from optimizer.attribute.posterior import FAILED, NAMED, SURE, Pool, raw_worth
from optimizer.attribute.pricing import pool_of, price, price_doubtful
from optimizer.attribute.removal import Removal
from optimizer.attribute.screening import Screening
from optimizer.attribute.survey import SEED, Changed, Known, Survey, survey
from optimizer.evaluator import Bench
from optimizer.events import Decided, LinePriced
from optimizer.outcome import LineWorth
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.study import Champion
from optimizer.stats import EPSILON

MOST_TURNS = 4
"""Drops that may follow each other: what one reveals, the next may take."""
HELD_BACK = 0.3
"""Part of the reserve that the first prices leave to the drops and their check."""
LEAST_OTHERS = 10
"""Rows of the rest that every line is tried on before any is dropped."""
NEEDED = 3
"""Rows that a line mended and that are lost without it, from which it is needed."""
NEEDED_ROWS = 5
"""Rows that this is tried on."""
SUSPECT_ROWS = 6
"""Rows that a line of the seed is tried on."""
RARE = 0.5
"""A line of the seed that names the values of more than this part of the rows is part of the task."""


async def attribute(
    bench: Bench,
    seed: Prompt,
    winner: Champion,
    causes: Mapping[str, Cause],
    known: Known | None = None,
) -> Priced:
    """Price the changed lines of the winner, and drop those that do not earn.

    Args:
        bench: what candidates are scored with.
        seed: the prompt that lines are put back to.
        winner: the champion of the last round.
        causes: text of a line -> the cluster that it aims at.
        known: what the search asked before; without it the seed stands for the prompt of the baseline.
    """
    desk = Desk(bench=bench)
    found = survey(desk, seed, winner, causes, known or Known(first=seed))
    desk.metrics, desk.failing = max(len(found.ground.metrics), 1), found.ground.failing
    run = Run(desk=desk, survey=found, prompt=winner.prompt)
    await run.turns()
    if run.kept:
        await price_doubtful(desk, run.kept)
        await run.screening.others(LEAST_OTHERS)
        if await run.drop(KEEP):
            await price(desk, run.kept)
    return await run.told(await run.on_val(winner))


@dataclass(kw_only=True, slots=True)
class Run:
    """How far the pricing of a winner's lines is."""

    desk: Desk
    """Where rows are asked for."""
    survey: Survey
    """The lines, and the rows that may judge them."""
    prompt: Prompt
    """What is left of the winner."""
    dropped: list[str] = field(default_factory=list)
    """Lines that are gone."""
    needed: set[str] = field(default_factory=set)
    """Lines without which rows are lost that they mended: these stay, unless they hurt."""

    @property
    def kept(self) -> list[Removal]:
        """Lines that are left, each alone."""
        return [removal for line, removal in self.desk.found.items() if line not in self.dropped]

    @property
    def screening(self) -> Screening:
        """The lines that are left, many at once."""
        return Screening(desk=self.desk, survey=self.survey, whole=self.prompt, found=self.kept)

    async def turns(self) -> None:
        """Price and drop in turn, until nothing more goes. First come lines with few failures behind them."""
        lines = {line: found for line, found in self.survey.lines.items() if found.change != SEED}
        order = sorted(lines, key=lambda line: (lines[line].cause.members, line))
        self.desk.found = {line: self.survey.removal(self.prompt, [line]) for line in order}
        # What hurts goes first: it may hide what the other lines are worth.
        await self._seed_lines()
        await self.screening.named()
        await self.drop(HURTS)
        self.desk.kept = int(self.desk.left * HELD_BACK)
        for _ in range(MOST_TURNS):
            await price(self.desk, self.kept)
            await self.screening.named()
            await self.screening.others(LEAST_OTHERS, LEAST_OTHERS)
            self.desk.kept = 0
            if not await self.drop(KEEP):
                return

    async def _seed_lines(self) -> None:
        """Lines of the seed that seem to hurt join those in doubt: they name values that come where they should not."""
        removals = [
            self.survey.removal(self.prompt, [line])
            for line, found in self.survey.lines.items()
            if found.change == SEED
        ]
        rare = RARE * len(self.survey.ground.rows)
        suspects = [one for one in removals if one.rows(FAILED) and len(self.survey.own(*one.lines)) <= rare]
        for stratum in (FAILED, NAMED):
            await self.desk.look(self.desk.affordable([(one, one.open(stratum)[:SUSPECT_ROWS]) for one in suspects]))
            await self.desk.look_again(suspects)
            pool = pool_of(self.desk)
            suspects = [one for one in suspects if one.posterior(pool).earns <= HURTS]
        self.desk.found |= {one.lines[0]: one for one in suspects}

    async def drop(self, below: float) -> bool:
        """Drop what hurts; where nothing does, what does not earn. Whether anything went.

        Args:
            below: probability of earning under which a line is in doubt.
        """
        pool = pool_of(self.desk)
        chance = {one.lines[0]: one.posterior(pool).earns for one in self.kept if one.seen}
        hurting = [line for line in chance if chance[line] <= HURTS]
        changed = [line for line in chance if self.survey.lines[line].change != SEED]
        doubtful = [line for line in changed if chance[line] < below and self.desk.found[line].is_tried]
        if not hurting:
            doubtful = [line for line in doubtful if not await self._is_needed(line)]
        dropping = Dropping(
            desk=self.desk, survey=self.survey, whole=self.prompt, pool=pool, priced=dict(self.desk.found)
        )
        self.desk.kept = min(self.desk.bench.evaluator.requests(self.desk.bench.val), self.desk.left // 2)
        await dropping.drop(sorted(hurting or doubtful, key=lambda line: chance[line]))
        self.desk.kept = 0
        if not hurting:
            await dropping.check()
        self.desk.found = dropping.priced
        await self._without(dropping)
        return bool(dropping.gone)

    async def _is_needed(self, line: str) -> bool:
        """Whether rows that a line mended are lost without it.

        Its proposer was shown them, so they say nothing of its worth. But a rule of few rows may have none beside
        them, and is no idle line for that.
        """
        if line not in self.needed:
            mended = self.survey.lines[line].cause.mended - self.prompt.demo_rows
            rows = [row for row in self.survey.ground.rows if row.id in mended][:NEEDED_ROWS]
            part = self.survey.part(self.prompt, [line])
            jobs = [(part, rows), (self.prompt, self.desk.unanswered(self.prompt, rows))]
            if len(rows) < NEEDED or self.desk.cost(jobs) > self.desk.left:
                return False
            await self.desk.ask([(part, f"without {line}", rows), (self.prompt, "winner", jobs[1][1])], self.prompt)
            sides = [(self.desk.result(self.prompt, row), self.desk.result(part, row)) for row in rows]
            scored = [(one, other) for one, other in sides if one and other and other.error is None]
            if sum(one.passed and not other.passed for one, other in scored) < NEEDED:
                return False
            self.needed.add(line)
        return True

    async def _without(self, dropping: Dropping) -> None:
        """Go on without the lines that are gone. Lines that they can have stood in for are priced anew.

        So are those that were priced beside a line that came back.
        """
        prompt, gone = dropping.prompt, dropping.gone
        for line in gone:
            await self._tell_drop(line, prompt)
        self.dropped += gone
        if gone:
            self.desk.relatives[prompt.fingerprint] = (self.prompt, self.survey.own(*gone))
        for removal in self.kept:
            (line,) = removal.lines
            sure = removal.posterior(dropping.pool).earns >= 1 - SURE
            beside = removal.part.fingerprint == self.survey.part(prompt, [line]).fingerprint
            anew = not sure and not beside and self.survey.overlap(line, gone)
            if anew or line in dropping.stale:
                self.desk.found[line] = self.survey.removal(prompt, [line])
            elif gone or not beside:
                self.desk.found[line] = self.survey.carry(removal, prompt)
        self.prompt = prompt

    async def _tell_drop(self, line: str, prompt: Prompt) -> None:
        worth = worth_of(self.survey.lines[line], self.desk.found[line], pool_of(self.desk))
        figures = {"line": line, "worth": worth.worth, "rows": worth.rows, "without": prompt.fingerprint}
        why = "hurts" if worth.label == "hurts" else "is not missed"
        if self.survey.lines[line].change == "removed":
            why = f"comes back: taking it away {'hurt' if worth.label == 'hurts' else 'earned nothing'}"
        await self.desk.bench.tell(
            Decided(kind="drop line", round=0, reason=f"{line} {why}: {worth.text}", figures=figures)
        )

    async def on_val(self, winner: Champion) -> Champion:
        """What is left, on val as far as the reserve goes."""
        if self.prompt.fingerprint == winner.prompt.fingerprint:
            return winner
        rows = list(self.desk.bench.val)
        if self.desk.cost([(self.prompt, rows)]) <= self.desk.left:
            await self.desk.ask([(self.prompt, "winner", rows)], winner.prompt)
        known = {row.id: self.desk.result(self.prompt, row) for row in rows if self.desk.is_known(self.prompt, row)}
        results = {**winner.val.results, **{key: result for key, result in known.items() if result is not None}}
        return Champion(prompt=self.prompt, val=Evaluation(candidate=self.prompt.fingerprint, results=results))

    async def told(self, end: Champion) -> Priced:
        """The prices, told one by one."""
        pool = pool_of(self.desk)
        together = await pairs(self.desk, self.survey, self.prompt, self.kept, pool)
        lines: list[LineWorth] = []
        dropped: list[LineWorth] = []
        for line, changed in self.survey.lines.items():
            if line not in self.desk.found:
                continue
            worth = worth_of(changed, self.desk.found[line], pool)
            gone = line in self.dropped
            if changed.change == SEED:
                lines += [_of_removal(worth)] if gone else []
            elif gone:
                dropped.append(worth)
            else:
                lines.append(replace(worth, with_line=together.get(line, "")))
        for worth in lines:
            await self.desk.bench.tell(LinePriced(worth=worth))
        whole = all(self.desk.is_known(end.prompt, row) for row in self.desk.bench.val)
        return Priced(
            winner=end, lines=tuple(lines), scored=(end,) if whole and self.dropped else (), dropped=tuple(dropped)
        )


def worth_of(line: Changed, removal: Removal, pool: Pool) -> LineWorth:
    """The price of a line, from the rows with it and without it."""
    priced = LineWorth(
        id=line.id,
        text=line.text,
        change=line.change,
        worth=None,
        ci=None,
        label="not measurable",
        cluster=line.cause.label,
        tokens=line.tokens,
    )
    if not removal.seen:
        return priced
    told = removal.posterior(pool)
    moved = {row: seen.flip for row, seen in sorted(removal.seen.items()) if abs(seen.value) > EPSILON}
    return replace(
        priced,
        worth=told.mean,
        ci=told.interval,
        label=told.label,
        raw=raw_worth(removal.tallies),
        rows=len(removal.seen),
        fixed=tuple(row for row, flip in moved.items() if flip > 0),
        broken=tuple(row for row, flip in moved.items() if flip < 0),
    )


def _of_removal(worth: LineWorth) -> LineWorth:
    """The price of taking a line away, from that of the line."""
    labels = {"earns": "hurts", "hurts": "earns"}
    return replace(
        worth,
        change="removed",
        worth=None if worth.worth is None else -worth.worth,
        raw=None if worth.raw is None else -worth.raw,
        ci=None if worth.ci is None else (-worth.ci[1], -worth.ci[0]),
        label=labels.get(worth.label, worth.label),
        fixed=worth.broken,
        broken=worth.fixed,
    )
