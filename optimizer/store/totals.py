"""Figures that SQL adds up: a run with millions of rows is never loaded for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.outcome import Phase, Role
from optimizer.store.reader import RunReader
from optimizer.store.rows import ANSWERED, FAILED, LOST, SAVED, SENT


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
    saved_usd: float | None = 0.0
    """What the saved requests cost when they were paid; None where that is unknown."""
    lost_tokens: int = 0
    """Estimate for attempts without an end: the mean of their role."""
    lost_usd: float = 0.0
    """Estimate for attempts without an end: the mean of their role."""
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
        """The same with the estimate for attempts without an end: what a budget must count."""
        return self.tokens + self.lost_tokens

    @property
    def billed_usd(self) -> float | None:
        """US dollars with the estimate for attempts without an end; None where a price is unknown."""
        return None if self.usd is None else self.usd + self.lost_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Calls of one role, phase and state."""

    role: Role
    phase: Phase
    state: str
    calls: int
    inputs: int
    outputs: int
    usd: float
    unpriced: int

    @property
    def endless(self) -> bool:
        return self.state in (SENT, LOST)


def spending(reader: RunReader) -> Spending:
    """What was sent so far, in all sessions."""
    rows = reader.query(
        "SELECT role, phase, state, COUNT(*), TOTAL(input_tokens), TOTAL(output_tokens), TOTAL(cost), "
        "COUNT(digest) - COUNT(cost) "
        "FROM calls GROUP BY role, phase, state"
    )
    groups = [
        _Group(
            role=Role(role),
            phase=Phase(phase),
            state=state,
            calls=calls,
            inputs=int(inputs),
            outputs=int(outputs),
            usd=usd,
            unpriced=unpriced,
        )
        for role, phase, state, calls, inputs, outputs, usd, unpriced in rows
    ]
    sent = [group for group in groups if group.state != SAVED]
    replied = [group for group in groups if group.state in (ANSWERED, FAILED)]
    answered = [group for group in groups if group.state == ANSWERED]
    saved = [group for group in groups if group.state == SAVED]
    endless = [group for group in groups if group.endless]
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
        saved_usd=_usd(saved),
        lost_tokens=round(_estimate(endless, answered, lambda group: group.inputs + group.outputs)),
        lost_usd=_estimate(endless, answered, lambda group: group.usd),
        by_role={role: _calls([group for group in sent if group.role is role]) for role in Role},
        by_phase={phase: _calls([group for group in sent if group.phase is phase]) for phase in Phase},
    )


def _calls(groups: Sequence[_Group]) -> int:
    return sum(group.calls for group in groups)


def _usd(groups: Sequence[_Group]) -> float | None:
    if any(group.unpriced for group in groups):
        return None
    return sum(group.usd for group in groups)


def _estimate(endless: Sequence[_Group], answered: Sequence[_Group], figure: Callable[[_Group], float]) -> float:
    """What attempts without an end came to, if each is like the mean answered one of its role."""
    total = 0.0
    for lost in endless:
        like = [group for group in answered if group.role is lost.role]
        total += lost.calls * sum(map(figure, like)) / max(_calls(like), 1)
    return total
