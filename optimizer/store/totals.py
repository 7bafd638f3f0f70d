"""Figures that SQL adds up: a run with millions of rows is never loaded for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.outcome import Phase, Role
from optimizer.store import schema
from optimizer.store.reader import RunReader
from optimizer.store.rows import ANSWERED, FAILED, LOST, SAVED, SENT
from optimizer.store.schema import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What a run has sent, counted as the provider counts it: every attempt, whatever came of it."""

    calls: int = 0
    """Attempts sent."""
    answered: int = 0
    """Attempts that were answered."""
    failed: int = 0
    """Attempts that failed."""
    lost: int = 0
    """Attempts without an end: under way, or lost in a kill. They count as billed."""
    saved: int = 0
    """Requests that were answered without sending; no part of `calls`."""
    input_tokens: int = 0
    """Of all replies, unusable ones included."""
    output_tokens: int = 0
    """The same."""
    saved_tokens: int = 0
    """Input and output tokens of saved requests."""
    usd: float | None = 0.0
    """Of all replies; None where the price of one is unknown."""
    known_usd: float = 0.0
    """Of the replies whose price is known."""
    saved_usd: float | None = 0.0
    """What the saved requests cost when they were paid; None where that is unknown."""
    lost_tokens: int = 0
    """Estimate for attempts without an end: the mean of their role."""
    lost_usd: float = 0.0
    """Estimate for attempts without an end: the mean of their role."""
    unclear_tokens: int = 0
    """The same for those that ended and may have been paid: neither reply nor refusal, or a reply without a count."""
    unclear_usd: float | None = 0.0
    """The same; None where a price is unknown, or no reply has a count."""
    by_role: Mapping[Role, int] = field(default_factory=dict)
    """Attempts of each role."""
    by_phase: Mapping[Phase, int] = field(default_factory=dict)
    """Attempts of each phase."""

    @property
    def tokens(self) -> int:
        """Input and output tokens of all replies."""
        return self.input_tokens + self.output_tokens

    @property
    def billed_tokens(self) -> int:
        """The same with all estimates: what a budget must count."""
        return self.tokens + self.lost_tokens + self.unclear_tokens

    @property
    def billed_usd(self) -> float | None:
        """US dollars with all estimates; None where they cannot be told."""
        return None if self.unclear_usd is None else self.known_usd + self.lost_usd + self.unclear_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Calls of one role, phase and state; those of which it is not clear what they used apart."""

    role: Role
    phase: Phase
    state: str
    calls: int
    inputs: int
    outputs: int
    usd: float
    unpriced: int
    unclear: bool

    @property
    def endless(self) -> bool:
        return self.state in (SENT, LOST)


def attempts(reader: RunReader) -> int:
    """Attempts sent so far, in all sessions."""
    return _calls([group for group in _groups(reader) if group.state != SAVED])


def spending(reader: RunReader) -> Spending:
    """What was sent so far, in all sessions."""
    groups = _groups(reader)
    sent = [group for group in groups if group.state != SAVED]
    replied = [group for group in groups if group.state in (ANSWERED, FAILED)]
    answered = [group for group in groups if group.state == ANSWERED]
    saved = [group for group in groups if group.state == SAVED]
    endless = [group for group in groups if group.endless]
    unclear = [group for group in replied if group.unclear]
    like = [group for group in answered if not group.unclear]
    priced = not any(group.unpriced for group in replied if not group.unclear) and bool(like or not unclear)
    return Spending(
        calls=_calls(sent),
        answered=_calls(answered),
        failed=_calls([group for group in groups if group.state == FAILED]),
        lost=_calls(endless),
        saved=_calls(saved),
        input_tokens=sum(group.inputs for group in replied),
        output_tokens=sum(group.outputs for group in replied),
        saved_tokens=sum(group.inputs + group.outputs for group in saved),
        usd=_usd(replied),
        known_usd=sum(group.usd for group in replied),
        saved_usd=_usd(saved),
        lost_tokens=round(_estimate(endless, like, _tokens)),
        lost_usd=_estimate(endless, like, _dollars),
        unclear_tokens=round(_estimate(unclear, like, _tokens)),
        unclear_usd=_estimate(unclear, like, _dollars) if priced else None,
        by_role={role: _calls([group for group in sent if group.role is role]) for role in Role},
        by_phase={phase: _calls([group for group in sent if group.phase is phase]) for phase in Phase},
    )


_UNCLEAR = (
    f"CASE WHEN digest IS NOT NULL THEN input_tokens + output_tokens = 0 AND cost IS NULL WHEN state = '{FAILED}' "
    "THEN COALESCE(CASE WHEN json_valid(error) THEN json_extract(error, '$.status') END, 0) < 300 ELSE 0 END"
)
"""A reply without a count, or an end without reply and refusal. A reply that is free needs no count."""


_GROUPS = (
    f"SELECT role, phase, state, {_UNCLEAR}, COUNT(*), TOTAL(input_tokens), TOTAL(output_tokens), TOTAL(cost), "
    "COUNT(digest) - COUNT(cost) FROM calls GROUP BY 1, 2, 3, 4"
)
_KEPT = """
SELECT t.session, t.body, t.crc FROM totals t JOIN sessions s ON s.number = t.session
WHERE s.number = (SELECT MAX(number) FROM sessions) AND s.ended_at IS NOT NULL
"""
"""The sums of a run whose last session has ended: no call came after them."""


def kept_totals(db: sqlite3.Connection, session: int) -> Statement:
    """The statement that keeps the sums over all calls, for when a session ends."""
    rows = [list(row) for row in db.execute(_GROUPS)]
    return schema.TOTALS.insert(session, json.dumps(rows, separators=(",", ":")))


def _groups(reader: RunReader) -> list[_Group]:
    rows = _kept(reader)
    if rows is None:
        rows = reader.query(_GROUPS)
    return [
        _Group(
            role=Role(role),
            phase=Phase(phase),
            state=state,
            unclear=bool(unclear),
            calls=calls,
            inputs=int(inputs),
            outputs=int(outputs),
            usd=usd,
            unpriced=unpriced,
        )
        for role, phase, state, unclear, calls, inputs, outputs, usd, unpriced in rows
    ]


def _kept(reader: RunReader) -> list[tuple[Any, ...]] | None:
    """The sums as the last session left them; None where it has not ended, or they are damaged."""
    found = reader.query(_KEPT)
    if not found or schema.checksum(found[0][:-1]) != found[0][-1]:
        return None
    return [tuple(row) for row in json.loads(found[0][1])]


def _tokens(group: _Group) -> float:
    return group.inputs + group.outputs


def _dollars(group: _Group) -> float:
    return group.usd


def _calls(groups: Sequence[_Group]) -> int:
    return sum(group.calls for group in groups)


def _usd(groups: Sequence[_Group]) -> float | None:
    if any(group.unpriced for group in groups):
        return None
    return sum(group.usd for group in groups)


def _estimate(unknown: Sequence[_Group], answered: Sequence[_Group], figure: Callable[[_Group], float]) -> float:
    """What attempts came to, if each is like the mean answered one of its role, or of any where its role has none."""
    total = 0.0
    for group in unknown:
        like = [other for other in answered if other.role is group.role] or answered
        total += group.calls * sum(map(figure, like)) / max(_calls(like), 1)
    return total
