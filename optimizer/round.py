"""One round: champion -> failures -> clusters -> edits -> screen -> study -> champion.

Takes the state of a run and gives the next one; all that is decided is recorded with what it rested on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute import Cause
from optimizer.cluster import cluster
from optimizer.dataset import Split, groups_of
from optimizer.evaluator import Bench, Purpose, by_id
from optimizer.events import ClustersFound, Decided, Progress
from optimizer.failures import Cluster
from optimizer.mutate.base import Attempt, Proposal
from optimizer.mutate.propose import Proposers, Round, proposals_for, propose
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.screen import Candidates, Screened, screen
from optimizer.search.space import space
from optimizer.search.study import Champion, Found, is_believed, search
from optimizer.stats import EPSILON, compare

MOST_ROUNDS = 8
BARREN_ROUNDS = 3
"""Rounds in a row without a new champion after which the search ends."""


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
    refused: str = ""
    """Why the best prompt on val may not be taken; empty where it may."""
    cut_short: bool = False
    """Whether the budget ended the rounds before they came to their end."""
    scored: tuple[Champion, ...] = ()
    """Candidates scored on all val rows, the seed and every champion among them: what a shorter one is chosen from."""


async def one_round(bench: Bench, proposers: Proposers, state: RunState) -> RunState:
    """Champion -> failures -> clusters -> edits -> study -> champion."""
    number = state.round + 1
    examples = by_id(bench.train)
    clusters = cluster(examples, state.train)
    champion = state.champion.prompt
    await bench.tell(ClustersFound(round=number, candidate=champion.fingerprint, clusters=clusters))
    if stop := _nothing_to_do(bench, state, clusters):
        return await _stopped(bench, state, stop)
    await progress(bench, "proposing", number, state)
    proposals = proposals_for(champion, clusters, state.train, examples, state.attempts)
    brought = await propose(bench, proposers, proposals, number)
    if not brought.edits:
        return await _stopped(bench, state, "no edit is left to try")
    await progress(bench, "screening", number, state)
    screened = await screen(
        bench,
        Candidates(
            champion=champion,
            base=state.train,
            proposals=brought.proposals,
            edits=brought.edits,
            keep_calls=bench.evaluator.requests(bench.val),
            rows=bench.train,
        ),
        number,
    )
    found = await _study(bench, state, screened, number)
    return await _accepted(bench, state, number, screened, brought, found)


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
    if bench.plan.left(Phase.SEARCH) <= bench.evaluator.requests(bench.val):
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
    paired = compare(state.champion.val, found.best.val, seed=bench.seed, groups=groups_of(bench.val))
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
        scored=(*state.scored, *([found.best] if found.best is not state.champion else [])),
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
    train = await bench.evaluator.evaluate(found.best.prompt, rows, searching(Split.TRAIN, number))
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


async def progress(bench: Bench, step: str, number: int, state: RunState | None = None) -> None:
    """Tell the live display where the run is."""
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


def searching(split: Split, number: int) -> Purpose:
    """What rows of this split are scored for while the search goes on."""
    return Purpose(phase=Phase.SEARCH, split=split, round=number)
