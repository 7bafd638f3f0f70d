"""Which edits of a candidate break rows: found on those rows alone.

One edit after the other is taken out, the most suspect first. Without a culprit rows that broke are right again; it is
one only where it breaks more than it mends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.edits import Edit, Op
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided
from optimizer.outcome import Phase
from optimizer.results import Evaluation
from optimizer.search.again import Changed, falls
from optimizer.search.space import Choices, Space
from optimizer.wording import WORD

FEW = 12
"""Rows won up to which a suspect's own part in them is asked for; else what it mended on train stands for it."""
SUSPECTS = 6
"""Edits that are taken out at most."""
UNNAMED = 3
"""The same where nothing points to one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Broke:
    """A candidate that breaks rows for good."""

    space: Space
    """Where it comes from."""
    choices: Choices
    """What it is made of."""
    before: Evaluation
    """The champion on val."""
    after: Evaluation
    """The candidate on val."""
    changed: Changed
    """What differs for good."""
    mended: Mapping[str, int]
    """Edit -> train rows that it mends beyond a placebo."""


async def culprits(bench: Bench, broke: Broke, purpose: Purpose) -> frozenset[str]:
    """Ids of edits that break more than they mend, or that break a protected row."""
    left = [row for row in bench.val if row.id in broke.changed.down]
    won = [row for row in bench.val if row.id in broke.changed.up]
    won = won if len(won) <= FEW else []
    guilty: set[str] = set()
    for edit in suspects(broke)[:SUSPECTS]:
        candidate = broke.space.candidate(broke.space.without(broke.choices, {edit.id, *guilty}))
        if not left or bench.evaluator.cost(candidate, [*left, *won]) > bench.plan.left(Phase.SEARCH):
            break
        await bench.tell(CandidateMade(prompt=candidate, round=purpose.round, origin=f"without {edit.id}"))
        without = await bench.evaluator.evaluate(candidate, left, purpose)
        back = [row for row in left if not broke.changed.down[row.id] & falls(broke.before, without, row.id)]
        if not back:
            continue
        kept = await bench.evaluator.evaluate(candidate, won, purpose)
        lost = sum(broke.changed.up[row] <= falls(broke.after, kept, row) for row in kept.results)
        # One row pays for the edit: it was read off it.
        mended = lost + max(broke.mended.get(edit.id, 0) - 1, 0)
        asked = len(bench.train) + (len(bench.val) if won else 0)
        harmful = len(back) / len(bench.val) > mended / asked
        if harmful or bench.protected & {row.id for row in back}:
            guilty.add(edit.id)
            reason = f"without it {len(back)} of {len(left)} val rows that broke are right again, and {lost} wrong"
            await bench.tell(
                Decided(kind="harmful edit", round=purpose.round, reason=reason, figures={"edit": edit.id})
            )
            left = [row for row in left if row not in back]
    return frozenset(guilty)


def suspects(broke: Broke) -> list[Edit]:
    """Edits whose words came into outputs that broke, or went from them with a line of theirs; the most first.

    Where no edit shows so, those that mend least.
    """
    came, went = [], []
    for row in broke.changed.down:
        old, new = (set(WORD.findall(side.results[row].output.lower())) for side in (broke.before, broke.after))
        came.append(new - old)
        went.append(old - new)

    def named(edit: Edit) -> int:
        brought = set(WORD.findall((edit.text or "").lower()))
        lost = _line(broke, edit.target) - brought if edit.op in (Op.REPLACE_LINE, Op.REMOVE_LINE) else set()
        return sum(bool(brought & new or lost & old) for new, old in zip(came, went, strict=True))

    edits = sorted(broke.space.edits(broke.choices), key=lambda edit: (-named(edit), broke.mended.get(edit.id, 0)))
    return [edit for edit in edits if named(edit)] or edits[:UNNAMED]


def _line(broke: Broke, target: str | None) -> set[str]:
    return set(WORD.findall(broke.space.champion.line(target).content.lower())) if target else set()
