"""One Optuna study a round: one categorical parameter a slot, trials raced on val.

The study lives in memory and is rebuilt by asking again: the sampler's seed is a function of (run seed, round), and
every answer is a function of stored results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from optimizer.dataset import Split
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Progress, TrialEnded
from optimizer.outcome import Phase, Trial
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.race import Race, race
from optimizer.search.sampler import Sampler
from optimizer.search.space import Choices, Space, sampler_seed
from optimizer.stats import EPSILON, differences_of, lost_rows, posterior_better, signs

BELIEVED = 0.8
"""Posterior probability of being better from which a candidate is accepted in the loop."""
PATIENCE = 4
"""Trials without a better candidate after which the study ends."""
ROUND_SHARE = 0.5
"""Part of what is left of the search's plan that one round's trials may use: later rounds meet later causes."""
FEW = 0.1
"""Rows lost for each row won up to which a better candidate needs no taking apart."""
REPEATS = 8
"""Suggestions already scored, in a row, after which the space counts as searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Champion:
    """A prompt that may be beaten, with its results on val."""

    prompt: Prompt
    """The prompt."""
    val: Evaluation
    """All val rows."""

    @property
    def mean(self) -> float:
        """Mean val score."""
        return self.val.mean or 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a study found."""

    best: Champion
    """The best candidate scored on all rows; the champion itself where none is better."""
    trials: int
    """Trials told to the study."""
    reason: str
    """Why it ended."""


def is_believed(before: Evaluation, after: Evaluation) -> bool:
    """Evidence for a choice, no claim: a higher mean, and fixed exceeds broken with posterior over 0.8.

    Rows lost to an error count as broken here: they are in no mean, so the rows that are left would look better.
    """
    differences = list(differences_of(before, after).values())
    found = signs(differences)
    return sum(differences) > EPSILON and posterior_better(found.up, found.down + lost_rows(before, after)) > BELIEVED


async def search(bench: Bench, champion: Champion, space: Space, round_number: int, floor: float) -> Found:
    """Search the space for a candidate better than the champion.

    Args:
        bench: what candidates are scored with.
        champion: the prompt to beat.
        space: the slots.
        round_number: 1 for the first; part of the sampler's seed.
        floor: val mean of the run's baseline, for the progress display.
    """
    hunt = _Hunt(bench=bench, champion=champion, space=space, round=round_number, floor=floor, best=champion)
    hunt.allowance = max(int(bench.plan.left(Phase.SEARCH) * ROUND_SHARE), bench.evaluator.requests(bench.val))
    seed = sampler_seed(bench.seed, round_number)
    sampler = Sampler(space, seed=seed, start=champion.mean)
    queue: Iterator[dict[str, str]] = space.first_choices()
    while True:
        enqueued = next(queue, None)
        choices = sampler.ask(enqueued)
        value = hunt.known(choices)
        if value is None:
            if stop := hunt.cannot_pay(choices):
                return Found(best=hunt.best, trials=hunt.number, reason=stop)
            value = await hunt.trial(choices)
        elif enqueued is None:
            hunt.repeats -= 1
        sampler.tell(value)
        if done := hunt.enough():
            return Found(best=hunt.best, trials=hunt.number, reason=done)


@dataclass(kw_only=True, slots=True)
class _Hunt:
    """One round's trials: what is known so far, and whether another one is worth its calls."""

    bench: Bench
    champion: Champion
    space: Space
    round: int
    floor: float
    best: Champion
    allowance: int = 0
    """Requests that the trials of this round may still ask for."""
    number: int = 0
    patience: int = PATIENCE
    repeats: int = REPEATS
    values: dict[str, float] = field(default_factory=dict)
    """Fingerprint -> value told to the sampler."""

    def known(self, choices: Choices) -> float | None:
        """The value of choices that were scored already: the same candidate is never raced twice."""
        fingerprint = self.space.candidate(choices).fingerprint
        return self.champion.mean if fingerprint == self.champion.prompt.fingerprint else self.values.get(fingerprint)

    def cannot_pay(self, choices: Choices) -> str:
        """Why the plan has no room for this trial; empty where it has."""
        cost = self.bench.evaluator.cost(self.space.candidate(choices), self.bench.val)
        if cost > self.bench.plan.left(Phase.SEARCH):
            return "the plan for the search ended"
        return f"{self.number} trials used the round's share of the plan" if cost > self.allowance else ""

    async def trial(self, choices: Choices) -> float:
        """Race one candidate against the best so far; the value for the sampler."""
        self.number += 1
        await self._progress()
        before = self.bench.plan.left(Phase.SEARCH)
        ended, value = await _trial(self.bench, self.best, self.space, choices, (self.round, self.number))
        self.allowance -= before - self.bench.plan.left(Phase.SEARCH)
        self.repeats, self.patience = REPEATS, self.patience - 1
        # By the rows that both have: with rows lost to errors a mean alone would rise.
        if not ended.partial and ended.gain > EPSILON:
            # A slightly better mean is taken, but only one that is believed buys further trials.
            self.patience = PATIENCE if is_believed(self.best.val, ended.evaluation) else self.patience
            self.best = Champion(prompt=self.space.candidate(choices), val=ended.evaluation)
        self.values[self.space.candidate(choices).fingerprint] = value
        return value

    def enough(self) -> str:
        """Why no further trial is worth its calls; empty where one is."""
        if self.repeats <= 0:
            return "the space is searched"
        if self.best.mean >= 1.0 - EPSILON:
            return "every val row is right"
        if self.best is not self.champion and is_believed(self.champion.val, self.best.val):
            found = signs(list(differences_of(self.champion.val, self.best.val).values()))
            if found.down <= FEW * found.up:
                return f"better on {found.up} val rows and worse on {found.down}"
        return f"{PATIENCE} trials brought nothing better" if self.patience <= 0 else ""

    async def _progress(self) -> None:
        plan = self.bench.plan
        await self.bench.tell(
            Progress(
                step=f"trial {self.number}",
                round=self.round,
                best=self.best.mean,
                gain=self.best.mean - self.floor,
                planned=len(plan.asked[Phase.SEARCH]),
                limit=plan.limits[Phase.SEARCH],
            )
        )


async def _trial(
    bench: Bench, best: Champion, space: Space, choices: Choices, number: tuple[int, int]
) -> tuple[Race, float]:
    """Race one candidate against the best so far, and tell the sink.

    The value told to the sampler is the best's mean plus the paired difference on the rows that were scored: a
    candidate dropped early on hard rows is then not taken for worse than it is (nor a lucky one for better).
    """
    candidate = space.candidate(choices)
    round_number, trial_number = number
    await bench.tell(
        CandidateMade(
            prompt=candidate,
            round=round_number,
            origin=f"trial {trial_number}",
            parent=space.champion.fingerprint,
            edits=space.edits(choices),
        )
    )
    purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=round_number)
    ended = await race(bench, candidate, best.val, purpose)
    value = best.mean + ended.gain
    trial = Trial(
        round=round_number,
        number=trial_number,
        choices=dict(choices),
        candidate=candidate.fingerprint,
        rows=len(ended.evaluation.scored),
        score=ended.evaluation.mean,
        gain=ended.gain,
        partial=ended.partial,
        reason=ended.reason,
    )
    await bench.tell(TrialEnded(trial=trial))
    return ended, value
