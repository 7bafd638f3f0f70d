"""The first calls of a run: the prompt as it is, on train and val.

They need little of what the search needs, which is imported while they are out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.dataset import Split
from optimizer.errors import ProviderError
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided, Progress
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.unscored import mostly_unscored, stopped, told

MOST_ERRORS = 0.2
"""Share of rows with an error from which no figure would mean anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The seed, scored."""

    train: Evaluation
    """On train."""
    val: Evaluation
    """On val."""


async def baseline(bench: Bench, seed: Prompt) -> Baseline:
    """Score the seed. Raises ProviderError where too many rows end in errors for any figure to mean something."""
    await bench.tell(CandidateMade(prompt=seed, round=0, origin="seed"))
    plan = bench.plan
    planned, limit = len(plan.asked[Phase.SEARCH]), plan.limits[Phase.SEARCH]
    await bench.tell(Progress(step="baseline", round=0, planned=planned, limit=limit))
    purpose = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
    of_val = {row.id: Split.VAL for row in bench.val}
    train, val = await bench.evaluator.evaluate_all([(seed, bench.train), (seed, bench.val)], purpose, of_val)
    check_errors([train, val])
    if unscored := told([*train.errors, *val.errors]):
        await bench.tell(Decided(kind="warning", round=0, reason=f"{unscored}; they have no score, and count nowhere"))
    await bench.tell(
        Decided(
            kind="baseline",
            round=0,
            reason=f"the prompt as it is scores {val.mean or 0:.1%} on val and {train.mean or 0:.1%} on train",
            figures={
                "val": val.mean,
                "train": train.mean,
                "errors": [result.example for result in (*train.errors, *val.errors)],
                "plan": {phase.value: limit for phase, limit in plan.limits.items()},
            },
        )
    )
    if alike := _constant([*train.scored.values(), *val.scored.values()]):
        await bench.tell(Decided(kind="warning", round=0, reason=alike))
    return Baseline(train=train, val=val)


def _constant(scores: Sequence[float]) -> str:
    """What to tell where every row scores the same; empty where some do not."""
    if len(set(scores)) != 1:
        return ""
    if scores[0] == 1:
        return "every row has full marks: no comparison can show a gain (add rows that are hard)"
    return (
        f"every row scores {scores[0]:.1%}: no comparison means anything while nothing tells one row from another "
        "(look at an answer or two: does the metric give all of them the same?)"
    )


def check_errors(evaluations: Sequence[Evaluation]) -> None:
    """Raise ProviderError where too many rows ended in an error."""
    rows = sum(len(evaluation.results) for evaluation in evaluations)
    errors = [result for evaluation in evaluations for result in evaluation.errors]
    if rows and len(errors) > MOST_ERRORS * rows:
        if mostly_unscored(errors):
            raise stopped(errors)
        first = errors[0].error
        told = f"{first.kind.value}: {first.message}" if first else "unknown"
        raise ProviderError(
            f"{len(errors)} of {rows} rows ended in an error (row {errors[0].example}: {told}); "
            "nothing can be said of this prompt. Mend the cause and run again with --resume"
        )
