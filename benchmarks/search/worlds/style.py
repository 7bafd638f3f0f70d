"""Substitution and style: a reply names what is done for the customer, and the house has words of its own for it.

Most words are always replaced; for some matters, or above some amount, the house says something else again.
"""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.flaws import flawed, misleading
from benchmarks.search.worlds.making import Draft, adherence_of, amount_for, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import ANSWER, Rule, World

PLAIN = {
    "refund": ("double_charge", "refund_missing"),
    "replacement": ("damaged", "wrong_item"),
    "update": ("address", "login"),
    "complaint": ("late", "legal"),
    "repair": ("warranty", "safety"),
    "document": ("invoice", "bulk"),
    "request": ("cancel", "gift"),
}
"""Plain word -> matters in whose replies the model uses it."""
HOUSE = (
    "make-good", "tradeback", "credit token", "fresh start", "care note", "service slip", "goodwill pass", "open file",
    "paper trail", "wish card", "house voucher", "green ticket", "second try", "blue letter", "kind turn", "star entry",
)  # fmt: skip
DEFAULT = "feedback"
UNRULED = ("praise", "stock")
UNRULED_SHARE = 0.1
EXCEPTIONS = 4
LIMITED = 2
LIMITS = (80, 120, 160, 200)
TEMPLATE = "Thank you for writing to us. Your {answer} is in good hands, and you will hear from us soon. Kind regards"
PROMPT = """\
You answer customers of a shop.
Write one short and friendly reply, and name what is being done for them."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"style:{seed}")
    matters = bank_of("matters")
    word_of = {key: word for word, keys in PLAIN.items() for key in keys}
    rules = _rules(rng)

    def draw(rng: Random, number: int) -> Draft:
        rule = rules[number % len(rules)]
        key = next(iter(rule.when), None) or rng.choice(PLAIN[str(rule.instead)])
        key = key if rng.random() >= UNRULED_SHARE else rng.choice(UNRULED)
        amount = amount_for(rule, rng)
        return Draft(text=message([matters[key]], amount, rng), facts=frozenset({key}), amount=amount)

    def base(draft: Draft, rng: Random) -> dict[str, str]:
        return {ANSWER: word_of.get(next(iter(draft.facts)), DEFAULT)}

    values = {ANSWER: (*sorted({rule.value for rule in rules}), *PLAIN, DEFAULT)}
    world = World(
        family="style",
        seed=seed,
        form="reply",
        fields=(ANSWER,),
        values=values,
        concepts=matters,
        rules=rules,
        rows=rows_of(rng, draw, base, rules, values),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("style", seed),
        template=TEMPLATE,
    )
    return flawed(world, misleading(world, [frozenset({key}) for keys in PLAIN.values() for key in keys]))


def _rules(rng: Random) -> tuple[Rule, ...]:
    terms = rng.sample(HOUSE, len(PLAIN) + EXCEPTIONS + LIMITED)
    rules = [Rule(id=word, field=ANSWER, when=frozenset(), value=terms.pop(), instead=word) for word in PLAIN]
    for number, word in enumerate(rng.sample(sorted(PLAIN), EXCEPTIONS + LIMITED)):
        key = rng.choice(PLAIN[word])
        above = rng.choice(LIMITS) if number < LIMITED else None
        rule = Rule(id=key, field=ANSWER, when=frozenset({key}), value=terms.pop(), above=above, instead=word)
        rules.append(rule)
    return tuple(rules)
