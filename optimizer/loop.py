"""The main path: baseline, rounds, prices, test. A reducer over an explicit state.

    champion -> failures -> clusters -> edits -> screen -> study -> champion ... -> lines priced -> test -> verdict

Every step takes the state and gives the next one; all that is decided is recorded with what it rested on. Resume is
running it again: what is known is not asked again, and nothing depends on the clock or on the order of arrival.
What computes for long on many rows does so in a thread, so that the display and Ctrl-C do not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from optimizer.attribute import Known, Priced, attribute
from optimizer.baseline import Baseline, check_errors
from optimizer.baseline import baseline as first
from optimizer.choice import Checked, checked, settled, shortened, the_front, unpriced
from optimizer.dataset import Split, groups_of
from optimizer.errors import BudgetExceeded
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided, RunEnded
from optimizer.missed import missed
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Comparison, Outcome, Phase
from optimizer.prompt import Prompt
from optimizer.protect import broken
from optimizer.prune import joined, prune
from optimizer.rebase import is_due, second_base
from optimizer.rethink import is_doubtful, rethought
from optimizer.round import RunState, one_round, progress
from optimizer.search.study import Champion
from optimizer.stats import compare
from optimizer.verdict import harmed, verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """What the end of a run needs of the world outside."""

    look: Callable[[Prompt, Prompt], int]
    """Counts a look at the test split by (seed, winner), and says which it is."""
    ship: Callable[[Prompt, Outcome], Decided]
    """Writes the winner's version file, and says where; called where the winner is not the seed."""
    release: Callable[[], None] = lambda: None
    """Called once, after the search and the prices: what the budget held back for the end may be spent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A run that came to its end."""

    outcome: Outcome
    """The claim."""
    winner: Prompt
    """The prompt that it ends with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """What the sealed rows showed; nothing where they stay sealed."""

    paired: Comparison | None = None
    """Seed and winner, row by row."""
    held: int = 0
    """Protected test rows that passed with the seed."""
    broken: tuple[str, ...] = ()
    """Those that do not pass with the winner."""
    harms: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Required metric -> rows broken and mended, where it got worse."""


async def run(bench: Bench, seed: Prompt, proposers: Proposers, ends: Ends, known: Baseline | None = None) -> Finished:
    """Run to the end, from the baseline on, where that is not known.

    Where the budget ends the rounds or the prices, the best prompt so far is tested with what was held back for it.
    Raises BudgetExceeded where nothing better was found by then, ProviderError or StoreError where the run cannot go
    on; it can be resumed then.
    """
    state = begun(seed, known) if known is not None else await baseline(bench, seed)
    state = replace(state, rewritten=proposers.author is None)
    while not state.stopped:
        try:
            state = await step(state)(bench, proposers, state)
        except BudgetExceeded as error:
            state = await _cut_short(bench, state, error)
    state = await answered(bench, state)
    best, state = state.champion, await answered(bench, await settled(bench, state))
    priced = await price(bench, state)
    ends.release()
    return await finish(bench, ends, state, await checked(bench, state, priced, (state.champion, best)))


def step(state: RunState) -> Callable[[Bench, Proposers, RunState], Awaitable[RunState]]:
    """What comes next while the rounds go on."""
    if is_due(state):
        return second_base
    return rethought if is_doubtful(state) else one_round


async def baseline(bench: Bench, seed: Prompt) -> RunState:
    """The seed on train and val."""
    return begun(seed, await first(bench, seed))


def begun(seed: Prompt, known: Baseline) -> RunState:
    """Where a run is after its baseline."""
    champion = Champion(prompt=seed, val=known.val)
    return RunState(seed=seed, baseline=champion, champion=champion, train=known.train)


async def answered(bench: Bench, state: RunState) -> RunState:
    """The state with a champion that answered all val rows itself, where the plan and the budget reach.

    Within the search a few answers may be those of a near relative; prices and reports rest on none of these.
    """
    champion = state.champion
    prompt, known = champion.prompt, champion.val.results.values()
    cost = bench.evaluator.cost(prompt, bench.val)
    phase = next((one for one in (Phase.SEARCH, Phase.ATTRIBUTION) if cost <= bench.plan.left(one)), None)
    if phase is None or all(result.candidate == prompt.fingerprint for result in known):
        return state
    if phase is Phase.ATTRIBUTION:
        await progress(bench, "completing the winner", 0, state)
    try:
        val = await bench.evaluator.evaluate(
            prompt, bench.val, Purpose(phase=phase, split=Split.VAL, round=state.round)
        )
    except BudgetExceeded:
        return state
    sure = replace(champion, val=val)
    scored = tuple(sure if one.prompt.fingerprint == prompt.fingerprint else one for one in state.scored)
    return replace(state, champion=sure, scored=scored)


