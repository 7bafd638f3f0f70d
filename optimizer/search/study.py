"""One Optuna study a round: one categorical parameter a slot, trials raced on val.

The bundle of all edits comes first. It is taken apart only where it breaks rows for good: the edits that break them are
found on those rows alone. The study lives in memory and is rebuilt by asking again: the sampler's seed is a function of
(run seed, round), and every answer is a function of stored results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.dataset import Split
from optimizer.edits import Edit
from optimizer.evaluator import Bench, Purpose, fits
from optimizer.events import CandidateMade, Progress, TrialEnded
from optimizer.outcome import Phase, Trial
from optimizer.prompt import Prompt
from optimizer.protect import broken
from optimizer.results import Evaluation
from optimizer.search.again import Changed, raw, settled
from optimizer.search.culprits import Broke, culprits
from optimizer.search.race import race
from optimizer.search.sampler import Sampler
from optimizer.search.screen import Screened
from optimizer.search.space import Choices, Space, sampler_seed
from optimizer.stats import EPSILON, differences_of, lost_rows, posterior_better, signs

BELIEVED = 0.8
"""Posterior probability of being better from which a candidate is accepted in the loop."""
CLEAR = (0.02, 0.995)
"""Within these posteriors rows that changed are asked again; outside them luck could not turn the choice."""
PATIENCE = 2
"""Trials that are not believed to be better after which the study ends."""
ROUND_SHARE = 0.4
"""Part of what is left of the search's plan that one round's trials may use: later rounds meet later causes."""
STITCHED = 15
"""Val rows changed for good up to which a candidate without its culprits is asked about changed rows alone."""
REPEATS = 8
"""Suggestions already scored, in a row, after which the space counts as searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Champion:
    """A prompt that may be beaten, with its results on val."""

    prompt: Prompt
    """The prompt."""
    val: Evaluation
    """All val rows. Within the search a few may come from a near relative: the same prompt with one edit more."""

    @property
    def mean(self) -> float:
        """Mean val score."""
        return self.val.mean or 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a study found."""

    best: Champion
    """The candidate that is believed to be better; the champion itself where none is."""
    trials: int
    """Trials told to the study."""
    reason: str
    """Why it ended."""
    edits: tuple[Edit, ...] = ()
    """What the best one changes."""
    harmful: frozenset[str] = frozenset()
    """Ids of edits that were found to break more than they mend."""


def is_believed(before: Evaluation, after: Evaluation) -> bool:
    """Evidence for a choice, no claim: a higher mean, and fixed exceeds broken with posterior over 0.8.

    Rows lost to an error count as broken here: they are in no mean, so the rows that are left would look better.
    """
    differences = list(differences_of(before, after).values())
    found = signs(differences)
    return sum(differences) > EPSILON and posterior_better(found.up, found.down + lost_rows(before, after)) > BELIEVED


async def search(
    bench: Bench, champion: Champion, space: Space, screened: Sequence[Screened], round_number: int, floor: float
) -> Found:
    """Search the space for a candidate better than the champion.

    Args:
        bench: what candidates are scored with.
        champion: the prompt to beat.
        space: the slots.
        screened: what each edit mended on train.
        round_number: 1 for the first; part of the sampler's seed.
        floor: val mean of the run's baseline, for the progress display.
    """
    mended: dict[str, int] = {}
    for item in screened:
        if item.passed:
            mended[item.edit.id] = mended.get(item.edit.id, 0) + len(item.mended) - item.placebo
    hunt = _Hunt(bench=bench, champion=champion, space=space, round=round_number, floor=floor, mended=mended)
    hunt.allowance = max(int(bench.plan.left(Phase.SEARCH) * ROUND_SHARE), bench.evaluator.requests(bench.val))
    seed = sampler_seed(bench.seed, round_number)
    # The first one imports Optuna, which takes a while.
    sampler = await asyncio.to_thread(Sampler, space, seed=seed, start=champion.mean)
    return await hunt.run(sampler, space.first_choices())


@dataclass(kw_only=True, slots=True)
class _Hunt:
    """One round's trials: what is known so far, and whether another one is worth its calls."""

    bench: Bench
    champion: Champion
    space: Space
    round: int
    floor: float
    mended: Mapping[str, int]
    """Edit -> train rows that it mends beyond a placebo."""
    best: Champion | None = None
    chosen: Choices = field(default_factory=dict)
    margin: int = 0
    """Val rows that the best one wins beyond those that it loses."""
    told: str = ""
    """What it showed."""
    next: Choices | None = None
    """What to try before anything else: a candidate without edits that were found to be harmful."""
    allowance: int = 0
    """Requests that the trials of this round may still ask for."""
    number: int = 0
    patience: int = PATIENCE
    repeats: int = REPEATS
    harmful: set[str] = field(default_factory=set)
    values: dict[str, float] = field(default_factory=dict)
    """Fingerprint -> value told to the sampler."""

    async def run(self, sampler: Sampler, queue: Iterator[dict[str, str]]) -> Found:
        """Ask, try, tell, until enough is known."""
        while True:
            enqueued, self.next = self.next or next(queue, None), None
            if enqueued is not None:
                enqueued = self._fitting(self.space.without(enqueued, self.harmful))
            choices = sampler.ask(enqueued)
            value = self._known(choices)
            if value is None:
                if stop := self._cannot_pay(choices):
                    return self._found(stop)
                value = await self._trial(choices)
            else:
                self.repeats -= 1
            sampler.tell(value)
            if done := self._enough():
                return self._found(done)

    def _found(self, reason: str) -> Found:
        return Found(
            best=self.best or self.champion,
            trials=self.number,
            reason=reason,
            edits=self.space.edits(self.chosen) if self.best else (),
            harmful=frozenset(self.harmful),
        )

    def _known(self, choices: Choices) -> float | None:
        """The value of choices that were scored already: the same candidate is never raced twice."""
        candidate = self.space.candidate(choices)
        if candidate.fingerprint == self.champion.prompt.fingerprint:
            return self.champion.mean
        return self.values.get(candidate.fingerprint, None if fits(candidate, self.bench.max_tokens) else 0.0)

    def _fitting(self, choices: Choices) -> Choices:
        """The choices without as many of the least useful edits as make the prompt too long."""
        edits = sorted(self.space.edits(choices), key=lambda edit: self.mended.get(edit.id, 0))
        while edits and not fits(self.space.candidate(choices), self.bench.max_tokens):
            choices = self.space.without(choices, {edits.pop(0).id})
        return choices

    def _cannot_pay(self, choices: Choices) -> str:
        """Why the plan has no room for this trial; empty where it has."""
        cost = self.bench.evaluator.cost(self.space.candidate(choices), self.bench.val)
        if cost > self.bench.plan.left(Phase.SEARCH):
            return "the plan for the search ended"
        return f"{self.number} trials used the round's share of the plan" if cost > self.allowance else ""

    def _enough(self) -> str:
        """Why no further trial is worth its calls; empty where one is."""
        if self.best is not None and self.next is None:
            return self.told
        if self.repeats <= 0:
            return "the space is searched"
        return f"{PATIENCE} trials brought nothing better" if self.patience <= 0 else ""

    async def _trial(self, choices: Choices) -> float:
        """Race one candidate against the champion, weigh what it shows; the value for the sampler."""
        self.number += 1
        self.repeats, self.patience = REPEATS, self.patience - 1
        before = self.bench.plan.left(Phase.SEARCH)
        candidate = self.space.candidate(choices)
        await self._progress()
        await self._made(candidate, self.space.edits(choices))
        ended = await race(self.bench, candidate, self.champion.prompt, self.champion.val, self._purpose)
        value = self.champion.mean + ended.gain
        reason = ended.reason
        if not ended.partial:
            reason = await self._weighed(choices, ended.evaluation)
        self.values[candidate.fingerprint] = value
        self.allowance -= before - self.bench.plan.left(Phase.SEARCH)
        trial = Trial(
            round=self.round,
            number=self.number,
            choices=dict(choices),
            candidate=candidate.fingerprint,
            rows=len(ended.evaluation.scored),
            score=ended.evaluation.mean,
            gain=ended.gain,
            partial=ended.partial,
            reason=reason,
        )
        await self.bench.tell(TrialEnded(trial=trial))
        return value

    async def _weighed(self, choices: Choices, val: Evaluation) -> str:
        """Decide on a candidate that was scored on all val rows; what it breaks for good is traced to its edits."""
        changed = await self._settled(choices, val)
        told = f"better on {len(changed.up)} val rows and worse on {len(changed.down)}"
        self._take_if_best(choices, val, changed, told)
        broke = Broke(
            space=self.space,
            choices=choices,
            before=self.champion.val,
            after=val,
            changed=changed,
            mended=self.mended,
        )
        if changed.down and (guilty := await culprits(self.bench, broke, self._purpose)):
            self.harmful |= guilty
            self.next = self.space.without(choices, guilty)
            if len(changed.up) + len(changed.down) <= STITCHED or self._cannot_pay(self.next):
                told += await self._parted(self.next, val)
            told += f", {len(guilty)} of its edits broke them"
        return told

    async def _parted(self, choices: Choices, val: Evaluation) -> str:
        """The candidate without its culprits, asked only about rows that the one with them changed at all."""
        candidate = self.space.candidate(choices)
        found = raw(self.champion.val, val)
        rows = [row for row in self.bench.val if row.id in found.up or row.id in found.down]
        if not fits(candidate, self.bench.max_tokens):
            # An edit that makes room is gone: as a trial of its own, less goes in.
            return ""
        if self.bench.evaluator.cost(candidate, rows) > self.bench.plan.left(Phase.SEARCH):
            return ""
        await self._made(candidate, self.space.edits(choices))
        newer = await self.bench.evaluator.evaluate(candidate, rows, self._purpose)
        stitched = Evaluation(candidate=candidate.fingerprint, results={**val.results, **newer.results})
        changed = await self._settled(choices, stitched)
        told = f"without them better on {len(changed.up)} and worse on {len(changed.down)}"
        self.next = None
        self._take_if_best(choices, stitched, changed, told)
        return f"; {told}"

    def _take_if_best(self, choices: Choices, val: Evaluation, changed: Changed, told: str) -> None:
        """Make a candidate the best one where it is believed, wins by as much, and keeps all protected rows.

        The answers that are kept count for these, lucky or not: the end of a run goes by them.
        """
        margin = len(changed.up) - len(changed.down)
        fell = broken(self.champion.val, val, self.bench.protected) or self.bench.protected & changed.down.keys()
        if not fell and margin >= self.margin and self._believed(choices, changed):
            self.best = Champion(prompt=self.space.candidate(choices), val=val)
            self.chosen, self.margin, self.told = choices, margin, told

    async def _settled(self, choices: Choices, val: Evaluation) -> Changed:
        """What changed on val; asked again where luck could turn the choice."""
        found = raw(self.champion.val, val)
        posterior = posterior_better(len(found.up), len(found.down))
        if not CLEAR[0] < posterior < CLEAR[1] and not found.down:
            return found
        sides = (self.champion.prompt, self.space.candidate(choices))
        scored = (self.champion.val, val)
        if posterior >= CLEAR[1]:
            # The gain is plain: only what broke is looked at again.
            rows = [row for row in self.bench.val if row.id in found.down]
            sure = await settled(self.bench, sides, scored, rows, self._purpose)
            return Changed(up=found.up, down=sure.down)
        return await settled(self.bench, sides, scored, self.bench.val, self._purpose)

    def _believed(self, choices: Choices, changed: Changed) -> bool:
        """Whether fixed exceeds broken with enough probability, on val, or on val and train rows that edits mended.

        One row of each edit pays for the edit: it was read off it, so that row does not judge. What breaks was
        looked for on val alone, so beside train rows it is scaled up to the rows on which mending was.
        """
        if posterior_better(len(changed.up), len(changed.down)) > BELIEVED:
            return True
        mended = sum(max(self.mended.get(edit.id, 0) - 1, 0) for edit in self.space.edits(choices))
        rows = len(self.bench.val)
        scale = (rows + len(self.bench.train)) / rows if mended else 1.0
        up, down = len(changed.up) + mended, round(len(changed.down) * scale)
        return up > down and posterior_better(up, down) > BELIEVED

    @property
    def _purpose(self) -> Purpose:
        return Purpose(phase=Phase.SEARCH, split=Split.VAL, round=self.round)

    async def _made(self, candidate: Prompt, edits: tuple[Edit, ...]) -> None:
        await self.bench.tell(
            CandidateMade(
                prompt=candidate,
                round=self.round,
                origin=f"trial {self.number}",
                parent=self.space.champion.fingerprint,
                edits=edits,
            )
        )

    async def _progress(self) -> None:
        plan = self.bench.plan
        best = self.best or self.champion
        await self.bench.tell(
            Progress(
                step=f"trial {self.number}",
                round=self.round,
                best=best.mean,
                gain=best.mean - self.floor,
                planned=len(plan.asked[Phase.SEARCH]),
                limit=plan.limits[Phase.SEARCH],
            )
        )
