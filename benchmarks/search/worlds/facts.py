"""Knowledge that the model lacks: questions about the house's places, which guests describe and never name."""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.flaws import flawed, misleading
from benchmarks.search.worlds.making import Draft, adherence_of, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import ANSWER, Rule, World

DEFAULT = "Unknown"
FACTS = 16
"""Of 25 pairs of place and attribute, those that have an answer."""
UNRULED_SHARE = 0.1
PROMPT = """\
You answer questions of guests who rent one of our places.
Answer with the code of the house book and nothing else. Where the book has none, answer Unknown."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"facts:{seed}")
    things, attributes = bank_of("things"), bank_of("attributes")
    pairs = [(thing, attribute) for thing in sorted(things) for attribute in sorted(attributes)]
    rng.shuffle(pairs)
    codes = rng.sample(range(10, 100), FACTS)
    rules = tuple(
        Rule(id=f"{thing}-{attribute}", field=ANSWER, when=frozenset({thing, attribute}), value=f"K{code}")
        for (thing, attribute), code in zip(pairs, codes, strict=False)
    )

    def draw(rng: Random, number: int) -> Draft:
        thing, attribute = pairs[number % FACTS] if rng.random() >= UNRULED_SHARE else rng.choice(pairs[FACTS:])
        text = message([things[thing], attributes[attribute]], None, rng)
        return Draft(text=text, facts=frozenset({thing, attribute}), amount=None)

    values = {ANSWER: (*sorted(rule.value for rule in rules), DEFAULT)}
    world = World(
        family="facts",
        seed=seed,
        form="label",
        fields=(ANSWER,),
        values=values,
        concepts={**things, **attributes},
        rules=rules,
        rows=rows_of(rng, draw, lambda draft, rng: {ANSWER: DEFAULT}, rules, values),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("facts", seed),
    )
    return flawed(world, misleading(world, [frozenset({thing}) for thing in sorted(things)]))
