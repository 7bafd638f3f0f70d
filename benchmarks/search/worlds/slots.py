"""Conditional house rules: a message goes to one of a dozen desks, by what it is about and by its amount."""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.making import Draft, adherence_of, amount_for, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import ANSWER, Rule, World

DESKS = (
    "Heron", "Linden", "Quartz", "Saffron", "Tundra", "Violet", "Walnut", "Ember", "Juniper", "Cobalt", "Marble",
    "Orchid", "Pewter", "Sable", "Topaz", "Willow", "Zephyr", "Basil", "Dahlia", "Falcon",
)  # fmt: skip
DEFAULT = "General"
LIMITS = (60, 80, 120, 150, 200, 250)
UNRULED = ("praise", "stock")
PLAIN = 8
"""Matters with one rule."""
SPLIT = 4
"""Matters with a rule on each side of a limit."""
DESKS_USED = 13
"""Fewer than rules: some desks serve two."""
UNRULED_SHARE = 0.12
PROMPT = """\
You sort messages that customers of a shop have sent.
Read the message and decide which desk it goes to.
Answer with the name of one desk and nothing else. Where nothing else is known, that is General."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"slots:{seed}")
    matters = bank_of("matters")
    chosen = rng.sample([key for key in matters if key not in UNRULED], PLAIN + SPLIT)
    limits = {key: rng.choice(LIMITS) for key in chosen[:SPLIT]}
    rules = _rules(chosen, limits, rng)

    def draw(rng: Random, number: int) -> Draft:
        ruled = rng.random() >= UNRULED_SHARE
        rule = rules[number % len(rules)]
        key = next(iter(rule.when)) if ruled else rng.choice(UNRULED)
        amount = amount_for(rule, rng)
        return Draft(text=message([matters[key]], amount, rng), facts=frozenset({key}), amount=amount)

    values = {ANSWER: (*sorted({rule.value for rule in rules}), DEFAULT)}
    return World(
        family="slots",
        seed=seed,
        form="label",
        fields=(ANSWER,),
        values=values,
        concepts={key: matters[key] for key in (*chosen, *UNRULED)},
        rules=rules,
        rows=rows_of(rng, draw, lambda draft, rng: {ANSWER: DEFAULT}, rules, values),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("slots", seed),
    )


def _rules(chosen: list[str], limits: dict[str, int], rng: Random) -> tuple[Rule, ...]:
    desks = rng.sample(DESKS, DESKS_USED)
    given = [*desks, *rng.sample(desks, PLAIN + 2 * SPLIT - DESKS_USED)]
    rng.shuffle(given)
    found: list[Rule] = []
    for key in chosen:
        when = frozenset({key})
        for side in ("above", "upto") if key in limits else ("",):
            found.append(
                Rule(
                    id=f"{key}-{side}" if side else key,
                    field=ANSWER,
                    when=when,
                    value=given.pop(),
                    above=limits[key] if side == "above" else None,
                    upto=limits[key] if side == "upto" else None,
                )
            )
    return tuple(found)
