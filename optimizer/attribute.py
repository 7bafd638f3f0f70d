"""What each changed line is worth: the winner against the winner without it, paired on val.

Lines that earn nothing are dropped, and the drop is checked on the same rows. All of it stays within the plan's
reserve for attribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.dataset import Split
from optimizer.edits import changed_lines, without_line
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided, LinePriced
from optimizer.outcome import LineWorth, Phase
from optimizer.prompt import Line, Prompt
from optimizer.results import Evaluation
from optimizer.search.study import Champion
from optimizer.stats import EPSILON, compare
from optimizer.tokens import rough_tokens

MARGIN = 0.0
"""A shorter prompt may lose no val score at all on its mean."""
PROVEN = 3
"""Train rows that a line mended from which it stays, where a val row needs it as well and val does not show harm."""
PURPOSE = Purpose(phase=Phase.ATTRIBUTION, split=Split.VAL, round=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What a line was proposed for."""

    label: str
    """Label of the cluster; empty for a line of the user's own."""
    members: int
    """Failures in it when the line was proposed."""
    share: float = 0.0
    """Its share of the lost score when the line was proposed, in [0, 1]."""
    shown: frozenset[str] = frozenset()
    """Train rows that the proposer was shown: these never judge the line."""
    mended: frozenset[str] = frozenset()
    """Train rows that failed, and passed once the line was in."""


