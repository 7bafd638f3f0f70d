"""Synthetic tasks with known causes, each a pure function of its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from benchmarks.search.worlds import facts, nested, nothing, slots, style, taxonomy
from benchmarks.search.worlds.world import World

FAMILIES: Mapping[str, Callable[[int], World]] = {
    "slots": slots.make,
    "style": style.make,
    "nested": nested.make,
    "taxonomy": taxonomy.make,
    "facts": facts.make,
    "nothing": nothing.make,
}
"""Family -> maker of its worlds."""


@lru_cache(maxsize=32)
def make_world(family: str, seed: int) -> World:
    """The world of a family and a seed. Raises KeyError for a family that is not there."""
    return FAMILIES[family](seed)
