"""Seed prompts with flaws: a line that hurts, two that say nothing, one of these locked by its user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from benchmarks.search.wording import Finding, phrase
from benchmarks.search.worlds.world import ANSWER, Rule, World

HURTS = 0.1
"""Share of rows that the wrong line gets wrong where the prompt states all true rules, as near as there is one."""
SAY_NOTHING = (
    "The house was founded by two sisters and is proud of its service.",
    "Our customers come from many towns and from all walks of life.",
    "Quality has been our promise since the first day.",
    "We are a small team that works hand in hand.",
    "Many people read what you write, so do your best.",
    "Every contact is a chance to make a friend.",
)


def flawed(world: World, wrong: Sequence[Rule]) -> World:
    """The world with three more lines in its seed prompt, the wrong one with stress laid on it.

    Args:
        world: a world whose seed prompt is all frame.
        wrong: rules that are none: the one is stated whose harm is nearest to HURTS.
    """
    rng = Random(f"flaws:{world.family}:{world.seed}")
    chosen = min(wrong, key=lambda rule: (abs(harm(world, rule) - HURTS), rng.random()))
    hurts = phrase(world, Finding(field=chosen.field, value=chosen.value, when=chosen.when, firm=True), rng)
    idle, locked = rng.sample(SAY_NOTHING, 2)
    lines = [idle, hurts, locked]
    rng.shuffle(lines)
    return replace(world, prompt="\n".join([world.prompt, *lines]), locked=frozenset({locked}))


def harm(world: World, rule: Rule) -> float:
    """Share of rows that a rule decides against the truth."""
    hurt = sum(rule.when <= row.facts and row.truth[rule.field] != rule.value for row in world.rows)
    return hurt / len(world.rows)


def misleading(world: World, conditions: Sequence[frozenset[str]]) -> list[Rule]:
    """For each condition a rule that gives the value of another one."""
    rng = Random(f"misleading:{world.family}:{world.seed}")
    found = []
    for when in conditions:
        others = sorted({rule.value for rule in world.rules if not rule.when & when})
        found.append(Rule(id="none", field=ANSWER, when=when, value=rng.choice(others)))
    return found
