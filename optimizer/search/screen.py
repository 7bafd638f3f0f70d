"""Each edit alone, on failing rows of its own cluster and a few guards, against a placebo.

Rows that were drawn because they failed pass more often the next time, whatever is changed (regression to the mean).
So a line that says nothing is tried on the same rows, and an edit must mend more of them. What does not goes no
further; what it did is told to the next proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, EditJudged
from optimizer.failures import Cluster
from optimizer.mutate.base import Proposal
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation, Result
from optimizer.stats import EPSILON, differences_of

FIRST_ROWS = 4
"""Failing rows that every edit is tried on."""
MORE_ROWS = 4
"""Further failing rows for edits that mended one of the first."""
GUARDS = 4
"""Rows without the cause that an edit must not make worse."""
PLACEBO = Edit(op=Op.ADD_LINE, after=END, text="Thank you.", why="a placebo", source="control")
"""Changes the request, and says nothing about the task."""


Key = tuple[str, str]
"""(cluster, edit): one edit may be tried for several causes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """What an edit did alone."""

    edit: Edit
    """The edit."""
    mended: int = 0
    """Failing rows whose broken expectation got better."""
    tried: int = 0
    """Failing rows tried."""
    placebo: int = 0
    """Of those, rows that a line that says nothing mended too."""
    worsened: tuple[str, ...] = ()
    """Rows whose score fell."""

    @property
    def passed(self) -> bool:
        """It mends more rows than it worsens, and more than a placebo does."""
        return self.mended > max(len(self.worsened), self.placebo)

    @property
    def rate(self) -> float:
        """Share of rows mended beyond those worsened and those that a placebo mends: the order of edits."""
        return (self.mended - len(self.worsened) - self.placebo) / self.tried if self.tried else 0.0

    @property
    def told(self) -> str:
        """In words, for people and for the next proposal."""
        if not self.tried:
            return "not tried: the plan for the search ended"
        worse = f", made {len(self.worsened)} rows worse" if self.worsened else ""
        chance = f" (a placebo mended {self.placebo})" if self.placebo else ""
        return f"mended {self.mended} of {self.tried} failing rows{chance}{worse}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Edits to screen, with the rows that they are screened on."""

    champion: Prompt
    """The prompt that they change."""
    base: Evaluation
    """The champion on train."""
    proposals: Mapping[str, Proposal]
    """Cluster id -> what its proposer saw."""
    edits: Sequence[Edit]
    """Validated edits."""
    keep_calls: int = 0
    """Requests of the plan that must be left for the trials."""
    rows: Sequence[Example] = ()
    """Train rows in their frozen order: guards are drawn from them."""


async def screen(bench: Bench, wanted: Candidates, round_number: int) -> tuple[Screened, ...]:
    """Screen edits in two steps; edits that the plan cannot pay for come back untried.

    Returns one value an edit, in the order given.
    """
    first = {_key(edit): _failing(wanted, edit)[:FIRST_ROWS] for edit in wanted.edits}
    found = await _try(bench, wanted, first, round_number)
    promising = [edit for edit in wanted.edits if found[_key(edit)].mended > 0]
    more = {
        _key(edit): [*_failing(wanted, edit)[FIRST_ROWS : FIRST_ROWS + MORE_ROWS], *_guards(wanted, edit)]
        for edit in promising
    }
    again = await _try(bench, wanted, more, round_number)
    joined = [_joined(found[_key(edit)], again.get(_key(edit))) for edit in wanted.edits]
    screened = await _against_placebo(bench, wanted, joined, round_number)
    for item in screened:
        await bench.tell(
            EditJudged(
                round=round_number,
                edit=item.edit,
                outcome="passed" if item.passed else "screened out" if item.tried else "not tried",
                reason=item.told,
                mended=item.mended,
                tried=item.tried,
                broke=item.worsened,
            )
        )
    return screened


async def _against_placebo(
    bench: Bench, wanted: Candidates, screened: Sequence[Screened], round_number: int
) -> tuple[Screened, ...]:
    """Try the placebo on the failing rows of every edit that looks good, where the plan has room for it."""
    hopeful = [item for item in screened if item.passed]
    rows = {row.id: row for item in hopeful for row in _tried(wanted, item)}
    placebo = apply(wanted.champion, [PLACEBO])
    if not rows or bench.evaluator.cost(placebo, list(rows.values())) > _room(bench, wanted):
        return tuple(screened)
    await _made(bench, wanted, placebo, (PLACEBO,), round_number)
    evaluation = await bench.evaluator.evaluate(placebo, list(rows.values()), _purpose(round_number))
    return tuple(
        replace(item, placebo=_measured(item.edit, wanted, evaluation, {row.id for row in _tried(wanted, item)}).mended)
        if item.passed
        else item
        for item in screened
    )


