"""Which candidate a run ends with: one that fits, breaks no protected row, and is the one that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from optimizer.attribute import Priced
from optimizer.config import Prefer
from optimizer.dataset import Example, Split
from optimizer.edits import changed_lines
from optimizer.evaluator import Bench, Purpose, fits
from optimizer.events import Decided
from optimizer.front import Point, front, point, preferred
from optimizer.outcome import LineWorth, Phase
from optimizer.prompt import Prompt
from optimizer.protect import broken
from optimizer.results import Evaluation, Result
from optimizer.round import RunState
from optimizer.search.study import Champion, is_believed
from optimizer.tokens import prompt_tokens, rough_tokens
from optimizer.verdict import NAMED


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The winner, and what became of the protected rows of train and val."""

    priced: Priced
    """The winner with its prices."""
    held: int
    """Protected rows that passed with the seed."""
    broken: tuple[str, ...]
    """Those that do not pass with the winner."""


async def settled(bench: Bench, state: RunState) -> RunState:
    """The state with the candidate that the run goes on with: its champion, unless another is wanted or it may not be.

    The rounds see to size and protected rows themselves; here it is made sure.
    """
    able = _able(bench, state, (state.baseline, *state.scored, state.champion)) or [state.baseline]
    champion, why = state.champion, ""
    if bench.prefer is not None:
        champion, why = _preferred(bench, bench.prefer, able), f"{bench.prefer} is preferred"
    elif why := _refused(bench, state, champion):
        best = max(able, key=lambda one: one.mean)
        champion = best if is_believed(state.baseline.val, best.val) else state.baseline
    if champion.prompt.fingerprint == state.champion.prompt.fingerprint:
        return state
    await _told(bench, state, champion, state.champion, why)
    return replace(state, champion=champion, refused=why)


async def shortened(bench: Bench, state: RunState, priced: Priced) -> Priced:
    """With a wish for shorter or cheaper prompts: the winner, or one with still fewer of its changed lines.

    A line keeps the price that it had beside the lines that are gone.
    """
    if bench.prefer is None:
        return priced
    able = _able(bench, state, (priced.winner, *priced.scored))
    best = _preferred(bench, bench.prefer, able)
    if best.prompt.fingerprint == priced.winner.prompt.fingerprint:
        return priced
    await _told(bench, state, best, priced.winner, f"{bench.prefer} is preferred")
    return replace(priced, winner=best, lines=line_prices(state, best.prompt, priced.lines))


async def checked(bench: Bench, state: RunState, priced: Priced, before: Sequence[Champion]) -> Checked:
    """Ask the winner the protected rows of train and val that the seed got right.

    Where a row breaks that a candidate before it keeps, what was taken away since then was not useless, and that
    candidate returns.

    Args:
        bench: what candidates are scored with.
        state: where the run is.
        priced: the winner with its prices.
        before: candidates that the winner was made from, the latest first.
    """
    rows = await _kept_by_seed(bench, state)
    seen = {state.seed.fingerprint}
    fell: tuple[str, ...] = ()
    for one in (priced.winner, *before):
        known = one.prompt.fingerprint in seen
        seen.add(one.prompt.fingerprint)
        if one is not priced.winner:
            costs = bench.evaluator.cost(one.prompt, rows)
            if known or _refused(bench, state, one) or costs > bench.plan.left(Phase.ATTRIBUTION):
                continue
        found = await _broken(bench, state, one.prompt, rows)
        if not found and one is not priced.winner:
            reason = f"what was taken away breaks {', '.join(fell)}, protected: it returns"
            await bench.tell(Decided(kind="put back", round=state.round, reason=reason))
            priced = replace(priced, winner=one, lines=line_prices(state, one.prompt, priced.lines))
        if not found:
            return Checked(priced=priced, held=len(rows), broken=())
        fell = fell or found
    return Checked(priced=priced, held=len(rows), broken=fell)


def unpriced(state: RunState, winner: Champion) -> Priced:
    """The winner with lines whose worth is not known."""
    return Priced(winner=winner, lines=line_prices(state, winner.prompt))


