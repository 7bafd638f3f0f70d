"""Each edit alone, on failing rows of its own cluster and a few passing guards.

What mends nothing goes no further; what it did is told to the next proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.dataset import Example, Split
from optimizer.edits import Edit, apply
from optimizer.evaluate import Bench, Purpose
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """What an edit did alone."""

    edit: Edit
    """The edit."""
    mended: int = 0
    """Failing rows whose broken expectation got better."""
    tried: int = 0
    """Failing rows tried."""
    worsened: tuple[str, ...] = ()
    """Rows whose score fell."""

    @property
    def passed(self) -> bool:
        """It mends more rows than it worsens."""
        return self.mended > len(self.worsened)

    @property
    def rate(self) -> float:
        """Net share of rows mended, in [-1, 1]: the order of edits within a slot."""
        return (self.mended - len(self.worsened)) / self.tried if self.tried else 0.0

    @property
    def told(self) -> str:
        """In words, for people and for the next proposal."""
        if not self.tried:
            return "not tried: the plan for the search ended"
        worse = f", made {len(self.worsened)} rows worse" if self.worsened else ""
        return f"mended {self.mended} of {self.tried} failing rows{worse}"


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
    first = {edit.id: _failing(wanted, edit)[:FIRST_ROWS] for edit in wanted.edits}
    found = await _try(bench, wanted, first, round_number)
    promising = [edit for edit in wanted.edits if found[edit.id].mended > 0]
    more = {
        edit.id: [*_failing(wanted, edit)[FIRST_ROWS : FIRST_ROWS + MORE_ROWS], *_guards(wanted, edit)]
        for edit in promising
    }
    again = await _try(bench, wanted, more, round_number)
    screened = tuple(_joined(found[edit.id], again.get(edit.id)) for edit in wanted.edits)
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


async def _try(
    bench: Bench, wanted: Candidates, rows: Mapping[str, Sequence[Example]], round_number: int
) -> dict[str, Screened]:
    """Try edits side by side on rows of their own, as far as the plan goes."""
    by_id = {edit.id: edit for edit in wanted.edits}
    left = bench.plan.left(Phase.SEARCH) - wanted.keep_calls
    jobs: list[tuple[Edit, Prompt, Sequence[Example]]] = []
    for edit_id, tried in rows.items():
        candidate = apply(wanted.champion, [by_id[edit_id]])
        cost = bench.evaluator.cost(candidate, tried)
        if tried and cost <= left:
            left -= cost
            jobs.append((by_id[edit_id], candidate, tried))
    for edit, candidate, _ in jobs:
        await bench.tell(
            CandidateMade(
                prompt=candidate,
                round=round_number,
                origin="screen",
                parent=wanted.champion.fingerprint,
                edits=(edit,),
            )
        )
    purpose = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=round_number)
    evaluations = await bench.evaluator.evaluate_all([(candidate, tried) for _, candidate, tried in jobs], purpose)
    found = {edit_id: Screened(edit=by_id[edit_id]) for edit_id in rows}
    for (edit, _, _), evaluation in zip(jobs, evaluations, strict=True):
        found[edit.id] = _measured(edit, wanted, evaluation)
    return found


def _measured(edit: Edit, wanted: Candidates, evaluation: Evaluation) -> Screened:
    changed = differences_of(wanted.base, evaluation)
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
