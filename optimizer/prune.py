"""A shorter prompt, before its lines are priced: what is said twice or asks for nothing goes where no row is lost.

A line of the user's own that merely shows no effect on val stays: rows that are not in the eval set may need it. It
goes only where shorter or cheaper prompts are preferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute import Priced
from optimizer.choice import line_prices
from optimizer.dataset import Example, Split, groups_of
from optimizer.edits import Edit, Op, apply
from optimizer.evaluator import Bench, Purpose, judges
from optimizer.events import CandidateMade, Decided, LinePriced
from optimizer.mutate.shorten import NEARLY, SEED, shorter
from optimizer.outcome import Comparison, LineWorth, Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.round import RunState
from optimizer.search.again import raw, settled
from optimizer.search.study import CLEAR, Champion
from optimizer.stats import compare, posterior_better
from optimizer.tokens import prompt_tokens, rough_tokens

SHARE = 1 / 3
"""Part of the reserve for prices that a shorter prompt may take."""
FIRST = 12
"""Rows that are asked first: those that a candidate before got wrong."""
LEAST_TOKENS = 8
"""Tokens that a candidate must save to be worth its calls, unless shorter or cheaper prompts are preferred."""
MOST_TRIES = 8
"""Candidates that are tried."""
PURPOSE = Purpose(phase=Phase.ATTRIBUTION, split=Split.VAL, round=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """The winner, and what was taken away from it."""

    winner: Champion
    """The shorter prompt; the winner as it was where nothing could go."""
    seed: Prompt
    """The run's seed, shortened in the same way: beside it the winner's other changes are priced."""
    lines: tuple[LineWorth, ...] = ()
    """What each line that went or was shortened is worth, together with those that went with it."""


async def prune(bench: Bench, state: RunState) -> Pruned:
    """Try all that may go at once, then halves of it; what goes loses no val row for good, and no protected one."""
    left = bench.plan.left(Phase.ATTRIBUTION)
    hold = left - int(left * SHARE)
    work = _Work(bench=bench, state=state, champion=state.champion)
    bench.plan.kept += hold
    try:
        await work.run(candidates(state.champion.prompt, state.seed, idle=bench.prefer is not None))
    finally:
        bench.plan.kept -= hold
    seed = shortened_seed(state.seed, state.champion.prompt, work.made)
    return Pruned(winner=work.champion, seed=seed, lines=tuple(work.lines))


def candidates(prompt: Prompt, seed: Prompt, *, idle: bool) -> list[Edit]:
    """Edits that make the prompt shorter and can be made together: one a line, and no message loses all its lines.

    Args:
        prompt: the winner.
        seed: the prompt that the run began with.
        idle: whether lines of the seed that may be idle are among them.
    """
    home = {line.id: index for index, message in enumerate(prompt.messages) for line in message.lines}
    left = [sum(bool(line.content.strip()) for line in message.lines) for message in prompt.messages]
    chosen: dict[str, Edit] = {}
    for edit in shorter(prompt, seed, SEED if idle else NEARLY):
        target = edit.target or ""
        if target in chosen:
            continue
        if edit.op is Op.REMOVE_LINE:
            if left[home[target]] == 1:
                continue
            left[home[target]] -= 1
        chosen[target] = edit
    return list(chosen.values())


def shortened_seed(seed: Prompt, winner: Prompt, edits: Sequence[Edit]) -> Prompt:
    """The seed with those of the edits that change what the winner has left of it as it was.

    Args:
        seed: the prompt that the run began with.
        winner: the prompt that the edits were made to.
        edits: what was made.
    """
    lines = {line.id: line.content for line in winner.lines}
    own = {line.id for line in seed.lines if lines.get(line.id) == line.content}
    own |= {demo.id for demo in seed.demos} & {demo.id for demo in winner.demos}
    return apply(seed, [edit for edit in edits if edit.target in own]) if edits else seed


async def joined(bench: Bench, state: RunState, pruned: Pruned, priced: Priced) -> Priced:
    """The winner with the prices of all that changed since the seed, what was taken away among them."""
    if not pruned.lines:
        return priced
    lines = line_prices(state, priced.winner.prompt, (*priced.lines, *pruned.lines))
    for worth in lines:
        if worth in pruned.lines:
            await bench.tell(LinePriced(worth=worth))
    return replace(priced, lines=lines, scored=(*priced.scored, pruned.winner))


@dataclass(kw_only=True, slots=True)
class _Work:
    """What has gone so far."""

    bench: Bench
    state: RunState
    champion: Champion
    made: list[Edit] = field(default_factory=list)
    lines: list[LineWorth] = field(default_factory=list)

    async def run(self, edits: Sequence[Edit]) -> None:
        """Groups of edits in turn, halved where they lose a row."""
        groups = [list(edits)] if edits else []
        for _ in range(MOST_TRIES):
            if not groups:
                return
            group = groups.pop(0)
            candidate = apply(self.champion.prompt, group)
            saved = prompt_tokens(self.champion.prompt) - prompt_tokens(candidate)
            if saved < (LEAST_TOKENS if self.bench.prefer is None else 1):
                continue
            if self.bench.evaluator.cost(candidate, self.bench.val) > self.bench.plan.left(Phase.ATTRIBUTION):
                return
            if not await self._tried(candidate, group) and len(group) > 1:
                middle = (len(group) + 1) // 2
                groups = [group[:middle], group[middle:], *groups]

    async def _tried(self, candidate: Prompt, edits: Sequence[Edit]) -> bool:
        """Whether the candidate loses nothing: it is the champion then."""
        parent = self.champion.prompt.fingerprint
        await self.bench.tell(
            CandidateMade(prompt=candidate, round=0, origin="shorter", parent=parent, edits=tuple(edits))
        )
        for rows in (self._fragile()[:FIRST], self.bench.val):
            if self.bench.evaluator.cost(candidate, rows) > self.bench.plan.left(Phase.ATTRIBUTION):
                # Asking again took what the rest of the rows would have needed.
                return False
            val = await self.bench.evaluator.evaluate(candidate, rows, PURPOSE)
            if lost := await self._lost(candidate, val):
                reason = f"without {_named(edits)} {len(lost)} val rows are lost"
                await self.bench.tell(Decided(kind="not shorter", round=0, reason=reason, figures={"rows": lost}))
                return False
        return await self._accepted(Champion(prompt=candidate, val=val), edits)

    async def _lost(self, candidate: Prompt, val: Evaluation) -> list[str]:
        """Rows that are lost for good; all that are lost where luck cannot explain them, or one is protected."""
        before = self.champion.val.only(list(val.results))
        found = raw(before, val)
        rows = [row for row in self.bench.val if row.id in found.down]
        if found.down.keys() & self.bench.protected or posterior_better(len(found.up), len(rows)) < CLEAR[0]:
            return [row.id for row in rows]
        sides = (self.champion.prompt, candidate)
        kept = await settled(self.bench, sides, (before.only([row.id for row in rows]), val), rows, PURPOSE)
        return sorted(kept.down)

    def _fragile(self) -> list[Example]:
        """Val rows that are right, those that most candidates of the run got wrong first."""
        wrong = {
            row.id: sum(row.id in one.val.results and not one.val.results[row.id].passed for one in self._others)
            for row in self.bench.val
        }
        right = [
            row for row in judges(self.champion.prompt, self.bench.val) if self.champion.val.results[row.id].passed
        ]
        return sorted(right, key=lambda row: (row.id not in self.bench.protected, -wrong[row.id]))

    @property
    def _others(self) -> tuple[Champion, ...]:
        return (self.state.baseline, *self.state.scored)

    async def _accepted(self, after: Champion, edits: Sequence[Edit]) -> bool:
        before, groups = self.champion, groups_of(self.bench.val)
        paired = await asyncio.to_thread(compare, before.val, after.val, seed=self.bench.seed, groups=groups)
        if paired.ci[1] < 0:
            # Each row was right at another try, and yet too many were not at the first.
            reason = f"without {_named(edits)} the val score falls by {-paired.gain:.1%}"
            await self.bench.tell(Decided(kind="not shorter", round=0, reason=reason))
            return False
        self.lines += [_price(before.prompt, edit, edits, paired) for edit in edits]
        self.champion, self.made = after, [*self.made, *edits]
        saved = prompt_tokens(before.prompt) - prompt_tokens(after.prompt)
        await self.bench.tell(
            Decided(
                kind="shorten",
                round=0,
                reason=f"about {saved} tokens less, and no val row is lost for good: {_named(edits)}",
                figures={
                    "edits": [edit.id for edit in edits],
                    "tokens": saved,
                    "gain": paired.gain,
                    "fixed": list(paired.fixed),
                    "broken": list(paired.broken),
                },
            )
        )
        return True


def _price(prompt: Prompt, edit: Edit, together: Sequence[Edit], paired: Comparison) -> LineWorth:
    """What a change is worth, together with those that were made and measured with it."""
    text = edit.text if edit.text is not None else _text(prompt, edit.target or "")
    others = ", ".join(other.target or "" for other in together if other is not edit)
    return LineWorth(
        id=edit.target or "",
        text=text,
        change="removed" if edit.text is None else "replaced",
        worth=paired.gain,
        ci=paired.ci,
        label="earns" if paired.ci[0] > 0 else "not measurable",
        cluster=f"shorter: {edit.why}" + (f"; measured together with {others}" if others else ""),
        tokens=rough_tokens(text),
        fixed=paired.fixed,
        broken=paired.broken,
    )


def _text(prompt: Prompt, unit: str) -> str:
    demo = next((demo for demo in prompt.demos if demo.id == unit), None)
    return prompt.line(unit).content if demo is None else demo.line.content


def _named(edits: Sequence[Edit]) -> str:
    """`L3 (L5 says the same), L7 (phrases that ask for nothing)`."""
    return ", ".join(f"{edit.target} ({edit.why})" for edit in edits)
