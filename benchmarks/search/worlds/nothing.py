"""A world in which nothing helps: labels do not depend on anything that an input says, and the model wavers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from benchmarks.search.worlds.making import Draft, adherence_of, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import ANSWER, Row, World

LABELS = ("Keep", "Drop", "Later", "Ask")
RIGHT_UNPROMPTED = 0.5
PROMPT = """\
You sort messages that customers of a shop have sent.
Answer with one of Keep, Drop, Later, Ask and nothing else."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"nothing:{seed}")
    matters = bank_of("matters")

    def draw(rng: Random, number: int) -> Draft:
        key = rng.choice(sorted(matters))
        amount = rng.randint(12, 420)
        return Draft(text=message([matters[key]], amount, rng), facts=frozenset({key}), amount=amount)

    values = {ANSWER: LABELS}
    rows = rows_of(rng, draw, lambda draft, rng: {ANSWER: rng.choice(LABELS)}, (), values)
    return World(
        family="nothing",
        seed=seed,
        form="label",
        fields=(ANSWER,),
        values=values,
        concepts=matters,
        rules=(),
        rows=tuple(_with_base(row, rng) for row in rows),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("nothing", seed),
        curable=False,
        slip=0.2,
    )


def _with_base(row: Row, rng: Random) -> Row:
    """What the model says: right half the time, for no reason that the input shows."""
    said = row.truth[ANSWER] if rng.random() < RIGHT_UNPROMPTED else rng.choice(LABELS)
    return replace(row, base={ANSWER: said})
