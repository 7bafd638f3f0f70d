"""One Optuna study a round: one categorical parameter a slot, trials raced on val.

The study lives in memory and is rebuilt by asking again: the sampler's seed is a function of (run seed, round), and
every answer is a function of stored results.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.dataset import Split
from optimizer.evaluate import Bench, Purpose
from optimizer.events import CandidateMade, Progress, TrialEnded
from optimizer.outcome import Phase, Trial
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.race import Race, race
from optimizer.search.space import Choices, Space, sampler_seed
from optimizer.stats import EPSILON, differences_of, posterior_better, signs

if TYPE_CHECKING:
    import optuna

BELIEVED = 0.8
"""Posterior probability of being better from which a candidate is accepted in the loop."""
PATIENCE = 4
"""Trials without a better candidate after which the study ends."""
MOST_TRIALS = 40
STARTUP_TRIALS = 4
"""Trials before the sampler models what it saw; the first ones are chosen by us anyway."""
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
    """Evidence for a choice, no claim: a higher mean, and fixed exceeds broken with posterior over 0.8."""
    differences = list(differences_of(before, after).values())
    found = signs(differences)
    return sum(differences) > EPSILON and posterior_better(found.up, found.down) > BELIEVED


async def search(bench: Bench, champion: Champion, space: Space, round_number: int, floor: float) -> Found:
    """Search the space for a candidate better than the champion.

    Args:
        bench: what candidates are scored with.
        champion: the prompt to beat.
        space: the slots.
        round_number: 1 for the first; part of the sampler's seed.
        floor: val mean of the run's baseline, for the progress display.
    """
    study = _study(bench.seed, round_number)
    distributions = _distributions(space)
    _tell_known(study, distributions, space.keep_all, champion.mean)
    best, patience, repeats, number = champion, PATIENCE, REPEATS, 0
    known: dict[str, float] = {champion.prompt.fingerprint: champion.mean}
    queue: Iterator[dict[str, str]] = space.first_choices()
    reason = "the space is searched"
    while number < MOST_TRIALS:
        enqueued = next(queue, None)
        if enqueued is not None:
            study.enqueue_trial(enqueued)
        trial = study.ask(distributions)
        candidate = space.candidate(trial.params)
        if candidate.fingerprint in known:
            study.tell(trial, known[candidate.fingerprint])
            repeats -= enqueued is None
            if repeats <= 0:
                break
            continue
        if bench.evaluator.cost(candidate, bench.val) > bench.plan.left(Phase.SEARCH):
            reason = "the plan for the search ended"
            break
        number += 1
        await bench.tell(
            Progress(
                step=f"trial {number}",
                round=round_number,
                best=best.mean,
                gain=best.mean - floor,
                planned=len(bench.plan.asked[Phase.SEARCH]),
                limit=bench.plan.limits[Phase.SEARCH],
            )
        )
        ended, value = await _trial(bench, best, space, trial.params, (round_number, number))
        known[candidate.fingerprint] = value
        study.tell(trial, value)
        repeats, patience = REPEATS, patience - 1
        if not ended.partial and (ended.evaluation.mean or 0.0) > best.mean + EPSILON:
            best, patience = Champion(prompt=candidate, val=ended.evaluation), PATIENCE
        if done := _enough(champion, best, patience):
            reason = done
            break
    return Found(best=best, trials=number, reason=reason)


def _enough(champion: Champion, best: Champion, patience: int) -> str | None:
    """Why no further trial is worth its calls; None where one is."""
    if best.mean >= 1.0 - EPSILON:
        return "every val row is right"
    if best is not champion and is_believed(champion.val, best.val):
        lost = signs(list(differences_of(champion.val, best.val).values())).down
        if lost == 0:
            return "better, and no val row got worse"
    return f"{PATIENCE} trials brought nothing better" if patience <= 0 else None


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


def _study(run_seed: int, round_number: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=sampler_seed(run_seed, round_number), multivariate=True, n_startup_trials=STARTUP_TRIALS
        )
    return optuna.create_study(direction="maximize", sampler=sampler)


def _distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution

    return {slot.id: CategoricalDistribution(slot.choices) for slot in space.slots}


def _tell_known(
    study: optuna.Study,
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    choices: Choices,
    value: float,
) -> None:
    """Give the sampler a point that is paid for already."""
    import optuna

    study.add_trial(optuna.trial.create_trial(params=dict(choices), distributions=dict(distributions), value=value))