def _tried(wanted: Candidates, item: Screened) -> list[Example]:
    """The failing rows that an edit was tried on: fewer where the plan had no room for the second step."""
    return _failing(wanted, item.edit)[: item.tried]


async def _try(
    bench: Bench, wanted: Candidates, rows: Mapping[Key, Sequence[Example]], round_number: int
) -> dict[Key, Screened]:
    """Try edits side by side on rows of their own, as far as the plan goes."""
    by_key = {_key(edit): edit for edit in wanted.edits}
    left = _room(bench, wanted)
    jobs: list[tuple[Edit, Prompt, Sequence[Example]]] = []
    for key, tried in rows.items():
        candidate = apply(wanted.champion, [by_key[key]])
        cost = bench.evaluator.cost(candidate, tried)
        if tried and cost <= left:
            left -= cost
            jobs.append((by_key[key], candidate, tried))
    for edit, candidate, _ in jobs:
        await _made(bench, wanted, candidate, (edit,), round_number)
    evaluations = await bench.evaluator.evaluate_all(
        [(candidate, tried) for _, candidate, tried in jobs], _purpose(round_number)
    )
    found = {key: Screened(edit=by_key[key]) for key in rows}
    for (edit, _, tried), evaluation in zip(jobs, evaluations, strict=True):
        found[_key(edit)] = _measured(edit, wanted, evaluation, {row.id for row in tried})
    return found


def _key(edit: Edit) -> Key:
    return edit.cluster, edit.id


def _room(bench: Bench, wanted: Candidates) -> int:
    """Requests that the screen may still ask for."""
    return bench.plan.left(Phase.SEARCH) - wanted.keep_calls


def _purpose(round_number: int) -> Purpose:
    return Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=round_number)


async def _made(
    bench: Bench, wanted: Candidates, candidate: Prompt, edits: tuple[Edit, ...], round_number: int
) -> None:
    parent = wanted.champion.fingerprint
    await bench.tell(CandidateMade(prompt=candidate, round=round_number, origin="screen", parent=parent, edits=edits))


def _measured(edit: Edit, wanted: Candidates, evaluation: Evaluation, rows: set[str]) -> Screened:
    changed = {key: change for key, change in differences_of(wanted.base, evaluation).items() if key in rows}
    cause = wanted.proposals[edit.cluster].cluster
    failing = {member.example.id for member in cause.members} & changed.keys()
    return Screened(
        edit=edit,
        mended=sum(_mended(wanted.base.results[key], evaluation.results[key], cause.metrics) for key in failing),
        tried=len(failing),
        worsened=tuple(key for key, change in changed.items() if change < -EPSILON),
    )


def _mended(before: Result, after: Result, metrics: Sequence[str]) -> bool:
    """Whether the broken expectation itself got better; a row with two causes may rise for the other one."""
    old = {score.metric: score.value for score in before.scores}
    return any(score.metric in metrics and score.value > old[score.metric] + EPSILON for score in after.scores)


def _joined(first: Screened, second: Screened | None) -> Screened:
    if second is None:
        return first
    return Screened(
        edit=first.edit,
        mended=first.mended + second.mended,
        tried=first.tried + second.tried,
        worsened=first.worsened + second.worsened,
    )


def _failing(wanted: Candidates, edit: Edit) -> list[Example]:
    cluster: Cluster = wanted.proposals[edit.cluster].cluster
    return [member.example for member in cluster.members]


def _guards(wanted: Candidates, edit: Edit) -> list[Example]:
    """Near misses first, then rows that fail for other causes: those can lose score too."""
    proposal = wanted.proposals[edit.cluster]
    near = [row.example for row in proposal.passing[: GUARDS // 2]]
    known = {row.id for row in near} | {member.example.id for member in proposal.cluster.members}
    others = [row for row in wanted.rows if row.id not in known and wanted.base.results[row.id].score]
    return [*near, *others][:GUARDS]