async def price(bench: Bench, state: RunState) -> Priced:
    """Take away what says nothing, then price the changed lines, unless nothing changed."""
    winner = state.champion
    if winner.prompt.fingerprint == state.seed.fingerprint:
        return Priced(winner=winner, lines=())
    await progress(bench, "pricing lines", 0, state)
    try:
        pruned = await prune(bench, state)
        known = Known(first=state.seed, train=state.train)
        priced = await attribute(bench, pruned.seed, pruned.winner, state.causes, known)
    except BudgetExceeded as error:
        told = f"the budget ended the pricing of lines: {_first(error)}"
        await bench.tell(Decided(kind="stop", round=state.round, reason=told))
        return unpriced(state, winner)
    return await missed(bench, state, await shortened(bench, state, await joined(bench, state, pruned, priced)))


async def finish(bench: Bench, ends: Ends, state: RunState, end: Checked) -> Finished:
    """Test baseline and winner once, and claim no more than that shows.

    Where a protected row of train or val breaks, no test is made: such a winner is not to ship, whatever it gains.
    """
    winner = end.priced.winner
    changed = winner.prompt.fingerprint != state.seed.fingerprint
    # What rests on val alone is computed while the test is asked: nobody waits for it.
    beside = asyncio.create_task(asyncio.to_thread(_of_val, bench, state, end.priced))
    try:
        test = await _tested(bench, ends, state, winner.prompt) if changed and not end.broken else Tested()
    finally:
        await asyncio.wait((beside,))
    on_val, front = beside.result()
    fell = end.broken or test.broken
    claim, reason = verdict(
        test.paired,
        rows=len(bench.test),
        stopped=state.stopped,
        refused=state.refused or _gone(state, winner.prompt),
        broken=fell,
        harms=test.harms,
    )
    if state.cut_short:
        reason += "; the budget ended the search early: a larger one searches further"
    outcome = Outcome(
        verdict=claim,
        reason=reason,
        test=test.paired,
        val=on_val,
        lines=end.priced.lines,
        seed=state.seed.fingerprint,
        winner=winner.prompt.fingerprint,
        figures={f"planned_{phase.value}": float(len(bench.plan.asked[phase])) for phase in Phase},
        protected=end.held + test.held,
        broken=fell,
    )
    await bench.tell(front)
    await bench.tell(Decided(kind="verdict", round=state.round, reason=f"{claim}: {reason}"))
    if changed:
        await bench.tell(ends.ship(winner.prompt, outcome))
    await bench.tell(RunEnded(outcome=outcome))
    return Finished(outcome=outcome, winner=winner.prompt)


async def _tested(bench: Bench, ends: Ends, state: RunState, winner: Prompt) -> Tested:
    """Open the sealed rows: the seed and the winner on test, as one look."""
    await progress(bench, "test", 0, state)
    await bench.tell(CandidateMade(prompt=winner, round=state.round, origin="winner", parent=state.seed.fingerprint))
    look = ends.look(state.seed, winner)
    purpose = Purpose(phase=Phase.TEST, split=Split.TEST, round=state.round)
    before, after = await bench.evaluator.evaluate_all([(state.seed, bench.test), (winner, bench.test)], purpose)
    check_errors([before, after])
    return Tested(
        paired=await asyncio.to_thread(
            compare, before, after, seed=bench.seed, look=look, groups=groups_of(bench.test)
        ),
        held=sum(row in bench.protected and result.passed for row, result in before.results.items()),
        broken=broken(before, after, bench.protected),
        harms=harmed(before, after),
    )


def _of_val(bench: Bench, state: RunState, priced: Priced) -> tuple[Comparison | None, Decided]:
    """Seed and winner on val, None where they are one; and the front of all candidates there."""
    before, after = state.baseline.val, priced.winner.val
    changed = priced.winner.prompt.fingerprint != state.seed.fingerprint
    paired = compare(before, after, seed=bench.seed, groups=groups_of(bench.val)) if changed else None
    return paired, the_front(bench, state, priced)


async def _cut_short(bench: Bench, state: RunState, error: BudgetExceeded) -> RunState:
    """End the rounds with the best so far; where that is the seed there is nothing to test, and the run stops."""
    if state.champion.prompt.fingerprint == state.seed.fingerprint:
        raise error
    reason = f"the budget ended the search: {_first(error)}"
    await bench.tell(Decided(kind="stop", round=state.round, reason=reason))
    return replace(state, stopped=reason, cut_short=True)


def _gone(state: RunState, winner: Prompt) -> str:
    """Why the run ends with the seed, where its champion was another prompt; else empty."""
    if winner.fingerprint != state.seed.fingerprint or state.champion.prompt.fingerprint == winner.fingerprint:
        return ""
    return "a prompt seemed better on val, but none of its lines earned when it was priced, and all of them went"


def _first(error: BudgetExceeded) -> str:
    """What happened, without what to do: here the run goes on."""
    return str(error).partition(";")[0]
