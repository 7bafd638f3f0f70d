"""What to try next: Optuna's sampler, made when it is asked for the first time.

A round begins with choices of our own, and often ends with them. So Optuna is imported, and its study made, at the
first question that only its sampler can answer; what was tried before is then told to it in the same order, which
leaves it as if it had been there from the start.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optimizer.search.space import Choices, Space

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 4
"""Trials before the sampler models what it saw; the first ones are chosen by us anyway."""


@dataclass(kw_only=True, slots=True)
class Sampler:
    """Suggests choices from the values of earlier ones: one study of a round, in memory."""

    space: Space
    """One categorical parameter a slot."""
    seed: int
    """Seed of the sampler's generator, in [0, 2^32)."""
    start: float
    """Value of the champion, which needs no trial."""
    _told: list[tuple[Choices, float]] = field(default_factory=list)
    _study: optuna.Study | None = None
    _asked: optuna.trial.Trial | None = None

    def ask(self) -> Choices:
        """Choices to try next; they may have been tried before. Tell their value before asking again."""
        self._study = self._study or self._begun()
        for choices, value in self._told:
            # As if the sampler had thought of them: that moves its generator on as any question does.
            self._study.enqueue_trial(dict(choices))
            self._study.tell(self._study.ask(self._distributions()), value)
        self._told.clear()
        self._asked = self._study.ask(self._distributions())
        return self._asked.params

    def tell(self, choices: Choices, value: float) -> None:
        """The value of what was asked, or else of choices of our own."""
        if self._study is None or self._asked is None:
            self._told.append((choices, value))
        else:
            self._study.tell(self._asked, value)
            self._asked = None

    def _begun(self) -> optuna.Study:
        """A study that knows the champion."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            tpe = optuna.samplers.TPESampler(seed=self.seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
        study = optuna.create_study(direction="maximize", sampler=tpe)
        champion = optuna.trial.create_trial(
            params=self.space.keep_all, distributions=self._distributions(), value=self.start
        )
        study.add_trial(champion)
        return study

    def _distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        from optuna.distributions import CategoricalDistribution

        return {slot.id: CategoricalDistribution(slot.choices) for slot in self.space.slots}
