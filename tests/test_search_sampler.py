"""The late sampler suggests what one that was there from the start would suggest."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Mapping
from hashlib import sha256

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.evaluate import Purpose
from optimizer.outcome import Phase
from optimizer.search.sampler import STARTUP_TRIALS, Sampler
from optimizer.search.screen import Screened
from optimizer.search.space import Space, space
from optimizer.search.study import Champion, Found, search
from tests.worlds import bench_of, seed_prompt

SUGGESTIONS = 12


def passed(text: str, cluster: str) -> Screened:
    edit = Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster, source="llm")
    return Screened(edit=edit, mended=4, tried=4)


def wide() -> Space:
    """Four slots of two edits each."""
    return space(seed_prompt(), [passed(f"{cluster}{n}", cluster) for cluster in "abcd" for n in range(2)])


def worth(choices: Mapping[str, str]) -> float:
    return sha256(repr(sorted(choices.items())).encode()).digest()[0] / 255


def from_the_start(made: Space, seed: int) -> list[dict[str, str]]:
    """Suggestions of a study that is asked for the first choices as well."""
    distributions: dict[str, BaseDistribution] = {slot.id: CategoricalDistribution(slot.choices) for slot in made.slots}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        tpe = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=tpe)
    keep = optuna.trial.create_trial(params=made.keep_all, distributions=distributions, value=0.3)
    study.add_trial(keep)
    for choices in made.first_choices():
        study.enqueue_trial(choices)
        trial = study.ask(distributions)
        study.tell(trial, worth(trial.params))
    suggested = []
    for _ in range(SUGGESTIONS):
        trial = study.ask(distributions)
        suggested.append(dict(trial.params))
        study.tell(trial, worth(trial.params))
    return suggested


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_it_makes_no_difference_when_the_study_is_made(seed):
    made = wide()
    late = Sampler(space=made, seed=seed, start=0.3)
    for choices in made.first_choices():
        late.tell(choices, worth(choices))
    suggested = []
    for _ in range(SUGGESTIONS):
        asked = late.ask()
        suggested.append(dict(asked))
        late.tell(asked, worth(asked))
    assert suggested == from_the_start(made, seed)
    assert len({tuple(sorted(choices.items())) for choices in suggested}) > 1


def test_a_round_that_our_own_choices_end_needs_no_optuna(monkeypatch):
    def answer(text: str, row: Example) -> str:
        return "right" if "cure" in text else "wrong"

    def world(number: int) -> tuple[str, str]:
        return f"what is {number}", "right"

    bench, _, _ = bench_of(answer, world, size=40)
    seed = seed_prompt()
    made = space(seed, [passed("cure", "a")])
    # Importing it would fail from here on.
    monkeypatch.setitem(sys.modules, "optuna", None)

    async def go() -> Found:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, purpose))
        return await search(bench, champion, made, 1, champion.mean)

    found = asyncio.run(go())
    assert (found.best.mean, found.trials) == (1.0, 1)
