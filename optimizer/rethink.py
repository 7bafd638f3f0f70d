"""Lines that reach too far: taken out and found anew, when single edits bring nothing more.

A line that was read off a few rows may say more than they show, and a line of the seed may be wrong. To take one out
mends nothing by itself: the rows that it is for fail then. To add the right one beside it mends nothing either. So
lines that wrong answers follow are taken out together, what fails without them is proposed for, and the two together
are one candidate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from optimizer.attribute import NO_CAUSE
from optimizer.cluster import cluster
from optimizer.dataset import Split, display
from optimizer.edits import Edit, Op, Slot, apply
from optimizer.evaluator import Bench, by_id, judges
from optimizer.events import CandidateMade, ClustersFound, Decided
from optimizer.failures import Cluster
from optimizer.mutate.propose import Proposers, proposals_for, propose
from optimizer.mutate.validate import objection
from optimizer.outcome import Phase
from optimizer.prompt import Line, Prompt
from optimizer.protect import broken
from optimizer.results import Evaluation
from optimizer.round import RunState, accepted, is_right, joined, nothing_to_do, own_lines, progress, searching, stopped
from optimizer.search.again import again, settled
from optimizer.search.screen import Candidates, screen
from optimizer.search.space import Space, space
from optimizer.search.study import BELIEVED, Champion, Found, search
from optimizer.stats import posterior_better
from optimizer.wording import WORD

MOST_DOUBTED = 3
"""Lines that are taken out together."""
LEAST_WRONG = 3
"""Wrong answers that must follow a line before it is doubted."""


async def rethought(bench: Bench, proposers: Proposers, state: RunState) -> RunState:
    """A round that finds doubted lines anew; the end of the rounds where there are none, or no room for it."""
    champion = state.champion
    number = state.round + 1
    if nothing_to_do(bench, replace(state, barren=0)) or not _affords(bench, champion.prompt):
        return await _none(bench, state)
    unasked = [row.id for row in bench.train if bench.evaluator.cost(champion.prompt, [row])]
    train = await bench.evaluator.evaluate(champion.prompt, bench.train, searching(Split.TRAIN, number))
    fresh = {row: train.results[row] for row in unasked}
    doubted = doubts(bench, state, (train, champion.val))
    if not doubted:
        return await _none(bench, replace(state, train=joined(state.train, fresh)))
    reason = state.ending or "the last round brought nothing better"
    await bench.tell(
        Decided(
            kind="rethink",
            round=number,
            reason=f"{reason}: what {', '.join(line.id for line in doubted)} are for is looked at without them",
            figures={"lines": [line.id for line in doubted]},
        )
    )
    state = replace(state, doubted=state.doubted | {line.content for line in doubted})
    after = await _tried(bench, proposers, state, train, doubted)
    if after.champion is champion:
        return replace(after, barren=state.barren, train=joined(after.train, fresh))
    return replace(after, ending="")


def is_doubtful(state: RunState) -> bool:
    """Whether single edits have come to nothing, and lines of this champion may be doubted."""
    return bool(state.ending) or (state.barren > 0 and state.weighed != state.champion.prompt.fingerprint)


async def _none(bench: Bench, state: RunState) -> RunState:
    """No line of this champion is left to doubt."""
    if state.ending:
        return await stopped(bench, state, state.ending)
    return replace(state, weighed=state.champion.prompt.fingerprint)


def _affords(bench: Bench, prompt: Prompt) -> bool:
    """Whether the plan has room for the round: twice train, twice val, and as much as that for what it finds."""
    cost = bench.evaluator.cost(prompt, bench.train)
    return cost + 2 * bench.evaluator.requests([*bench.train, *bench.val]) <= bench.plan.left(Phase.SEARCH)


def doubts(bench: Bench, state: RunState, known: Sequence[Evaluation]) -> list[Line]:
    """Lines that most wrong answers follow; of the seed's own only those that a proposer would have changed in vain.

    Locked lines, those that the output's format needs and those doubted before are left out.
    """
    prompt = state.champion.prompt
    rows = {row.id: row for row in (*bench.train, *bench.val)}
    count: Counter[str] = Counter()
    for evaluation in known:
        for result in evaluation.failures:
            said = _words(result.output) - _words(display(rows[result.example].expected))
            count.update(followed(prompt, said))
    own = {line.content for line in state.seed.lines}
    named = {attempt.edit.target for tried in state.attempts.values() for attempt in tried}
    found = [
        line
        for line in prompt.lines
        if count[line.id] >= LEAST_WRONG
        and line.content not in state.doubted
        and (line.content not in own or line.id in named)
        and objection(_removal(line), prompt, frozenset()) is None
    ]
    return sorted(found, key=lambda line: -count[line.id])[:MOST_DOUBTED]


def followed(prompt: Prompt, said: Collection[str]) -> list[str]:
    """Ids of the lines that share most words with what was said; none where no line shares any."""
    shared = {line.id: len(_words(line.content) & set(said)) for line in prompt.lines}
    most = max(shared.values(), default=0)
    return [line for line, number in shared.items() if most and number == most]


async def _tried(
    bench: Bench, proposers: Proposers, state: RunState, train: Evaluation, doubted: Sequence[Line]
) -> RunState:
    """A round without these lines: what fails then is proposed for and screened, and weighed with their removal."""
    number, champion, own = state.round + 1, state.champion.prompt, own_lines(state.seed)
    removals = tuple(_removal(line) for line in doubted)
    base = apply(champion, removals)
    await bench.tell(CandidateMade(prompt=base, round=number, origin="rethink", parent=champion.fingerprint))
    theirs = _rows_of(state, doubted)
    rows = [row for row in judges(base, bench.train) if row.id in theirs or not is_right(train, row.id)]
    without = await bench.evaluator.evaluate(base, rows, searching(Split.TRAIN, number))
    known = joined(train, without.results)
    every = await asyncio.to_thread(cluster, by_id(bench.train), known)
    clusters = tuple(found for found in every if _is_asked(found, theirs))
    await bench.tell(ClustersFound(round=number, candidate=base.fingerprint, clusters=clusters))
    proposals = proposals_for(base, clusters, known, by_id(bench.train), {})
    brought = await propose(bench, proposers, proposals, number)
    await progress(bench, "screening", number, state)
    keep_calls = bench.evaluator.requests([*bench.train, *bench.train, *bench.val])
    wanted = Candidates(
        champion=base, base=known, proposals=brought.proposals, edits=brought.edits, own=own, keep_calls=keep_calls
    )
    screening = await screen(bench, wanted, number)
    if not any(item.passed for item in screening.edits):
        await bench.tell(Decided(kind="reject", round=number, reason="nothing was found in place of these lines"))
        return replace(state, round=number)
    adds = space(champion, screening.edits, own, screening.behind)
    slots = (*(Slot(id=edit.slot, edits=(edit,)) for edit in removals), *adds.slots)
    searched = replace(adds, slots=slots)
    # Rows that were right before speak for no edit: they fail for want of the line that was taken out.
    gains = [
        replace(item, mended=tuple(row for row in item.mended if not is_right(state.train, row)))
        for item in screening.edits
    ]
    found = await search(bench, state.champion, searched, gains, number, state.baseline.mean)
    if found.best is state.champion:
        found = await _touched(bench, state.champion, searched, found, number)
    return await accepted(bench, state, screening, brought, found)


def _removal(line: Line) -> Edit:
    return Edit(op=Op.REMOVE_LINE, target=line.id, why="wrong answers follow it", source="rethink")


def _rows_of(state: RunState, doubted: Sequence[Line]) -> set[str]:
    """Train rows that the lines were made for, as far as that is known."""
    made = [state.causes.get(line.content, NO_CAUSE) for line in doubted]
    return {row for cause in made for row in cause.mended | cause.shown}


def _is_asked(found: Cluster, rows: Collection[str]) -> bool:
    """Whether a cause is worth a call here: it holds a row of a line that was taken out, or is none of one row."""
    return len(found.members) > 1 or found.members[0].example.id in rows


async def _touched(bench: Bench, champion: Champion, searched: Space, found: Found, number: int) -> Found:
    """Weigh the bundle on all rows, of which those count in which the answer went to or from what the edits say.

    A line that reaches too far wins now and then, on another row each time, so no row is lost for good. Both sides
    answer all rows; the champion under a placebo, since its answers so far chose what is doubted.
    """
    choices = searched.without(searched.bundle, found.harmful)
    candidate, edits = searched.candidate(choices), searched.edits(choices)
    if candidate.fingerprint == champion.prompt.fingerprint:
        return found
    rows = [*bench.train, *bench.val]
    if 2 * bench.evaluator.requests(rows) > bench.plan.left(Phase.SEARCH):
        return found
    parent, on_val = champion.prompt, searching(Split.VAL, number)
    old = await again(bench, parent, rows, searching(Split.TRAIN, number))
    await bench.tell(CandidateMade(prompt=candidate, round=number, origin="rethink", parent=parent.fingerprint))
    train = await bench.evaluator.evaluate(candidate, bench.train, searching(Split.TRAIN, number))
    val = await bench.evaluator.evaluate(candidate, bench.val, on_val)
    new = Evaluation(candidate=candidate.fingerprint, results={**train.results, **val.results})
    gone = [parent.line(edit.target).content for edit in edits if edit.target]
    up, down = touched(old, new, gone, [edit.text or "" for edit in edits])
    told = f"of the answers that these lines touch {up} got better and {down} worse"
    sure = await settled(bench, (parent, candidate), (champion.val, val), bench.val, on_val)
    worse = posterior_better(len(sure.down), len(sure.up)) > BELIEVED
    fell = broken(champion.val, val, bench.protected) or bench.protected & sure.down.keys()
    if fell or worse or up <= down or posterior_better(up, down) <= BELIEVED:
        return replace(found, reason=f"{found.reason}; {told}")
    return replace(found, best=Champion(prompt=candidate, val=val), edits=edits, reason=told)


def touched(old: Evaluation, new: Evaluation, gone: Sequence[str], come: Sequence[str]) -> tuple[int, int]:
    """Rows that got right and wrong where the answer lost words of lines that went, or got words of those that came."""
    went, came = _words(" ".join(gone)), _words(" ".join(come))
    up = down = 0
    for row in old.results.keys() & new.results.keys():
        before, after = old.results[row], new.results[row]
        if before.error or after.error or before.passed == after.passed:
            continue
        said, says = _words(before.output), _words(after.output)
        if (said - says) & went or (says - said) & came:
            up, down = up + after.passed, down + before.passed
    return up, down


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in WORD.findall(text))
