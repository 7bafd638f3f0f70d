"""The prompt with all true rules of a world: the ceiling."""

from __future__ import annotations

from random import Random

from benchmarks.search.reflection import phrase, plainly
from benchmarks.search.worlds.world import World


def ceiling_prompt(world: World, wording: int = 0) -> str:
    """The seed prompt and a line a true rule, in one of many wordings."""
    rng = Random(f"ceiling:{world.family}:{world.seed}:{wording}")
    lines = [phrase(world, plainly(rule), rng) for rule in world.rules]
    return "\n".join([world.prompt, *lines])
