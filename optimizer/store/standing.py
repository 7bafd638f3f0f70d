"""Where a run stands when a session ends: figures of the one-minute screen that no single event tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from optimizer.errors import StoreError
from optimizer.store.log import short
from optimizer.store.reader import RunReader
from optimizer.store.totals import Spending, spending


def standing(opened: Callable[[], RunReader]) -> dict[str, Any]:
    """Best prompt, what was spent, price of a call and what became of each cause, for the log's last line but one.

    A run that is too damaged to tell says so in `problem`, and nothing else: a session ends all the same.
    """
    # At the end of a session: its beginning does not wait for what only this needs.
    from optimizer.store.figures import cluster_changes, per_call

    try:
        with opened() as reader, reader.snapshot():
            seed, best = reader.seed(), reader.best()
            pair = (
                seed.fingerprint if seed else reader.meta.seed_prompt,
                best.fingerprint if best else reader.meta.seed_prompt,
            )
            before, after = per_call(reader, *pair)
            return {
                "best": short(pair[1]),
                "spent": _spent(spending(reader)),
                "per_call": {"seed": asdict(before), "best": asdict(after)},
                "causes": [
                    {
                        "id": change.id,
                        "label": change.label,
                        "found": change.found,
                        "now": change.now,
                        "unknown": change.unknown,
                        "stage": change.stage,
                    }
                    for change in cluster_changes(reader, *pair)
                ],
            }
    except StoreError as error:
        return {"problem": str(error)}


def _spent(found: Spending) -> dict[str, Any]:
    return {
        "calls": found.calls,
        "answered": found.answered,
        "failed": found.failed,
        "lost": found.lost,
        "saved": found.saved,
        "tokens": found.tokens,
        "usd": found.usd,
        "saved_tokens": found.saved_tokens,
        "saved_usd": found.saved_usd,
        "lost_tokens": found.lost_tokens,
        "lost_usd": found.lost_usd,
    }
