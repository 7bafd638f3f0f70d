"""Runs a command with its file calls watched: `python -m tests.faults.watched run evals/rows.yaml ...`.

Every commit, write, fsync, rename, link, truncation and deletion below the working folder is a point with a name:
`commit:run.sqlite`, `write:log.jsonl`, `fsync:v2.yaml.new`, `link:v2.yaml`. So no program that is tested needs points
of its own, and none is forgotten. The environment says what happens there:

    POINTS_TO=FILE                       write the name of each point there, as it is reached
    KILL_AT=before:commit:run.sqlite:3   kill -9 before the third commit; `after:`, or `half:` of what is written
    POWER_LOSS_TO=FOLDER                 at that point, first leave there what a power loss would leave of the files
"""

from __future__ import annotations

import io
import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.durable import Disk

HERE = Path.cwd()
MOMENTS = ("before", "half", "after")
_RANDOM = re.compile(r"^\.(.+)\.[a-z0-9_]{8}$")


def kind_of(path: str | Path) -> str:
    """A file's name without what is random in it."""
    name = Path(path).name
    if found := _RANDOM.match(name):
        return f"{found.group(1)}.new"
    return "cache.db.new" if name.startswith("new-") else name


class Watch:
    """Counts points, and ends the process at one of them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._told = os.environ.get("POINTS_TO")
        self._at = os.environ.get("KILL_AT", "")
        self._loss = os.environ.get("POWER_LOSS_TO")
        self._disk = Disk(HERE) if self._loss else None

    def around(self, what: str, path: str | Path, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Do something to a file, with the points before, after and half-way."""
        place = Path(os.path.abspath(path))
        if HERE not in (place, *place.parents):
            return act()
        with self._lock:  # One at a time, so that a power loss finds what is durable, and no more.
            name = f"{what}:{kind_of(place)}"
            self._counts[name] += 1
            self._reach("before", name)
            if half is not None and self._at == f"half:{name}:{self._counts[name]}":
                half()
                self._reach("half", name)
            given = act()
            if self._disk is not None:
                self._disk.after(what, place)
            self._reach("after", name)
            return given

    def _reach(self, moment: str, name: str) -> None:
        point = f"{moment}:{name}:{self._counts[name]}"
        if self._told:
            descriptor = _open(self._told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            _write(descriptor, f"{point}\n".encode())
            os.close(descriptor)
        if point == self._at:
            if self._disk is not None and self._loss is not None:
                self._disk.leave(Path(self._loss))
            os.kill(os.getpid(), signal.SIGKILL)


_open, _write = os.open, os.write


class Connection(sqlite3.Connection):
    """Tells of commits, and of what else changes files for good."""

    def __init__(self, database: str, *rest: Any, **named: Any) -> None:
        # A file that is opened to be read, by its address, has no points.
        self.path = "/" if named.get("uri") else database
        super().__init__(database, *rest, **named)

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        act = super().execute
        if (word := sql.split(None, 1)[0].upper()) in ("COMMIT", "VACUUM") or "journal_mode =" in sql:
            if word == "COMMIT":
                (level,) = super().execute("PRAGMA synchronous").fetchone()
                assert level == 2, f"{self.path}: a commit here would not outlive a power loss"
            given: sqlite3.Cursor = WATCH.around(
                "mode" if word == "PRAGMA" else word.lower(), self.path, lambda: act(sql, *rest)
            )
            return given
        return act(sql, *rest)

    def close(self) -> None:
        WATCH.around("close", self.path, super().close)


class File(io.FileIO):
    """Tells of writes."""

    def write(self, data: Any) -> int:
        raw, act = memoryview(data).cast("B"), super().write
        given: int = WATCH.around(
            "write", _path(self.fileno()), lambda: act(raw), half=lambda: act(raw[: max(len(raw) // 2, 1)])
        )
        return given


def _path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)")


def _watched_open(open_it: Callable[..., Any]) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if "b" not in mode or not set(mode) & set("wax") or isinstance(file, int) and file < 3:
            return open_it(file, mode, buffering, *rest, **named)
        raw = File(file, mode.replace("b", ""), **{key: named[key] for key in ("closefd", "opener") if key in named})
        return raw if buffering == 0 else io.BufferedWriter(raw)

    return opened


def _watched_call(name: str, which: int) -> None:
    act = getattr(os, name)

    def called(*arguments: Any, **named: Any) -> Any:
        place = arguments[which]
        path = _path(place) if isinstance(place, int) else place
        half = None
        if name == "write":
            half = lambda: act(place, arguments[1][: max(len(arguments[1]) // 2, 1)])  # noqa: E731
        return WATCH.around(
            name.removeprefix("f") if name == "ftruncate" else name, path, lambda: act(*arguments, **named), half
        )

    setattr(os, name, called)


def watch() -> None:
    """Put the watch around every call that changes files."""
    for name, which in (("write", 0), ("fsync", 0), ("ftruncate", 0), ("unlink", 0), ("mkdir", 0)):
        _watched_call(name, which)
    for name in ("replace", "rename", "link"):
        _watched_call(name, 1)
    io.open = _watched_open(io.open)
    sqlite3.connect = lambda database, **named: Connection(str(database), **named)  # type: ignore[assignment]


WATCH = Watch()

if __name__ == "__main__":
    watch()
    from optimizer.cli import main

    sys.exit(main())
