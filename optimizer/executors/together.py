"""A few calls side by side that are no rows: they too are given time to end when the run is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

DRAIN = 5.0
"""Seconds that calls under way have to end once the caller is cancelled."""


async def together(work: Sequence[Coroutine[Any, Any, T]], *, drain: float = DRAIN) -> list[T | BaseException]:
    """Run all to their ends; results, or faults as values, in the order given.

    Where the caller is cancelled, those under way have `drain` seconds to end: they are paid for, and the gate keeps
    an answer that arrives.
    """
    calls = asyncio.gather(*work, return_exceptions=True)
    try:
        return await asyncio.shield(calls)
    except asyncio.CancelledError:
        try:
            await asyncio.wait((calls,), timeout=drain)
        finally:
            calls.cancel()
        await asyncio.wait((calls,))
        raise
