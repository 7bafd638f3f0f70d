"""Which rows are asked next: the biggest doubt first, in blocks, until signs are settled or the reserve is used."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.attribute.asking import Desk
from optimizer.attribute.posterior import SURE, Pool, Posterior, pooled, posterior
from optimizer.attribute.removal import LEAST_OWN, Removal

MOST_OWN = 9
"""Rows that it was made for that a line is priced on at first."""
BLOCK = 3
"""Rows of a line that are asked at a time."""
SETTLED = 0.01
"""A sign is settled where the probability that it is wrong is at most this."""
WIDE = 0.15
"""An interval of more than this is narrowed, where the reserve has calls left for it."""
SMALL = 0.02
"""A worth under this is not worth more calls..."""
UNLIKELY = 0.03
"""... where a greater one has at most this probability."""


async def price(desk: Desk, removals: Sequence[Removal]) -> None:
    """Ask rows that each line was made for with and without it, in blocks until these tell no more of it.

    All lines that want a block get one side by side, as far as the reserve goes. Rows that differ are asked again only
    where the line is still in doubt without that: of one that mends every row of its cluster nobody doubts it.
    """
    block = max(1, min(BLOCK, desk.left // (4 * max(len(removals), 1))))
    while True:
        pool = pool_of(desk)
        wanting = [one for one in removals if _wants(one, pool)]
        wanting.sort(key=lambda removal: -removal.posterior(pool).wrong)
        chosen = desk.affordable([(removal, removal.open(*removal.home)[:block]) for removal in wanting])
        if not chosen:
            return
        await desk.look(chosen)
        pool = pool_of(desk)
        await desk.look_again([one for one, _ in chosen if not is_settled_by(one, pool, *one.home)])


async def price_doubtful(desk: Desk, removals: Sequence[Removal]) -> None:
    """Further rows that they were made for, for lines whose sign is still open over all rows, or whose worth is."""
    while True:
        pool = pool_of(desk)
        wanting = [one for one in removals if one.open(*one.home) and not _is_known(one, pool)]
        wanting.sort(key=lambda removal: -removal.posterior(pool).wrong)
        chosen = desk.affordable([(removal, removal.open(*removal.home)[:BLOCK]) for removal in wanting])
        if not chosen:
            return
        await desk.look(chosen)
        pool = pool_of(desk)
        await desk.look_again([one for one, _ in chosen if not is_settled(one.posterior(pool))])


def _is_known(removal: Removal, pool: Pool) -> bool:
    found = removal.posterior(pool)
    return is_settled(found) and found.quantile(1.0 - SURE) - found.quantile(SURE) <= WIDE


def _wants(removal: Removal, pool: Pool) -> bool:
    asked = sum(row.id in removal.asked for row in removal.rows(*removal.home))
    if asked >= MOST_OWN or not removal.open(*removal.home):
        return False
    return asked < LEAST_OWN or not is_settled_by(removal, pool, *removal.home)


def pool_of(desk: Desk) -> Pool:
    """What the lines tell of each other, those that are gone included."""
    return pooled([tally for one in desk.found.values() for tally in one.tallies], desk.metrics, desk.failing)


def is_settled(found: Posterior) -> bool:
    """Whether further rows would change little: the sign is sure, or the worth is next to nothing."""
    return found.wrong <= SETTLED or found.above(SMALL) + 1.0 - found.above(-SMALL) <= UNLIKELY


def is_settled_by(removal: Removal, pool: Pool, *strata: str) -> bool:
    """Whether the rows of some strata tell no more of a line."""
    return is_settled(posterior([tally for tally in removal.tallies if tally.stratum in strata], pool))
