"""What is on the disk, read from copies: looking must not change what the next start finds."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optimizer.models.base import Request
from optimizer.prompt import Message
from optimizer.testing.server import FakeServer

MOST_SAMPLES = 3
"""Repeats of a row that are told apart."""


@contextlib.contextmanager
def copied(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of a database and its log."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (database, database.with_name(f"{database.name}-wal")):
            if path.exists():
                shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / database.name)) as db:
            yield db


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query finds in a copy; nothing where the file or the table is not there yet, or cannot be read."""
    if not database.is_file():
        return []
    with copied(database) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.DatabaseError:
            return []


def request_keys(meter: FakeServer) -> dict[str, tuple[str, ...]]:
    """Key of a request on the meter -> its keys in the cache and the run store, one a sample."""
    bodies = {seen.key: seen.body for seen in list(meter.log)}
    return {key: _keys(body, meter.base_url) for key, body in bodies.items()}


def acknowledged(workspace: Path, keys: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Keys of the cache and of the runs whose answer is on the disk, of those that the meter has seen."""
    stored = {key for (key,) in rows(workspace / ".optimizer" / "cache" / "cache.db", "SELECT key FROM Cache")}
    for database in workspace.glob("runs/*/run.sqlite"):
        stored |= {key for (key,) in rows(database, "SELECT key FROM completions WHERE reusable = 1")}
    return frozenset(stored & {key for several in keys.values() for key in several})


def _keys(body: Mapping[str, Any], base_url: str) -> tuple[str, ...]:
    params = {name: value for name, value in body.items() if name not in ("model", "messages")}
    messages = tuple(Message(role=message["role"], content=message["content"]) for message in body["messages"])
    return tuple(
        Request(
            provider="openai", model=body["model"], messages=messages, params=params, base_url=base_url, sample=sample
        ).key
        for sample in range(MOST_SAMPLES)
    )
