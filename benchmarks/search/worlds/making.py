"""What the families share: drawing rows, wrong labels, splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

from benchmarks.search.worlds.world import Row, Rule, chance, outcome

SIZES: Mapping[str, int] = {"train": 100, "val": 60, "test": 200}
WRONG = 0.04
"""Share of rows whose label is wrong, in train, val and test alike."""
LEAST_ADHERENCE = 0.8
ADHERENCE_SPREAD = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An input before its labels."""

    text: str
    """What it says."""
    facts: frozenset[str]
    """Concepts that hold."""
    amount: int | None
    """The amount that it tells."""


Draw = Callable[[Random, int], Draft]
"""From a generator and a running number to an input."""
Base = Callable[[Draft, Random], dict[str, str]]
"""What the model says of an input without any rule; also what is right where no rule decides."""


def rows_of(
    rng: Random,
    draw: Draw,
    base: Base,
    rules: Sequence[Rule],
    values: Mapping[str, Sequence[str]],
) -> tuple[Row, ...]:
    """Rows of all splits, no text twice."""
    rows: list[Row] = []
    seen: set[str] = set()
    for split, size in SIZES.items():
        number = 0
        while number < size:
            draft = draw(rng, number)
            if draft.text in seen:
                continue
            seen.add(draft.text)
            said = base(draft, rng)
            decided = outcome(rules, draft.facts, draft.amount, said)
            truth = {name: decided[name].value if name in decided else said[name] for name in said}
            rows.append(
                Row(
                    id=f"{split}-{number:03}",
                    split=split,
                    text=draft.text,
                    facts=draft.facts,
                    amount=draft.amount,
                    base=said,
                    truth=truth,
                    expected=mislabelled(truth, values, rng) if rng.random() < WRONG else truth,
                    cause={name: rule.id for name, rule in decided.items()},
                )
            )
            number += 1
    return tuple(rows)


def adherence_of(family: str, seed: int) -> float:
    """In how many rows the model of a world does what the prompt states: 0.8 to 0.95, 0.9 on average."""
    return LEAST_ADHERENCE + ADHERENCE_SPREAD * sqrt(chance("adherence", family, seed))


def mislabelled(truth: Mapping[str, str], values: Mapping[str, Sequence[str]], rng: Random) -> dict[str, str]:
    """The labels with one of them wrong."""
    name = rng.choice(sorted(truth))
    return {**truth, name: rng.choice([value for value in values[name] if value != truth[name]])}


def amount_for(rule: Rule, rng: Random) -> int:
    """An amount within a rule's limits, and not so near to them that a reader could be unsure."""
    low = rule.above + 5 if rule.above is not None else 12
    high = rule.upto - 5 if rule.upto is not None else 420
    return rng.randint(low, high)
