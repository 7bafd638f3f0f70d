"""One round: champion -> failures -> clusters -> edits -> screen -> study -> champion.

Takes the state of a run and gives the next one; all that is decided is recorded with what it rested on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute import NO_CAUSE, Cause
from optimizer.cluster import cluster
from optimizer.dataset import Split
from optimizer.edits import Edit
from optimizer.evaluator import Bench, Purpose, by_id, judges
from optimizer.events import ClustersFound, Decided, Progress
from optimizer.failures import Cluster
from optimizer.mutate.base import Attempt, Proposal
from optimizer.mutate.llm import MOST_MEMBERS
from optimizer.mutate.propose import MOST_TIMES, THIN, Proposers, Round, proposals_for, propose
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation, Result
from optimizer.search.again import again, room_for
from optimizer.search.screen import Candidates, Screened, Screening, screen
from optimizer.search.space import space
from optimizer.search.study import Champion, Found, search
from optimizer.stats import EPSILON, changed_rows, differences_of

MOST_ROUNDS = 12
MOST_AGAIN = 0.4
"""Share of train up to which all failing rows are asked again before anything is proposed for them."""
SMALL = 5
"""With more of them, only those in clusters of so few rows are; else those in thin ones."""
BARREN_ROUNDS = 4
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
    """The champion on train, as far as it was asked; else near relatives of it: its edits on the way to it."""
    round: int = 0
    """Rounds ended."""
    barren: int = 0
    """Rounds in a row without a new champion."""
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    """Cluster id -> edits that did not help."""
    shown: Mapping[str, int] = field(default_factory=dict)
    """Train row -> how often proposers were shown it as a failure."""
    causes: Mapping[str, Cause] = field(default_factory=dict)
    """Text of a line that was added, replaced or removed -> what that was proposed for."""
    rewritten: bool = True
    """Whether no whole-prompt rewrite is left to try: one was, or no model writes any."""
    idle: str = ""
    """Why nothing was left to propose; empty where that is not so."""
    doubted: frozenset[str] = frozenset()
    """Texts of lines that were taken out and found anew, or not."""
    weighed: str = ""
    """Fingerprint of a champion none of whose lines is left to doubt."""
    ending: str = ""
    """Why the rounds would end, were no line doubted; empty where that is not so."""
    stopped: str = ""
    """Why the rounds ended; empty while they go on."""
    refused: str = ""
    """Why the best prompt on val may not be taken; empty where it may."""
    cut_short: bool = False
    """Whether the budget ended the rounds before they came to their end."""
    scored: tuple[Champion, ...] = ()
    """Candidates scored on all val rows, the seed and every champion among them: what a shorter one is chosen from."""


async def one_round(bench: Bench, proposers: Proposers, state: RunState) -> RunState:
    """Champion -> failures -> clusters -> edits -> screen -> study -> champion."""
    number = state.round + 1
    examples = by_id(bench.train)
    champion = state.champion.prompt
    stop = nothing_to_do(bench, state)
    state = state if stop else await _confirmed(bench, state, number)
    clusters = await asyncio.to_thread(cluster, examples, state.train)
    await bench.tell(ClustersFound(round=number, candidate=champion.fingerprint, clusters=clusters))
    if stop and state.barren >= BARREN_ROUNDS:
        return replace(state, ending=stop)
    if stop:
        return await stopped(bench, state, stop if clusters else "no train row fails")
    await progress(bench, "proposing", number, state)
    proposals = proposals_for(champion, clusters, state.train, examples, state.attempts, state.shown)
    if not proposals:
        return await looked_anew(bench, state, "no train row fails" if not clusters else "nothing mends what is left")
    brought = await propose(bench, proposers, proposals, number)
    if not brought.edits:
        shown = count_shown(state.shown, brought.proposals)
        return await looked_anew(bench, replace(state, shown=shown), "no edit is left to try")
    await progress(bench, "screening", number, state)
    screening = await screen(
        bench,
        Candidates(
            champion=champion,
            base=state.train,
            proposals=brought.proposals,
            edits=brought.edits,
            own=own_lines(state.seed),
            keep_calls=bench.evaluator.requests(bench.val),
        ),
        number,
    )
    found = await _study(bench, state, screening, number)
    return await accepted(bench, state, screening, brought, found)


async def _confirmed(bench: Bench, state: RunState, number: int) -> RunState:
    """Ask once more about rows that fail in small company: what is right under a placebo failed by chance."""
    clusters = await asyncio.to_thread(cluster, by_id(bench.train), state.train)
    most = MOST_AGAIN * len(bench.train)
    doubted = next(
        (
            small
            for size in (len(bench.train), SMALL)
            if len(small := rows_of([found for found in clusters if len(found.members) <= size])) <= most
        ),
        rows_of([found for found in clusters if len(found.members) <= THIN]),
    )
    rows = [row for row in bench.train if row.id in doubted and state.shown.get(row.id, 0) < MOST_TIMES]
    room = bench.plan.left(Phase.SEARCH) - bench.evaluator.requests(bench.val)
    if not rows or not room_for(bench, state.champion.prompt, rows, room):
        return state
    second = await again(bench, state.champion.prompt, rows, searching(Split.TRAIN, number))
    told = {row.id: _luck(state.train, second, row.id) for row in judges(state.champion.prompt, rows)}
    return replace(state, train=joined(state.train, told))


def rows_of(clusters: Sequence[Cluster]) -> set[str]:
    """Ids of all members."""
    return {member.example.id for found in clusters for member in found.members}


def _luck(train: Evaluation, second: Evaluation, row: str) -> Result:
    """The result without the failures that a second try does not have: they were bad luck."""
    first, later = train.results[row], second.results[row]
    if later.passed:
        # Proposers are shown answers: the wrong one would stand for a right one.
        return later
    right = {score.metric: score for score in later.scores if score.passed}
    return replace(first, scores=tuple(right.get(score.metric, score) for score in first.scores))


async def looked_anew(bench: Bench, state: RunState, reason: str) -> RunState:
    """Score the rows of train that the champion itself was not asked about; stop where there is none, or no room.

    Before that, a whole-prompt rewrite may mend what single edits do not: the loop tries it where one is left.
    """
    if not state.rewritten:
        return replace(state, idle=reason)
    prompt = state.champion.prompt
    number = state.round + 1
    cost = bench.evaluator.cost(prompt, bench.train)
    if not cost or cost + bench.evaluator.requests(bench.val) > bench.plan.left(Phase.SEARCH):
        return replace(state, ending=reason)
    train = await bench.evaluator.evaluate(prompt, bench.train, searching(Split.TRAIN, number))
    await bench.tell(
        Decided(kind="look anew", round=number, reason=f"{reason}: all train rows are scored with the best prompt")
    )
    return replace(state, train=train, round=number)


def nothing_to_do(bench: Bench, state: RunState) -> str:
    """Why another round is not worth its calls; empty where it is."""
    if state.champion.mean >= 1.0 - EPSILON:
        return "every val row is right, so no edit could show that it is better"
    if state.round >= MOST_ROUNDS:
        return f"{MOST_ROUNDS} rounds are done"
    if state.barren >= BARREN_ROUNDS:
        return f"{BARREN_ROUNDS} rounds in a row brought nothing better"
    if bench.plan.left(Phase.SEARCH) <= bench.evaluator.requests(bench.val):
        return "the plan for the search cannot pay for another trial"
    return ""


async def _study(bench: Bench, state: RunState, screening: Screening, number: int) -> Found:
    searched = space(state.champion.prompt, screening.edits, own_lines(state.seed), screening.behind)
    if not searched.slots:
        return Found(best=state.champion, trials=0, reason="no edit passed the screen")
    return await search(bench, state.champion, searched, screening.edits, number, state.baseline.mean)


async def accepted(bench: Bench, state: RunState, screening: Screening, brought: Round, found: Found) -> RunState:
    """Take the new champion, or remember what did not help."""
    number = state.round + 1
    better = found.best is not state.champion
    gains = differences_of(state.champion.val, found.best.val).values()
    fixed, broken = changed_rows(state.champion.val, found.best.val)
    await bench.tell(
        Decided(
            kind="accept" if better else "reject",
            round=number,
            reason=found.reason,
            figures={
                "candidate": found.best.prompt.fingerprint,
                "gain": sum(gains) / len(gains) if gains else 0.0,
                "fixed": list(fixed),
                "broken": list(broken),
                "trials": found.trials,
                "plan_left": bench.plan.left(Phase.SEARCH),
            },
        )
    )
    kept = frozenset(edit.id for edit in found.edits)
    learned = replace(
        state,
        round=number,
        scored=(*state.scored, *([found.best] if found.best is not state.champion else [])),
        attempts=lessons(state.attempts, screening.edits, kept, found.harmful),
        causes={**state.causes, **causes(found.edits, screening.edits, brought.proposals)},
        shown=count_shown(state.shown, brought.proposals),
    )
    if not better:
        return replace(learned, barren=state.barren + 1)
    return await _followed(bench, replace(learned, champion=found.best, barren=0), screening, number)


async def _followed(bench: Bench, state: RunState, screening: Screening, number: int) -> RunState:
    """What is known of the new champion on train: rows that were tried with its edits, and those that still fail.

    Rows that pass are not asked again at once: few of them break, and val shows whether they do.
    """
    rows = judges(state.champion.prompt, bench.train)
    train = joined(state.train, screening.results).only([row.id for row in rows])
    stale = [row for row in rows if row.id not in screening.results and not is_right(train, row.id)]
    if bench.evaluator.cost(state.champion.prompt, stale) <= bench.plan.left(Phase.SEARCH) - bench.evaluator.requests(
        bench.val
    ):
        more = await bench.evaluator.evaluate(state.champion.prompt, stale, searching(Split.TRAIN, number))
        train = joined(train, more.results)
    return replace(state, train=train)


def is_right(train: Evaluation, row: str) -> bool:
    """Whether a row is known to pass."""
    return row in train.results and train.results[row].passed


def own_lines(seed: Prompt) -> frozenset[str]:
    """Ids of the lines that the run began with."""
    return frozenset(line.id for line in seed.lines)


def joined(known: Evaluation, newer: Mapping[str, Result]) -> Evaluation:
    """Results of near relatives of a champion, the newest of each row that is no error where one is known."""
    ran = {row: result for row, result in newer.items() if result.error is None or row not in known.results}
    return Evaluation(candidate=known.candidate, results={**known.results, **ran})


def count_shown(shown: Mapping[str, int], proposals: Mapping[str, Proposal]) -> dict[str, int]:
    """How often each failing row was shown to proposers."""
    counts = Counter(shown)
    for row in {member.example.id for found in proposals.values() for member in found.cluster.members[:MOST_MEMBERS]}:
        counts[row] += 1
    return dict(counts)


def lessons(
    known: Mapping[str, tuple[Attempt, ...]],
    screened: Sequence[Screened],
    kept: frozenset[str],
    harmful: frozenset[str],
) -> dict[str, tuple[Attempt, ...]]:
    """Edits that did not help, by cluster, for the next proposal."""
    lessons = dict(known)
    for item in screened:
        if item.tried and item.edit.id not in kept:
            told = item.told
            if item.edit.id in harmful:
                told += ", and broke rows that were right"
            elif item.passed:
                told += ", but the rows that choose did not get better"
            attempt = Attempt(edit=item.edit, outcome=told)
            lessons[item.edit.cluster] = (*lessons.get(item.edit.cluster, ()), attempt)
    return lessons


def causes(made: Sequence[Edit], screened: Sequence[Screened], proposals: Mapping[str, Proposal]) -> dict[str, Cause]:
    """What each line of the new champion was made for, by its text; a removed line by the text that it had."""
    ids = {edit.id for edit in made}
    found: dict[str, Cause] = {}
    for item in screened:
        proposal = proposals.get(item.edit.cluster)
        if proposal is None or item.edit.id not in ids:
            continue
        text = item.edit.text or proposal.prompt.line(item.edit.target or "").content
        before = found.get(text, NO_CAUSE)
        members = proposal.cluster.members
        found[text] = Cause(
            label=before.label or ("" if item.edit.source == "user" else proposal.cluster.label),
            members=before.members + len(members),
            shown=before.shown | {member.example.id for member in members[:MOST_MEMBERS]},
            mended=before.mended | set(item.mended),
        )
    return found


async def stopped(bench: Bench, state: RunState, reason: str) -> RunState:
    """The end of the rounds."""
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