def the_front(bench: Bench, state: RunState, priced: Priced) -> Decided:
    """The front of all that was scored on val, as an event: what else could be had."""
    candidates = (state.baseline, *state.scored, state.champion, priced.winner, *priced.scored)
    found = front(_points(bench, _able(bench, state, candidates)), bench.prefer or Prefer.SHORTER)
    points = [
        {"candidate": one.prompt.fingerprint, "tokens": one.tokens, "val": one.score, "usd": one.usd} for one in found
    ]
    many = "prompts that no other one beats" if len(points) > 1 else "prompt, which beats all others"
    reason = f"{len(points)} {many} in size and val score"
    return Decided(kind="front", round=state.round, reason=reason, figures={"prefer": bench.prefer, "points": points})


def _able(bench: Bench, state: RunState, candidates: Iterable[Champion]) -> list[Champion]:
    """Those that a run may end with, scored on all val rows, each once."""
    found: dict[str, Champion] = {}
    for one in candidates:
        if len(one.val.results) == len(state.baseline.val.results) and not _refused(bench, state, one):
            found.setdefault(one.prompt.fingerprint, one)
    return list(found.values())


def _refused(bench: Bench, state: RunState, one: Champion) -> str:
    """Why no run may end with this candidate; empty where one may."""
    if not fits(one.prompt, bench.max_tokens):
        return f"the best prompt has about {prompt_tokens(one.prompt)} tokens, and max_tokens is {bench.max_tokens}"
    fell = broken(state.baseline.val, one.val, bench.protected)
    return f"the best prompt breaks protected val rows: {', '.join(fell[:NAMED])}" if fell else ""


def _points(bench: Bench, candidates: Iterable[Champion]) -> list[Point]:
    return [point(one.prompt, one.val, bench.price) for one in candidates]


def _preferred(bench: Bench, by: Prefer, candidates: Sequence[Champion]) -> Champion:
    best = preferred(front(_points(bench, candidates), by), by)
    return Champion(prompt=best.prompt, val=best.val)


async def _told(bench: Bench, state: RunState, taken: Champion, left: Champion, why: str) -> None:
    """Say why another candidate than the best one is taken."""
    reason = f"{taken.mean:.1%} on val is taken in place of {left.mean:.1%}: {why}"
    figures = {"candidate": taken.prompt.fingerprint, "in_place_of": left.prompt.fingerprint}
    await bench.tell(Decided(kind="choose", round=state.round, reason=reason, figures=figures))


async def _kept_by_seed(bench: Bench, state: RunState) -> list[Example]:
    """Protected rows of train and val that pass with the seed; one that it shows as a demo cannot judge it."""
    rows = _protected(bench, bench.train) + _protected(bench, bench.val)
    before = await _answers(bench, state, state.seed, rows)
    return [row for row in rows if row.id in before.results and before.results[row.id].passed]


async def _broken(bench: Bench, state: RunState, prompt: Prompt, rows: Sequence[Example]) -> tuple[str, ...]:
    before = await _answers(bench, state, state.seed, rows)
    return broken(before, await _answers(bench, state, prompt, rows), bench.protected)


async def _answers(bench: Bench, state: RunState, prompt: Prompt, rows: Sequence[Example]) -> Evaluation:
    """Results on rows of train and val; what is known is not asked again."""
    ids = {row.id for row in rows}
    results: dict[str, Result] = {}
    for split, of_split in ((Split.TRAIN, bench.train), (Split.VAL, bench.val)):
        wanted = [row for row in of_split if row.id in ids]
        purpose = Purpose(phase=Phase.ATTRIBUTION, split=split, round=state.round)
        results.update((await bench.evaluator.evaluate(prompt, wanted, purpose)).results)
    return Evaluation(candidate=prompt.fingerprint, results=results)


def _protected(bench: Bench, rows: Sequence[Example]) -> list[Example]:
    return [row for row in rows if row.id in bench.protected]


def line_prices(state: RunState, winner: Prompt, known: Sequence[LineWorth] = ()) -> tuple[LineWorth, ...]:
    """A price for each changed line: the known one of that line, else none."""
    prices = {(worth.id, worth.text): worth for worth in known}
    lines = []
    for unit, old, new in changed_lines(state.seed, winner):
        line = new or old
        text = line.content if line else ""
        cause = state.causes.get(text)
        blank = LineWorth(
            id=unit,
            text=text,
            change="added" if old is None else "removed" if new is None else "replaced",
            worth=None,
            ci=None,
            label="not measurable",
            cluster=cause.label if cause else "",
            tokens=rough_tokens(text),
        )
        lines.append(prices.get((unit, text), blank))
    return tuple(lines)
