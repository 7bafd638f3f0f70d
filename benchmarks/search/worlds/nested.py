"""JSON with nested fields: four codes in one object, decided by matter, amount and tone."""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.making import Draft, adherence_of, rows_of
from benchmarks.search.worlds.text import bank_of, message
from benchmarks.search.worlds.world import Rule, World

PATHS = {
    "desk": "case.routing.desk",
    "priority": "case.priority",
    "mood": "customer.mood",
    "channel": "handling.channel",
}
CODES = {
    "desk": ("harbour", "meadow", "summit", "canyon", "glacier", "orchard", "lagoon", "prairie", "delta"),
    "priority": ("amber", "crimson", "ivory", "teal", "bronze"),
    "mood": ("oboe", "cello", "flute", "banjo", "viola", "tuba", "harp"),
    "channel": ("heron", "otter", "badger", "lynx"),
}
DEFAULTS = {"desk": "lobby", "priority": "grey", "mood": "drum", "channel": "sparrow"}
MATTERS = 8
RULED_CHANNELS = 5
PROMPT = """\
You file messages that customers of a shop have sent.
Answer with one JSON object and nothing else, in this form:
{"case": {"routing": {"desk": "..."}, "priority": "..."}, "customer": {"mood": "..."}, "handling": {"channel": "..."}}
Where nothing else is known, desk is lobby, priority is grey, mood is drum and channel is sparrow."""


def make(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"nested:{seed}")
    matters, tones = bank_of("matters"), bank_of("tones")
    chosen = rng.sample([key for key in matters if key not in ("praise", "stock")], MATTERS)
    rules = _rules(chosen, sorted(tones), rng)

    def draw(rng: Random, number: int) -> Draft:
        key, tone = chosen[number % MATTERS], rng.choice(sorted(tones))
        amount = rng.randint(12, 420)
        text = message([matters[key], tones[tone]], amount, rng)
        return Draft(text=text, facts=frozenset({key, tone}), amount=amount)

    values = {name: (*CODES[name], DEFAULTS[name]) for name in PATHS}
    return World(
        family="nested",
        seed=seed,
        form="json",
        fields=tuple(PATHS),
        values=values,
        concepts={**{key: matters[key] for key in chosen}, **tones},
        rules=rules,
        rows=rows_of(rng, draw, lambda draft, rng: dict(DEFAULTS), rules, values),
        prompt=PROMPT,
        frame=PROMPT,
        adherence=adherence_of("nested", seed),
        paths=PATHS,
    )


def _rules(chosen: list[str], tones: list[str], rng: Random) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    desks = rng.sample(CODES["desk"], MATTERS)
    for key, value in zip(chosen[:-1], desks, strict=False):
        rules.append(Rule(id=f"desk-{key}", field="desk", when=frozenset({key}), value=value))
    low, high = rng.choice((80, 100, 120)), rng.choice((220, 260, 300))
    first, second, third = rng.sample(CODES["priority"], 3)
    rules += [
        Rule(id="priority-low", field="priority", when=frozenset(), value=first, upto=low),
        Rule(id="priority-middle", field="priority", when=frozenset(), value=second, above=low, upto=high),
        Rule(id="priority-high", field="priority", when=frozenset(), value=third, above=high),
    ]
    for tone, value in zip(tones, rng.sample(CODES["mood"], len(tones)), strict=True):
        rules.append(Rule(id=f"mood-{tone}", field="mood", when=frozenset({tone}), value=value))
    for key in rng.sample(chosen, RULED_CHANNELS):
        value = rng.choice(CODES["channel"])
        rules.append(Rule(id=f"channel-{key}", field="channel", when=frozenset({key}), value=value))
    return tuple(rules)
