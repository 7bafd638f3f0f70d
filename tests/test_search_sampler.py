"""Every trial of a round goes through its Optuna study, and the same study asks the same again."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import pytest

from optimizer.edits import END, Edit, Op
from optimizer.search.sampler import Sampler
from optimizer.search.screen import Screened
from optimizer.search.space import Space, space
from tests.worlds import seed_prompt

SUGGESTIONS = 12


def passed(text: str, cluster: str) -> Screened:
    edit = Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster, source="llm")
    return Screened(edit=edit, mended=("r1", "r2"), tried=4, chosen=True)


def wide() -> Space:
    """Eight slots of one edit each: two a cause."""
    return space(seed_prompt(), [passed(f"{cluster}{n}", cluster) for cluster in "abcd" for n in range(2)])


def worth(choices: Mapping[str, str]) -> float:
    return sha256(repr(sorted(choices.items())).encode()).digest()[0] / 255


def asked(seed: int) -> tuple[list[dict[str, str]], Sampler]:
    """First choices, then what the sampler suggests."""
    made = wide()
    sampler = Sampler(made, seed=seed, start=0.3)
    found = []
    for choices in [*made.first_choices(), *[None] * SUGGESTIONS]:
        found.append(dict(sampler.ask(choices)))
        sampler.tell(worth(found[-1]))
    return found, sampler


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_the_same_seed_asks_the_same_and_the_study_holds_every_trial(seed):
    found, sampler = asked(seed)
    assert found == asked(seed)[0]
    assert found[: len(list(wide().first_choices()))] == list(wide().first_choices())
    assert sampler.trials == ((wide().keep_all, 0.3), *((choices, worth(choices)) for choices in found))


def test_another_seed_asks_otherwise():
    assert asked(0)[0] != asked(1)[0]
