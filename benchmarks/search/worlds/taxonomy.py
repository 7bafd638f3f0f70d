"""A label taxonomy with confusable pairs: the topic is plain to the model, which of its two labels is right is not."""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.flaws import flawed, misleading
from benchmarks.search.worlds.making import Draft, adherence_of, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import ANSWER, Rule, World

LABELS = {
    "damaged": ("Breakage", "Transit loss"),
    "wrong_item": ("Mixup", "Picking error"),
    "late": ("Delay", "Lead time"),
    "double_charge": ("Overcharge", "Second booking"),
    "refund_missing": ("Payback", "Open credit"),
    "cancel": ("Withdrawal", "Annulment"),
    "address": ("Rerouting", "Master data"),
    "warranty": ("Guarantee", "Wear"),
    "invoice": ("Billing", "Paperwork"),
    "safety": ("Hazard", "Incident"),
}
"""Topic -> its two labels, either of which a reader could take for right."""
SIDES = (("business", "private"), ("repeat", "first_time"), ("store", "online"), ("abroad", "home"))
"""What may tell two labels apart."""
TOPICS = 8
RIGHT_UNPROMPTED = 0.2
"""How often the model picks the right one of a pair by itself."""
PROMPT = """\
You label messages that customers of a shop have sent.
Answer with one label of the house's taxonomy and nothing else."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"taxonomy:{seed}")
    matters, sides = bank_of("matters"), bank_of("circumstances")
    topics = rng.sample(sorted(LABELS), TOPICS)
    pairs: dict[str, tuple[str, str]] = {topic: rng.choice(SIDES) for topic in topics}
    rules: list[Rule] = []
    for topic, pair in pairs.items():
        for side, label in zip(pair, rng.sample(LABELS[topic], 2), strict=True):
            rules.append(Rule(id=f"{topic}-{side}", field=ANSWER, when=frozenset({topic, side}), value=label))

    def draw(rng: Random, number: int) -> Draft:
        topic = topics[number % TOPICS]
        other = rng.choice([pair for pair in SIDES if pair != pairs[topic]])
        shown = [rng.choice(pairs[topic]), rng.choice(other)]
        text = message([matters[topic], *(sides[side] for side in shown)], None, rng)
        return Draft(text=text, facts=frozenset({topic, *shown}), amount=None)

    def base(draft: Draft, rng: Random) -> dict[str, str]:
        rule = next(rule for rule in rules if rule.when <= draft.facts)
        partner = next(label for label in LABELS[rule.id.rpartition("-")[0]] if label != rule.value)
        return {ANSWER: rule.value if rng.random() < RIGHT_UNPROMPTED else partner}

    values = {ANSWER: tuple(sorted(label for topic in topics for label in LABELS[topic]))}
    world = World(
        family="taxonomy",
        seed=seed,
        form="label",
        fields=(ANSWER,),
        values=values,
        concepts={**{topic: matters[topic] for topic in topics}, **sides},
        rules=tuple(rules),
        rows=rows_of(rng, draw, base, rules, values),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("taxonomy", seed),
    )
    return flawed(world, misleading(world, [frozenset({topic}) for topic in topics]))
