"""The prompt with all true rules of a world, and no line that hurts or says nothing: the ceiling."""

from __future__ import annotations

from random import Random

from benchmarks.search.wording import phrase, plainly
from benchmarks.search.worlds.world import World


def ceiling_prompt(world: World, wording: int = 0) -> str:
    """The frame of the seed prompt, its locked lines and a line a true rule, in one of many wordings."""
    rng = Random(f"ceiling:{world.family}:{world.seed}:{wording}")
    lines = [phrase(world, plainly(rule), rng) for rule in world.rules]
    locked = [line for line in world.prompt.split("\n") if line in world.locked]
    return "\n".join([world.frame, *locked, *lines])