NO_CAUSE = Cause(label="", members=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Priced:
    """The winner with prices."""

    winner: Champion
    """After the drops."""
    lines: tuple[LineWorth, ...]
    """One a changed line, in the prompt's order; removed lines last."""
    scored: tuple[Champion, ...] = ()
    """Every candidate with a line or several less that was scored on all val rows: shorter prompts to choose from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Without:
    """One changed line, and the winner without it."""

    line: str
    """Line id."""
    candidate: Champion | None
    """Scored on val; None where the reserve did not reach."""
    worth: LineWorth
    """The price."""


async def attribute(
    bench: Bench, seed: Prompt, winner: Champion, causes: Mapping[str, Cause], train: Evaluation | None = None
) -> Priced:
    """Price the changed lines of the winner; drop those that earn nothing, until none is left.

    Args:
        bench: what candidates are scored with.
        seed: the prompt of the baseline.
        winner: the champion of the last round.
        causes: text of a line -> the cluster that it aims at.
        train: the winner on train, as far as it is known; some results may be of a near relative.
    """
    known: dict[str, LineWorth] = {}
    scored: list[Champion] = []
    while True:
        priced = await _price(bench, seed, winner, causes)
        scored += [found.candidate for found in priced if found.candidate is not None]
        known |= {found.line: found.worth for found in priced if found.worth.worth is not None}
        shorter = await _dropped(bench, seed, winner, [one for one in priced if not _is_proven(one, causes)])
        if shorter is None:
            break
        winner = shorter
        scored.append(winner)
    # A line that the reserve did not reach again keeps the price that it had beside the dropped ones.
    lines = tuple(known.get(found.line, found.worth) for found in priced)
    for worth in lines:
        await bench.tell(LinePriced(worth=worth))
    return Priced(winner=winner, lines=lines, scored=tuple(scored))


async def _price(bench: Bench, seed: Prompt, winner: Champion, causes: Mapping[str, Cause]) -> list[Without]:
    """Leave one out, for as many lines as the reserve pays for; the biggest doubt first: the fewest failures behind."""
    changed = changed_lines(seed, winner.prompt)
    order = sorted(changed, key=lambda item: (causes.get(_text(item), NO_CAUSE).members, item[0]))
    candidates = {line_id: without_line(seed, winner.prompt, line_id) for line_id, _, _ in order}
    left = bench.plan.left(Phase.ATTRIBUTION)
    affordable: list[str] = []
    for line_id, candidate in candidates.items():
        cost = bench.evaluator.cost(candidate, bench.val)
        if cost <= left:
            left -= cost
            affordable.append(line_id)
    for line_id in affordable:
        await bench.tell(
            CandidateMade(
                prompt=candidates[line_id], round=0, origin=f"without {line_id}", parent=winner.prompt.fingerprint
            )
        )
    jobs = [(candidates[line_id], bench.val) for line_id in affordable]
    evaluations = await bench.evaluator.evaluate_all(jobs, PURPOSE)
    scored = {
        line_id: Champion(prompt=candidates[line_id], val=evaluation)
        for line_id, evaluation in zip(affordable, evaluations, strict=True)
    }
    return [
        Without(
            line=item[0],
            candidate=scored.get(item[0]),
            worth=_worth(bench, winner, scored.get(item[0]), item, causes),
        )
        for item in changed
    ]


def _worth(
    bench: Bench,
    winner: Champion,
    without: Champion | None,
    item: tuple[str, Line | None, Line | None],
    causes: Mapping[str, Cause],
) -> LineWorth:
    line_id, old, new = item
    text = _text(item)
    priced = LineWorth(
        id=line_id,
        text=text,
        change="added" if old is None else "removed" if new is None else "replaced",
        worth=None,
        ci=None,
        label="not measurable",
        cluster=causes.get(text, NO_CAUSE).label,
        tokens=rough_tokens(text),
    )
    if without is None:
        return priced
    paired = compare(without.val, winner.val, seed=bench.seed)
    label = "earns" if paired.ci[0] > 0 else "hurts" if paired.ci[1] < 0 else "not measurable"
    return replace(priced, worth=paired.gain, ci=paired.ci, label=label, fixed=paired.fixed, broken=paired.broken)


async def _dropped(bench: Bench, seed: Prompt, winner: Champion, priced: Sequence[Without]) -> Champion | None:
    """The winner without lines that earn nothing: all of them at once where that loses nothing, else the least one.

    One line less was scored on all val rows while pricing, so such a drop is verified as it is made; several lines
    less are scored anew, since two lines that can each stand in for the other must not both go.
    """
    useless = [found for found in priced if found.candidate is not None and _earns_nothing(winner, found.candidate)]
    if not useless:
        return None
    dropped = useless
    together = await _without_all(bench, seed, winner, useless)
    if together is None or not _earns_nothing(winner, together):
        least = min(useless, key=lambda found: (found.worth.worth or 0.0, -found.worth.tokens, found.line))
        dropped, together = [least], least.candidate
    for found in dropped:
        await bench.tell(
            Decided(
                kind="drop line",
                round=0,
                reason=f"{found.line} earns nothing on val: {found.worth.text}",
                figures={"line": found.line, "worth": found.worth.worth},
            )
        )
    return together


async def _without_all(bench: Bench, seed: Prompt, winner: Champion, useless: Sequence[Without]) -> Champion | None:
    """The winner without several lines, scored on val; None where there is one line or no reserve for it."""
    candidate = winner.prompt
    for found in useless:
        candidate = without_line(seed, candidate, found.line)
    if len(useless) == 1 or bench.evaluator.cost(candidate, bench.val) > bench.plan.left(Phase.ATTRIBUTION):
        return None
    lines = ", ".join(found.line for found in useless)
    await bench.tell(
        CandidateMade(prompt=candidate, round=0, origin=f"without {lines}", parent=winner.prompt.fingerprint)
    )
    return Champion(prompt=candidate, val=await bench.evaluator.evaluate(candidate, bench.val, PURPOSE))


def _is_proven(found: Without, causes: Mapping[str, Cause]) -> bool:
    """Whether train rows speak for a line that val rows do not speak against: val alone is small for a rare rule."""
    worth, mended = found.worth, causes.get(found.worth.text, NO_CAUSE).mended
    return len(mended) >= PROVEN and bool(worth.fixed) and not (worth.ci is not None and worth.ci[1] < 0)


def _earns_nothing(winner: Champion, without: Champion) -> bool:
    return compare(without.val, winner.val).gain <= MARGIN + EPSILON


def _text(item: tuple[str, Line | None, Line | None]) -> str:
    _, old, new = item
    line = new or old
    return line.content if line else ""
