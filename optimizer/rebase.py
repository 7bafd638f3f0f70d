"""A whole-prompt rewrite as a second base: raced against the champion, and taken by the same evidence as any candidate.

One a run, when a round brought nothing better or nothing is left to propose. It is taken apart into edits, one
parameter of the round's study each, so that one line of it which breaks rows can go without the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from optimizer.attribute import Cause
from optimizer.cluster import cluster
from optimizer.edits import LINE_OPS, Edit, Slot
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Bench, by_id
from optimizer.events import ClustersFound, Decided, EditJudged
from optimizer.failures import Cluster
from optimizer.mutate.base import Attempt, Author
from optimizer.mutate.propose import Proposers, affordable
from optimizer.mutate.propose import Round as Brought
from optimizer.mutate.validate import CheckedRewrite, check_rewrite, copied_runs
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.round import RunState, accepted, looked_anew, nothing_to_do, own_lines, progress
from optimizer.search.screen import Screening
from optimizer.search.space import Space
from optimizer.search.study import search

LABEL = "whole-prompt rewrite"
"""What its lines were made for."""


def is_due(state: RunState) -> bool:
    """Whether single edits have come to nothing, and a rewrite is left to try."""
    return not state.rewritten and (state.barren > 0 or bool(state.idle))


async def second_base(bench: Bench, proposers: Proposers, state: RunState) -> RunState:
    """Try the one rewrite of a run; where it is no better, the rounds go on as they would have."""
    idle, state = state.idle, replace(state, rewritten=True, idle="")
    if proposers.author is not None and not nothing_to_do(bench, state) and affordable(bench):
        champion = state.champion
        state = await _tried(bench, proposers.author, state)
        if state.champion is not champion:
            return state
    return await looked_anew(bench, state, idle) if idle else state


async def _tried(bench: Bench, author: Author, state: RunState) -> RunState:
    """A round whose only candidate is the rewrite."""
    number = state.round + 1
    champion = state.champion.prompt
    clusters = await asyncio.to_thread(cluster, by_id(bench.train), state.train)
    await bench.tell(ClustersFound(round=number, candidate=champion.fingerprint, clusters=clusters))
    await progress(bench, "rewriting", number, state)
    written = await _written(bench, author, state, clusters)
    if written is None or not written.edits:
        return replace(state, round=number)
    found = await search(
        bench, state.champion, base_space(champion, written, state.seed), (), number, state.baseline.mean
    )
    nothing = Screening(edits=(), results={})
    after = await accepted(bench, state, nothing, Brought(proposals={}, edits=()), found)
    # It stands beside the rounds: without a better prompt it says nothing of what single edits may still bring.
    barren = state.barren if found.best is state.champion else 0
    return replace(after, barren=barren, causes={**after.causes, **rewrite_causes(champion, found.edits)})


async def _written(bench: Bench, author: Author, state: RunState, clusters: Sequence[Cluster]) -> CheckedRewrite | None:
    """The rewrite, checked; None where the model brought none. A model that cannot write one is no fault."""
    number, champion = state.round + 1, state.champion.prompt
    bench.plan.take(Phase.SEARCH, {f"mutator:{number}:rewrite"})
    try:
        whole = await author.rewrite(champion, clusters, attempts_of(state.attempts, clusters))
    except ModelError as error:
        kind = "no rewrite" if error.kind is ErrorKind.MALFORMED else "proposal failed"
        await bench.tell(Decided(kind=kind, round=number, reason=error.message, figures={"kind": error.kind.value}))
        return None
    copied = copied_runs([line.content for line in whole.lines], [*bench.train, *bench.val, *bench.test])
    checked = check_rewrite(champion, whole, copied)
    for edit, reason in checked.refused:
        await bench.tell(EditJudged(round=number, edit=edit, outcome="refused", reason=f"refused: {reason}"))
    for edit in checked.edits:
        await bench.tell(EditJudged(round=number, edit=edit, outcome="passed", reason=f"part of a {LABEL}"))
    told = checked.reason or f"{len(checked.edits)} changes of the prompt, {len(checked.refused)} more refused"
    kind = "no rewrite" if checked.prompt is None else "rewrite"
    await bench.tell(Decided(kind=kind, round=number, reason=told))
    return checked


def base_space(champion: Prompt, written: CheckedRewrite, seed: Prompt) -> Space:
    """The changes of a rewrite as slots, all of them together the bundle."""
    slots = tuple(Slot(id=f"base/{number}", edits=(edit,)) for number, edit in enumerate(written.edits, 1))
    return Space(slots=slots, champion=champion, own=own_lines(seed))


def attempts_of(known: Mapping[str, Sequence[Attempt]], clusters: Sequence[Cluster]) -> list[Attempt]:
    """What was tried and did not help, that on the largest causes last: the last are shown."""
    order = [found.id for found in clusters]
    rank = {cluster_id: len(order) - place for place, cluster_id in enumerate(order)}
    return [attempt for key in sorted(known, key=lambda key: rank.get(key, 0)) for attempt in known[key]]


def rewrite_causes(champion: Prompt, edits: Iterable[Edit]) -> dict[str, Cause]:
    """What the lines of a rewrite were made for, by their text; a removed line by the text that it had."""
    lines = (edit for edit in edits if edit.op in LINE_OPS)
    texts = (edit.text if edit.text is not None else champion.line(edit.target or "").content for edit in lines)
    return {text: Cause(label=LABEL, members=0) for text in texts if text.strip()}
