"""Lines of known kinds: true rules, the same rule twice, rules that are wrong, rules read into a row, and idle talk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.search.wording import Finding, phrase, plainly, platitude
from benchmarks.search.worlds.world import Rule, World

TRUE, REDUNDANT, HARMFUL, SPURIOUS, USELESS = "true", "redundant", "harmful", "spurious", "useless"
IDLE_LINES = 6
"""Lines of a prompt in a world without rules: all of them say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """One line of a prompt, of known kind."""

    kind: str
    """`true`, `redundant`, `harmful`, `spurious` or `useless`."""
    text: str
    """The line."""
    rule: str
    """The true rule whose failures it was proposed for; a label in a world without rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Idea:
    """A line before its words."""

    kind: str
    """As in Planted."""
    rule: str
    """As in Planted."""
    finding: Finding | None
    """What it says; None for idle talk."""


def planned(world: World, rng: Random) -> list[Idea]:
    """Lines of every kind in an order of chance: half of the true rules or more, and half as many other lines."""
    if not world.rules:
        labels = sorted({value for values in world.values.values() for value in values})
        return [Idea(kind=USELESS, rule=rng.choice(labels), finding=None) for _ in range(IDLE_LINES)]
    true = rng.sample(world.rules, max(2, round(len(world.rules) * rng.uniform(0.5, 0.8))))
    ideas = [Idea(kind=TRUE, rule=rule.id, finding=plainly(rule)) for rule in true]
    makers: dict[str, Callable[[Rule], Finding | None]] = {
        REDUNDANT: plainly,
        HARMFUL: lambda rule: wrong_finding(world, rng),
        SPURIOUS: lambda rule: spurious_finding(world, rule, rng),
        USELESS: lambda rule: None,
    }
    for _ in range(max(3, len(true) // 2)):
        kind, rule = rng.choice(sorted(makers)), rng.choice(true)
        ideas.append(Idea(kind=kind, rule=rule.id, finding=makers[kind](rule)))
    rng.shuffle(ideas)
    return ideas


def wrong_finding(world: World, rng: Random) -> Finding:
    """A rule that gives some condition the value of another one."""
    rule = rng.choice(world.rules)
    others = sorted({other.value for other in world.rules if other.field == rule.field and other.value != rule.value})
    concept = rng.choice(sorted(world.concepts))
    when = rule.when if rule.when and rng.random() < 0.5 else frozenset({concept})
    return Finding(field=rule.field, value=rng.choice(others), when=when)


def spurious_finding(world: World, rule: Rule, rng: Random) -> Finding:
    """A rule read into one failure: another concept of the row leads to what the row wanted."""
    rows = [row for row in world.split("train") if row.cause.get(rule.field) == rule.id]
    row = rng.choice(rows or world.split("train"))
    concept = rng.choice([*sorted(row.facts), rng.choice(sorted(world.concepts))])
    above = row.amount // 10 * 10 if row.amount is not None and rng.random() < 0.5 else None
    return Finding(field=rule.field, value=row.expected[rule.field], when=frozenset({concept}), above=above)


def worded(world: World, plan: Sequence[Idea], rng: Random) -> list[Planted]:
    """The lines in words, no text twice."""
    lines: dict[str, Planted] = {}
    for idea in plan:
        for _ in range(20):
            text = platitude(rng) if idea.finding is None else phrase(world, idea.finding, rng)
            if text not in lines:
                lines[text] = Planted(kind=idea.kind, text=text, rule=idea.rule)
                break
    return list(lines.values())
