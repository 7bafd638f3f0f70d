"""What the cache holds, and what it saved in the runs of this workspace."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.errors import StoreError
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, money
from optimizer.store import RunReader, Spending, list_runs, spending

if TYPE_CHECKING:
    from rich.text import Text

MEGABYTE = 1_000_000


def facts(root: Path) -> dict[str, Any]:
    """Entries, size and age of the cache, and sums over all runs that can be read."""
    from optimizer.models.cache import CacheStats, CompletionCache

    folder = root / ".optimizer" / "cache"
    held = CacheStats(entries=0, bytes=0, oldest=None, newest=None)
    if folder.is_dir():
        with CompletionCache(folder) as cache:
            held = cache.stats()
    spent = [found for run in list_runs(root) if run.status and (found := _spent(root, run.id))]
    known = [found.saved_usd for found in spent if found.saved_usd is not None]
    return {
        "folder": str(folder),
        "entries": held.entries,
        "bytes": held.bytes,
        "oldest": held.oldest,
        "newest": held.newest,
        "runs": {
            "count": len(spent),
            "paid_calls": sum(found.calls for found in spent),
            "saved_calls": sum(found.saved for found in spent),
            "saved_tokens": sum(found.saved_tokens for found in spent),
            "saved_usd": sum(known) if len(known) == len(spent) else None,
        },
    }


def _spent(root: Path, run: str) -> Spending | None:
    try:
        with RunReader(root, run) as reader:
            return spending(reader)
    except StoreError:
        # A damaged run is told by `runs`; the cache is another file.
        return None


def page(facts: dict[str, Any]) -> Text:
    """The same on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    size = f"{facts['bytes'] / MEGABYTE:.1f} MB" if facts["bytes"] >= MEGABYTE / 10 else f"{facts['bytes']:,} bytes"
    sheet.fact("holds", f"{counted(facts['entries'], 'answer')}, {size}, in {facts['folder']}")
    if facts["oldest"] is not None and facts["newest"] is not None:
        sheet.fact("stored", f"{_day(facts['oldest'])} to {_day(facts['newest'])} UTC")
    runs = facts["runs"]
    saved = "price unknown" if runs["saved_usd"] is None else money(runs["saved_usd"])
    told = f"{runs['saved_calls']:,} requests answered without sending, {runs['saved_tokens']:,} tokens, {saved}"
    sheet.fact("saved", f"{told}; {runs['paid_calls']:,} calls paid, in {counted(runs['count'], 'run')}")
    return sheet.text


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
