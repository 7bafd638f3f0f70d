"""Writes a run: the sink of the loop and of the gate."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

from optimizer import locked
from optimizer.errors import OptimizerError, StoreError
from optimizer.events import (
    CallEnded,
    CallSent,
    Decided,
    Event,
    Progress,
    RunEnded,
)
from optimizer.redaction import Scrubber
from optimizer.results import Completion, Result
from optimizer.store import log, schema
from optimizer.store.commits import Commits, execute
from optimizer.store.faults import fault
from optimizer.store.folders import RunFolder
from optimizer.store.lock import Lock
from optimizer.store.reader import RunReader
from optimizer.store.repair import Repaired
from optimizer.store.rows import Rows, Work
from optimizer.store.schema import Cell, Statement
from optimizer.store.standing import standing
from optimizer.store.totals import Spending, kept_totals, spending

DURABLE = (CallSent, CallEnded, RunEnded)
"""Events whose `record` returns only when they are on the disk, and everything before them.

A result is not among them: it follows from an answer that is, and every decision that rests on it comes after it. Nor
are candidates, trials and decisions: no call leaves because of them, and no run ends, before they are on the disk.
"""
_ROWS = ("rows", "splits")
"""What a run knows of every row: too much for a line."""
MOST_WAITING = 4096
"""Events that may wait for the disk before the others are made to wait as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One process at work on a run."""

    root: Path
    """The workspace."""
    folder: RunFolder
    """Where the run lies."""
    number: int
    """1 for the first process that wrote this run."""
    config_text: str
    """What was asked, without secrets."""
    started: float
    """Unix time."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that never jump, for durations."""
    began: float = field(default_factory=time.monotonic)
    """What `clock` said at the start."""
    scrubber: Scrubber
    """Keeps secrets out."""
    repaired: Repaired
    """What was mended when the run was opened again."""

    def at(self) -> float:
        """Unix time by the clock that never jumps: no event comes before the one that caused it."""
        return self.started + self.clock() - self.began

    def row(self, *, ended: float | None = None, error: str | None = None) -> Statement:
        """Its row in the file."""
        told = None if error is None else self.scrubber.text(error)
        head = (self.number, os.getpid(), _version(), self.config_text)
        return schema.SESSIONS.insert(*head, self.started, ended, told)

    def line(self, name: str, at: float, **told: object) -> str:
        """Its line in the log, for what happened at Unix time `at`."""
        return self.safe(log.line(name, {"session": self.number, **told}, at))

    def safe(self, line: str) -> str:
        """A line of the log without secrets, and without characters that would steer a terminal."""
        return log.visible(self.scrubber.json(line)) if line else ""


class RunWriter:
    """A Sink that keeps a run on disk. One process a run; made by `open_run`.

    `record` raises StoreError once the disk refuses: what was acknowledged before is kept.
    """

    def __init__(self, session: Session, held: Lock, db: sqlite3.Connection) -> None:
        self._session = session
        self._lock = held
        self._db = db
        self._rows = Rows(scrubber=session.scrubber, session=session.number)
        self._again = _decisions(db)
        self._log = log.Log(session.folder.log)
        self._commits = Commits(db, session.folder.database, self._log)
        began = session.line(
            "session began", session.started, run=self.id, pid=os.getpid(), lost=self.repaired.lost, about=self._about()
        )
        self._commits.put((), began)
        self._closed = False

    @property
    def id(self) -> str:
        """The run's id."""
        return self._session.folder.id

    @property
    def folder(self) -> RunFolder:
        """Where the run lies."""
        return self._session.folder

    @property
    def resumed(self) -> bool:
        """True where an earlier process wrote a part of this run."""
        return self._session.number > 1

    @property
    def repaired(self) -> Repaired:
        """What was mended when the run was opened again."""
        return self._session.repaired

    async def record(self, event: Event) -> None:
        """Take one event; for most kinds, return when it is on the disk. Progress is not kept.

        A decision that an earlier session took in the same words is not kept twice: a resumed run decides again what
        it decided before.
        """
        if self._commits.error is not None:
            raise StoreError(str(self._commits.error))
        if isinstance(event, Progress):
            return
        at = self._session.at()
        work = self._rows.of(event, at, self._session.clock())
        if isinstance(event, Decided) and self._decided_before(work):
            return
        line = self._session.safe(log.log_line(event, at))
        if isinstance(event, DURABLE) or self._commits.backlog() > MOST_WAITING:
            await self._commits.durable(work, line)
        else:
            self._commits.put(work, line)

    def known_results(self) -> dict[tuple[str, str], Result]:
        """(candidate, example) -> result, without errors: those are tried again."""
        with self.reader() as reader:
            stored = (found.result for found in reader.results())
            return {(result.candidate, result.example): result for result in stored if result.error is None}

    def known_completions(self) -> dict[str, Completion]:
        """Request key -> its first answer that can be used again: whole, and no secret taken out of it."""
        with self.reader() as reader:
            return reader.completions()

    def spent(self) -> Spending:
        """What was sent in all sessions, as far as it is on the disk: attempts without an end count as billed."""
        with self.reader() as reader:
            return spending(reader)

    def reader(self) -> RunReader:
        """A reader of this run."""
        return RunReader(self._session.root, self.id)

    def close(self, error: BaseException | None = None) -> None:
        """Write what waits, note how the session ended, give the lock back. Closing twice does nothing.

        Args:
            error: what ended the session; None where it ended well or was interrupted.

        Raises StoreError where what waited could not be written.
        """
        if self._closed:
            return
        self._closed = True
        self._commits.stop()
        failed = self._commits.error
        try:
            if failed is None:
                self._note_end(error)
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            with contextlib.suppress(OSError):
                self._log.close()
            self._lock.release()
        if failed is not None and error is None:
            raise failed

    async def __aenter__(self) -> RunWriter:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # The last commit may have to wait for the disk, or for another program: the event loop does not.
        await asyncio.to_thread(self.close, error)

    def _note_end(self, error: BaseException | None) -> None:
        told = str(error) if isinstance(error, OptimizerError) else None
        try:
            locked.patiently(self.folder.database, lambda: self._db.execute("BEGIN IMMEDIATE"))
            execute(self._db, *kept_totals(self._db, self._session.number))
            ended = self._session.at()
            execute(self._db, *self._session.row(ended=ended, error=told))
            self._db.execute("COMMIT")
            stands = self._session.line("standing", ended, **standing(self.reader))
            self._log.write([stands, self._session.line("session ended", ended, error=told)])
            # One plain file, which can be copied, and read where nothing may be written. A reader may forbid it: then
            # the log of changes stays beside it, and nothing is lost.
            self._db.execute("PRAGMA busy_timeout = 0")
            with contextlib.suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode = DELETE")
        except (sqlite3.Error, OSError) as fallen:
            raise fault(self.folder.database, fallen) from fallen

    def _about(self) -> dict[str, object]:
        """What the run is about, without its rows."""
        with self.reader() as reader:
            return {name: told for name, told in log.listed(asdict(reader.meta)).items() if name not in _ROWS}

    def _decided_before(self, work: Sequence[Work]) -> bool:
        (statement,) = work
        assert not callable(statement)
        said = statement[1][:4]
        if self._again[said] > 0:
            self._again[said] -= 1
            return True
        return False


def _version() -> str:
    try:
        return metadata.version("prompt-refinement-optimizer")
    except metadata.PackageNotFoundError:
        return "unknown"


def _decisions(db: sqlite3.Connection) -> Counter[tuple[Cell, ...]]:
    return Counter(tuple(row) for row in db.execute("SELECT kind, round, reason, figures FROM decisions"))
