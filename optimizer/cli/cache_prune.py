"""What pruning the cache would delete, and the pruning."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.errors import UserError
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted
from optimizer.store import RunStatus, list_runs

if TYPE_CHECKING:
    from rich.text import Text

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def age(text: str) -> float:
    """`30d`, `12h`, `2w`, `90m` in seconds. Raises UserError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", text)
    if found is None:
        raise UserError(f"--older-than {text[:40]}: not an age (write 30d, say; m, h, d and w are known)")
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """`500MB`, `2 GB` in bytes. Raises UserError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)b?\s*", text.casefold())
    if found is None:
        raise UserError(f"--keep {text[:40]}: not a size (write 500MB, say; KB, MB and GB are known)")
    return int(float(found[1]) * _BYTES[found[2]])


def prune(root: Path, *, older_than: str | None, keep: str | None, delete: bool) -> dict[str, Any]:
    """Count what is too old or too much, and delete it where that is asked for.

    Raises UserError where neither limit is given, or a run of this workspace is writing.
    """
    from optimizer.models.cache import CompletionCache

    if older_than is None and keep is None:
        raise UserError("what is to go? (--older-than 30d, or --keep 500MB for the newest of that size)")
    limits = {"older_than": age(older_than) if older_than else None, "keep_bytes": size(keep) if keep else None}
    folder = root / ".optimizer" / "cache"
    told: dict[str, Any] = {"folder": str(folder), "older_than": older_than, "keep": keep, "deleted": False}
    if not folder.is_dir():
        return {**told, "entries": 0, "bytes": 0, "newest": None, "left": 0}
    writing = [run.id for run in list_runs(root) if run.status is RunStatus.RUNNING] if delete else []
    if writing:
        raise UserError(f"run {writing[0]} is writing: what it is about to use could be gone (wait for its end)")
    with CompletionCache(folder) as cache:
        found = cache.surplus(**limits)  # type: ignore[arg-type]
        entries = cache.stats().entries
        if delete and found.entries:
            cache.prune(limits["older_than"], keep_bytes=limits["keep_bytes"])  # type: ignore[arg-type]
    return {
        **told,
        "deleted": delete,
        "entries": found.entries,
        "bytes": found.bytes,
        "newest": found.newest,
        "left": entries - found.entries,
    }


def page(facts: dict[str, Any]) -> Text:
    """What is gone, or would be."""
    sheet = Sheet(width=out.width(), color=out.color())
    word = "deleted" if facts["deleted"] else "would delete"
    amount = f"{counted(facts['entries'], 'answer')}, {_megabytes(facts['bytes'])}; {facts['left']:,} stay"
    sheet.wrapped("", f"{word} {amount}, in {facts['folder']}")
    if facts["newest"] is not None:
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(facts["newest"]))
        sheet.wrapped("", f"the last of them was stored {day} UTC", "dim")
    if not facts["deleted"] and facts["entries"]:
        sheet.wrapped("", "Nothing is deleted yet: --yes deletes. What is gone has to be paid for again.", "yellow")
    return sheet.text


def _megabytes(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB" if amount >= 100_000 else f"{amount:,} bytes"
