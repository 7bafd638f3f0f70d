"""The main path: baseline, rounds, prices, test. A reducer over an explicit state.

    champion -> failures -> clusters -> edits -> screen -> study -> champion ... -> lines priced -> test -> verdict

Every step takes the state and gives the next one; all that is decided is recorded with what it rested on. Resume is
running it again: what is known is not asked again, and nothing depends on the clock or on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optimizer.attribute import Priced, attribute
from optimizer.dataset import Split
from optimizer.errors import ProviderError
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided, RunEnded
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Comparison, Outcome, Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.round import RunState, one_round, progress, searching
from optimizer.search.study import Champion
from optimizer.stats import compare
from optimizer.verdict import verdict

MOST_ERRORS = 0.2
"""Share of rows with an error from which no figure would mean anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """What the end of a run needs of the world outside."""

    look: Callable[[Prompt, Prompt], int]
    """Counts a look at the test split by (seed, winner), and says which it is."""
    ship: Callable[[Prompt, Outcome], Decided]
    """Writes the winner's version file, and says where; called where the winner is not the seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A run that came to its end."""

    outcome: Outcome
    """The claim."""
    winner: Prompt
    """The prompt that it ends with."""


async def run(bench: Bench, seed: Prompt, proposers: Proposers, ends: Ends) -> Finished:
    """Run to the end.

    Raises BudgetExceeded, ProviderError or StoreError where the run cannot go on; it can be resumed then.
    """
    state = await baseline(bench, seed)
    while not state.stopped:
        state = await one_round(bench, proposers, state)
    priced = await price(bench, state)
    return await finish(bench, ends, state, priced)


async def baseline(bench: Bench, seed: Prompt) -> RunState:
    """The seed on train and val."""
    await bench.tell(CandidateMade(prompt=seed, round=0, origin="seed"))
    await progress(bench, "baseline", 0)
    train = await bench.evaluator.evaluate(seed, bench.train, searching(Split.TRAIN, 0))
    val = await bench.evaluator.evaluate(seed, bench.val, searching(Split.VAL, 0))
    _check_errors([train, val])
    champion = Champion(prompt=seed, val=val)
    await bench.tell(
        Decided(
            kind="baseline",
            round=0,
            reason=f"the prompt as it is scores {val.mean or 0:.1%} on val and {train.mean or 0:.1%} on train",
            figures={
                "val": val.mean,
                "train": train.mean,
                "errors": [result.example for result in (*train.errors, *val.errors)],
                "plan": {phase.value: limit for phase, limit in bench.plan.limits.items()},
            },
        )
    )
    return RunState(seed=seed, baseline=champion, champion=champion, train=train)


async def price(bench: Bench, state: RunState) -> Priced:
    """Price the changed lines, unless nothing changed."""
    if state.champion.prompt.fingerprint == state.seed.fingerprint:
        return Priced(winner=state.champion, lines=())
    await progress(bench, "pricing lines", 0, state)
    return await attribute(bench, state.seed, state.champion, state.causes)


async def finish(bench: Bench, ends: Ends, state: RunState, priced: Priced) -> Finished:
    """Test baseline and winner once, and claim no more than that shows."""
    winner = priced.winner.prompt
    tested: Comparison | None = None
    if winner.fingerprint != state.seed.fingerprint:
        tested = await _tested(bench, ends, state, winner)
    claim, reason = verdict(tested, rows=len(bench.test), stopped=state.stopped)
    outcome = Outcome(
        verdict=claim,
        reason=reason,
        test=tested,
        val=compare(state.baseline.val, priced.winner.val, seed=bench.seed) if tested else None,
        lines=priced.lines,
        seed=state.seed.fingerprint,
        winner=winner.fingerprint,
        figures={f"planned_{phase.value}": float(len(bench.plan.asked[phase])) for phase in Phase},
    )
    await bench.tell(Decided(kind="verdict", round=state.round, reason=f"{claim}: {reason}"))
    if tested:
        await bench.tell(ends.ship(winner, outcome))
    await bench.tell(RunEnded(outcome=outcome))
    return Finished(outcome=outcome, winner=winner)


async def _tested(bench: Bench, ends: Ends, state: RunState, winner: Prompt) -> Comparison:
    """Open the sealed rows: the seed and the winner on test, as one look."""
    await progress(bench, "test", 0, state)
    await bench.tell(CandidateMade(prompt=winner, round=state.round, origin="winner", parent=state.seed.fingerprint))
    look = ends.look(state.seed, winner)
    purpose = Purpose(phase=Phase.TEST, split=Split.TEST, round=state.round)
    before, after = await bench.evaluator.evaluate_all([(state.seed, bench.test), (winner, bench.test)], purpose)
    _check_errors([before, after])
    return compare(before, after, seed=bench.seed, look=look)


def _check_errors(evaluations: Sequence[Evaluation]) -> None:
    rows = sum(len(evaluation.results) for evaluation in evaluations)
    errors = [result for evaluation in evaluations for result in evaluation.errors]
    if rows and len(errors) > MOST_ERRORS * rows:
        first = errors[0].error
        told = f"{first.kind.value}: {first.message}" if first else "unknown"
        raise ProviderError(
            f"{len(errors)} of {rows} rows ended in an error (row {errors[0].example}: {told}); "
            "nothing can be said of this prompt. Mend the cause and run again with --resume"
        )
