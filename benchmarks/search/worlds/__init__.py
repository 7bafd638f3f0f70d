"""Synthetic tasks with known causes, each a pure function of its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from benchmarks.search.worlds import slots
from benchmarks.search.worlds.world import World

FAMILIES: Mapping[str, Callable[[int], World]] = {
    "slots": slots.make,
}
"""Family -> maker of its worlds."""


@lru_cache(maxsize=32)
def make_world(family: str, seed: int) -> World:
    """The world of a family and a seed. Raises KeyError for a family that is not there."""
    return FAMILIES[family](seed)
