"""The main path: baseline, rounds, prices, test. A reducer over an explicit state.

    champion -> failures -> clusters -> edits -> screen -> study -> champion ... -> lines priced -> test -> verdict

Every step takes the state and gives the next one; all that is decided is recorded with what it rested on. Resume is
running it again: what is known is not asked again, and nothing depends on the clock or on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute import Cause, Priced, attribute
from optimizer.cluster import cluster
from optimizer.dataset import Split
from optimizer.errors import ProviderError
from optimizer.evaluator import Bench, Purpose, by_id
from optimizer.events import CandidateMade, ClustersFound, Decided, Progress, RunEnded
from optimizer.failures import Cluster
from optimizer.mutate.base import Attempt, Proposal
from optimizer.mutate.propose import Proposers, Round, proposals_for, propose
from optimizer.outcome import Comparison, Outcome, Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.screen import Candidates, Screened, screen
from optimizer.search.space import space
from optimizer.search.study import Champion, Found, is_believed, search
from optimizer.stats import EPSILON, compare
from optimizer.verdict import verdict

MOST_ROUNDS = 8
BARREN_ROUNDS = 3
"""Rounds in a row without a new champion after which the search ends."""
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
class RunState:
    """Where a run is, between two steps."""

    seed: Prompt
    """The prompt that the run began with."""
    baseline: Champion
    """Its results on val."""
    champion: Champion
    """The best prompt so far."""
    train: Evaluation
    """The champion on train."""
    round: int = 0
    """Rounds ended."""
    barren: int = 0
    """Rounds in a row without a new champion."""
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    """Cluster id -> edits that did not help."""
    causes: Mapping[str, Cause] = field(default_factory=dict)
    """Text of a line that was added, replaced or removed -> what that was proposed for."""
    stopped: str = ""
    """Why the rounds ended; empty while they go on."""


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
    await _progress(bench, "baseline", 0)
    train = await bench.evaluator.evaluate(seed, bench.train, _search(Split.TRAIN, 0))
    val = await bench.evaluator.evaluate(seed, bench.val, _search(Split.VAL, 0))
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


async def one_round(bench: Bench, proposers: Proposers, state: RunState) -> RunState:
    """Champion -> failures -> clusters -> edits -> study -> champion."""
    number = state.round + 1
    examples = by_id(bench.train)
    clusters = cluster(examples, state.train)
    champion = state.champion.prompt
    await bench.tell(ClustersFound(round=number, candidate=champion.fingerprint, clusters=clusters))
    if stop := _nothing_to_do(bench, state, clusters):
        return await _stopped(bench, state, stop)
    await _progress(bench, "proposing", number, state)
    proposals = proposals_for(champion, clusters, state.train, examples, state.attempts)
    brought = await propose(bench, proposers, proposals, number)
    if not brought.edits:
        return await _stopped(bench, state, "no edit is left to try")
    await _progress(bench, "screening", number, state)
    screened = await screen(
        bench,
        Candidates(
            champion=champion,
            base=state.train,
            proposals=brought.proposals,
            edits=brought.edits,
            keep_calls=len(bench.val),
            rows=bench.train,
        ),
        number,
    )
    found = await _study(bench, state, screened, number)
    return await _accepted(bench, state, number, screened, brought, found)


async def price(bench: Bench, state: RunState) -> Priced:
    """Price the changed lines, unless nothing changed."""
    if state.champion.prompt.fingerprint == state.seed.fingerprint:
        return Priced(winner=state.champion, lines=())
    await _progress(bench, "pricing lines", 0, state)
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
    await _progress(bench, "test", 0, state)
    await bench.tell(CandidateMade(prompt=winner, round=state.round, origin="winner", parent=state.seed.fingerprint))
    look = ends.look(state.seed, winner)
    purpose = Purpose(phase=Phase.TEST, split=Split.TEST, round=state.round)
    before, after = await bench.evaluator.evaluate_all([(state.seed, bench.test), (winner, bench.test)], purpose)
    _check_errors([before, after])
    return compare(before, after, seed=bench.seed, look=look)


def _nothing_to_do(bench: Bench, state: RunState, clusters: Sequence[Cluster]) -> str:
    """Why another round is not worth its calls; empty where it is."""
    if not clusters:
        return "no train row fails"
    if state.champion.mean >= 1.0 - EPSILON:
        return "every val row is right, so no edit could show that it is better"
    if state.round >= MOST_ROUNDS:
        return f"{MOST_ROUNDS} rounds are done"
    if state.barren >= BARREN_ROUNDS:
        return f"{BARREN_ROUNDS} rounds in a row brought nothing better"
    if bench.plan.left(Phase.SEARCH) <= len(bench.val):
        return "the plan for the search cannot pay for another trial"
    return ""


async def _study(bench: Bench, state: RunState, screened: Sequence[Screened], number: int) -> Found:
    searched = space(state.champion.prompt, screened)
    if not searched.slots:
        return Found(best=state.champion, trials=0, reason="no edit passed the screen")
    return await search(bench, state.champion, searched, number, state.baseline.mean)


async def _accepted(
    bench: Bench,
    state: RunState,
    number: int,
    screened: Sequence[Screened],
    brought: Round,
    found: Found,
) -> RunState:
    """Accept by evidence, or remember what did not help; train is scored anew for a new champion."""
    better = found.best is not state.champion and is_believed(state.champion.val, found.best.val)
    paired = compare(state.champion.val, found.best.val, seed=bench.seed)
    await bench.tell(
        Decided(
            kind="accept" if better else "reject",
            round=number,
            reason=found.reason if better else f"{found.reason}: no candidate is believed to be better",
            figures={
                "candidate": found.best.prompt.fingerprint,
                "gain": paired.gain,
                "fixed": list(paired.fixed),
                "broken": list(paired.broken),
                "trials": found.trials,
                "plan_left": bench.plan.left(Phase.SEARCH),
            },
        )
    )
    learned = replace(
        state,
        round=number,
        attempts=lessons(state.attempts, screened, better),
        causes={**state.causes, **causes(screened, brought.proposals)},
    )
    if not better:
        return replace(learned, barren=state.barren + 1)
    rows = bench.train
    if bench.evaluator.cost(found.best.prompt, rows) > bench.plan.left(Phase.SEARCH):
        return await _stopped(
            bench, replace(learned, champion=found.best), "the plan cannot score the new champion on train"
        )
    train = await bench.evaluator.evaluate(found.best.prompt, rows, _search(Split.TRAIN, number))
    return replace(learned, champion=found.best, train=train, barren=0)


def lessons(
    known: Mapping[str, tuple[Attempt, ...]], screened: Sequence[Screened], better: bool
) -> dict[str, tuple[Attempt, ...]]:
    """Edits that did not help, by cluster, for the next proposal: screened out, or in a round without a winner."""
    lessons = dict(known)
    for item in screened:
        if item.tried and not (item.passed and better):
            told = f"{item.told} alone, but val did not get better" if item.passed else item.told
            attempt = Attempt(edit=item.edit, outcome=told, broke=item.worsened)
            lessons[item.edit.cluster] = (*lessons.get(item.edit.cluster, ()), attempt)
    return lessons


def causes(screened: Sequence[Screened], proposals: Mapping[str, Proposal]) -> dict[str, Cause]:
    """Which cluster each proposed line aims at, by its text; a removed line by the text that it had."""
    found: dict[str, Cause] = {}
    for item in screened:
        proposal = proposals.get(item.edit.cluster)
        if proposal:
            text = item.edit.text or proposal.prompt.line(item.edit.target or "").content
            label = "" if item.edit.source == "user" else proposal.cluster.label
            found[text] = Cause(label=label, members=len(proposal.cluster.members))
    return found


async def _stopped(bench: Bench, state: RunState, reason: str) -> RunState:
    await bench.tell(Decided(kind="stop", round=state.round, reason=reason))
    return replace(state, stopped=reason)


async def _progress(bench: Bench, step: str, number: int, state: RunState | None = None) -> None:
    best = state.champion.mean if state else None
    await bench.tell(
        Progress(
            step=step,
            round=number,
            best=best,
            gain=best - state.baseline.mean if state and best is not None else None,
            planned=len(bench.plan.asked[Phase.SEARCH]),
            limit=bench.plan.limits[Phase.SEARCH],
        )
    )


def _search(split: Split, number: int) -> Purpose:
    return Purpose(phase=Phase.SEARCH, split=split, round=number)


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
