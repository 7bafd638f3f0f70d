"""One Optuna study a round: every trial is asked of it and told to it, our own first choices included.

The study lives in memory. A resumed run rebuilds it by asking and telling the same again: its seed is a function of
the run's seed and the round, and every value is a function of stored results.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.search.space import Choices, Space

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 4
"""Trials before the sampler models what it saw; the first ones are chosen by us anyway."""


def load() -> None:
    """Import all that a sampler needs: a fifth of a second and more, which its first use then does not wait for."""
    _new_study(0)


def _new_study(seed: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        tpe = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
    return optuna.create_study(direction="maximize", sampler=tpe)


class Sampler:
    """Suggests choices from the values of earlier ones."""

    def __init__(self, space: Space, *, seed: int, start: float) -> None:
        """Begin a study that knows the champion.

        Args:
            space: one categorical parameter a slot.
            seed: seed of the sampler's generator, in [0, 2^32).
            start: value of the champion, which needs no trial.
        """
        self._study = _new_study(seed)
        import optuna
        from optuna.distributions import CategoricalDistribution

        self._distributions: Mapping[str, Any] = {
            slot.id: CategoricalDistribution(slot.choices) for slot in space.slots
        }
        champion = optuna.trial.create_trial(
            params=space.keep_all, distributions=dict(self._distributions), value=start
        )
        self._study.add_trial(champion)
        self._asked: optuna.trial.Trial | None = None

    def ask(self, choices: Choices | None = None) -> Choices:
        """Choices to try next: those given, else what the sampler suggests. Tell their value before asking again."""
        if choices is not None:
            self._study.enqueue_trial(dict(choices))
        self._asked = self._study.ask(dict(self._distributions))
        return self._asked.params

    def tell(self, value: float) -> None:
        """The value of what was asked."""
        assert self._asked is not None, "ask first"
        self._study.tell(self._asked, value)
        self._asked = None

    @property
    def trials(self) -> tuple[tuple[Choices, float], ...]:
        """What the study holds, in order, the champion first."""
        return tuple((trial.params, float(trial.value)) for trial in self._study.trials if trial.value is not None)
