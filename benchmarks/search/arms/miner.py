"""The label-miner: counts words in the labels of train, writes what stands out as rules, and asks nobody.

It is there to show that the worlds are not solved by counting.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

from benchmarks.search.arms.result import Reached, Spent
from benchmarks.search.endpoint import Endpoint
from benchmarks.search.worlds.world import Row, World

WORD = re.compile(r"[a-z]{3,}")
LEAST = 2
"""Rows of train that must share a term."""
MOST_TERMS = 8
"""Terms a value."""


def mined(world: World) -> str:
    """The seed prompt with a line a value, from words and pairs of words that stand with it in train."""
    rows = world.split("train")
    lines = [line for name in world.fields for line in _lines(rows, name)]
    return "\n".join([world.prompt, *lines])


def run(endpoint: Endpoint, world: World, budget: int) -> tuple[Reached, ...]:
    """Measure the mined prompt; it costs no call of the search."""
    prompt = mined(world)
    spent = Spent.now(endpoint)
    return (Reached(budget=budget, spent=spent, score=endpoint.measure(world, prompt), prompt=prompt),)


def _lines(rows: tuple[Row, ...], name: str) -> list[str]:
    by_value: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_value[row.expected[name]].append(row)
    everywhere = Counter(term for row in rows for term in _terms(row.text))
    lines = []
    for value, members in sorted(by_value.items()):
        inside = Counter(term for row in members for term in _terms(row.text))
        scored = sorted(
            (-_lift(count, everywhere[term], len(members), len(rows)), term)
            for term, count in inside.items()
            if count >= LEAST
        )
        terms = [term for lift, term in scored if lift < 0][:MOST_TERMS]
        if terms:
            named = " or ".join(f'"{term}"' for term in terms)
            lines.append(f"If the input mentions {named}, the answer is {value}.")
    return lines


def _lift(inside: int, everywhere: int, members: int, rows: int) -> float:
    """Log-odds of the value given the term, minus its log-odds in all rows, smoothed."""
    outside = everywhere - inside
    with_term = math.log((inside + 0.5) / (outside + 0.5))
    return with_term - math.log((members + 0.5) / (rows - members + 0.5)) - 1.0


def _terms(text: str) -> set[str]:
    words = WORD.findall(text.lower())
    return {*words, *(f"{left} {right}" for left, right in zip(words, words[1:], strict=False))}
