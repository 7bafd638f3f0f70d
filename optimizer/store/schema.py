"""The tables of `run.sqlite` as this version of the package writes and reads them.

`migrations.py` creates them. Every row ends in a checksum over its other columns, so that a damaged value is noticed
when it is read and never taken for a result.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | bytes | None
"""What SQLite holds in one place."""
Statement = tuple[str, tuple[Cell, ...]]
"""SQL and its parameters."""


def checksum(cells: Sequence[Cell]) -> int:
    """CRC-32 over the columns of a row, in order. Notices damage; it is no defence against forgery."""
    return zlib.crc32(repr(tuple(cells)).encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: its columns without the checksum, and what happens when a row is there already."""

    name: str
    """Name in SQL."""
    columns: tuple[str, ...]
    """In the order of the checksum."""
    conflict: str = ""
    """`ON CONFLICT` clause."""

    def insert(self, *cells: Cell) -> Statement:
        """The statement that adds one row."""
        return insert_sql(self.name), (*cells, checksum(cells))

    def select(self, rest: str = "", prefix: str = "") -> str:
        """`SELECT` of all columns and the checksum, with `rest` (`WHERE ... ORDER BY ...`) behind it."""
        columns = ", ".join(f"{prefix}{column}" for column in (*self.columns, "crc"))
        return f"SELECT {columns} FROM {self.name} {rest}"


def _table(name: str, columns: str, conflict: str = "") -> Table:
    return Table(name=name, columns=tuple(columns.split()), conflict=conflict)


def _overwrite(keys: str, columns: str) -> str:
    changed = ", ".join(f"{column}=excluded.{column}" for column in (*columns.split(), "crc"))
    return f"ON CONFLICT({keys}) DO UPDATE SET {changed}"


EXAMPLES = _table("examples", "position id split hash tags body", "ON CONFLICT(id) DO NOTHING")
PROMPTS = _table(
    "prompts",
    "fingerprint name version round origin parent edits body at",
    "ON CONFLICT(fingerprint, round, origin) DO NOTHING",
)
_RESULT = (
    "split phase round passed score input_tokens output_tokens cost latency cached finish_reason "
    "output scores error trace"
)
# A result that is there stays: it has paid for itself, and decisions rest on it. An error gives way.
RESULTS = _table(
    "results",
    f"candidate example {_RESULT}",
    _overwrite("candidate, example", _RESULT) + " WHERE results.error IS NOT NULL",
)
COMPLETIONS = _table(
    "completions",
    "key digest text input_tokens output_tokens cost latency finish_reason reusable",
    "ON CONFLICT(key, digest) DO NOTHING",
)
_CALL = "state sent_at seconds input_tokens output_tokens cost latency finish_reason digest cached error_kind error"
CALLS = _table("calls", f"session call key role phase {_CALL}", _overwrite("session, call", _CALL))
CLUSTERINGS = _table("clusterings", "round candidate")
CLUSTERS = _table("clusters", "round position id label share place wanted got terms evidence")
MEMBERS = _table("members", "round cluster position example row result")
_EDIT = "op slot source outcome reason mended tried broke body"
EDITS = _table("edits", f"round edit cluster {_EDIT}", _overwrite("round, edit, cluster", _EDIT))
_TRIAL = "candidate rows score gain partial reason choices"
TRIALS = _table("trials", f"round number {_TRIAL}", _overwrite("round, number", _TRIAL))
DECISIONS = _table("decisions", "kind round reason figures at")
_LINE = "text change worth low high label cluster tokens fixed broken raw rows with_line"
LINES = _table("lines", f"id {_LINE}", _overwrite("id", _LINE))
OUTCOME = _table("outcome", "id verdict reason body at", _overwrite("id", "verdict reason body at"))
META = _table("meta", "key value", _overwrite("key", "value"))
_SESSION = "pid version config started_at ended_at error"
SESSIONS = _table("sessions", f"number {_SESSION}", _overwrite("number", _SESSION))

TOTALS = _table("totals", "session body", _overwrite("session", "body"))

TABLES = (
    EXAMPLES,
    PROMPTS,
    RESULTS,
    COMPLETIONS,
    CALLS,
    CLUSTERINGS,
    CLUSTERS,
    MEMBERS,
    EDITS,
    TRIALS,
    DECISIONS,
    LINES,
    OUTCOME,
    META,
    SESSIONS,
    TOTALS,
)
"""Every table that holds data."""

_BY_NAME = {table.name: table for table in TABLES}


@functools.cache
def insert_sql(name: str, rows: int = 1) -> str:
    """The `INSERT` of some rows into one table."""
    table = _BY_NAME[name]
    row = f"({', '.join('?' * (len(table.columns) + 1))})"
    columns = ", ".join((*table.columns, "crc"))
    return f"INSERT INTO {name} ({columns}) VALUES {', '.join([row] * rows)} {table.conflict}"


INSERTS = {insert_sql(table.name): table for table in TABLES}
"""`INSERT` of one row -> its table: statements that may be put together."""
