"""What the live display knows: counts, kept up to date by one cheap step an event."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import ErrorKind
from optimizer.events import (
    CallEnded,
    CallSaved,
    CallSent,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    Held,
    Progress,
    TrialEnded,
)

RECENT = 20.0
"""Seconds over which the rate is taken."""


@dataclass(slots=True)
class Cause:
    """A cluster, at its largest and now."""

    label: str
    """The cause in words."""
    before: int
    """Failures when it was first seen."""
    now: int
    """Failures under the champion; 0 where it was not found again."""


@dataclass(slots=True)
class Tally:
    """Counts of one run. `take` is called for every event."""

    clock: Callable[[], float] = time.monotonic
    """Seconds."""
    started: float = 0.0
    """When the counting began."""
    paid: int = 0
    """Attempts sent."""
    failed: int = 0
    """Attempts that failed."""
    kinds: Counter[ErrorKind] = field(default_factory=Counter)
    """Attempts that failed, by kind."""
    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Account -> why its calls are held back, and until when."""
    saved: int = 0
    """Requests answered without sending."""
    flying: set[str] = field(default_factory=set)
    """Attempts under way."""
    usd: float | None = 0.0
    """Paid so far; None where the price of one reply is unknown."""
    step: str = "starting"
    """Where the run is."""
    round: int = 0
    """0 outside the rounds."""
    best: float | None = None
    """Best score on val."""
    gain: float | None = None
    """Its gain on val."""
    planned: int = 0
    """Requests that the plan had used when the step began."""
    limit: int = 0
    """Requests that the search may use."""
    since: int = 0
    """Requests answered since the step began."""
    trials: int = 0
    """Trials that ended in this round."""
    passed: int = 0
    """Edits that passed the screen in this round."""
    judged: int = 0
    """Edits that were looked at in this round."""
    causes: dict[str, Cause] = field(default_factory=dict)
    """Cluster id -> how many fail of it."""
    same_causes: bool = False
    """Whether the last round began with the causes of the one before."""
    last: str = ""
    """The last decision."""
    pace: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, requests answered by then), over the last seconds."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """Since the counting began."""
        return max(self.clock() - self.started, 0.0)

    @property
    def where(self) -> str:
        """`baseline`, `round 2, screening`."""
        return self.step if self.round == 0 else f"round {self.round}, {self.step}"

    @property
    def answered(self) -> int:
        """Requests that were answered, paid or not."""
        return self.paid - len(self.flying) + self.saved

    def take(self, event: Event) -> None:
        """Count one event; kinds that show nowhere cost one look-up."""
        step = _STEPS.get(type(event))
        if step is not None:
            step(self, event)

    def left(self) -> float | None:
        """Seconds that the search may still take at the recent rate; None while nothing can be said."""
        now, done = self.clock(), self.answered
        self.pace.append((now, done))
        while len(self.pace) > 2 and self.pace[1][0] < now - RECENT:
            self.pace.popleft()
        earlier, before = self.pace[0]
        if not self.limit or done <= before or now - earlier < 1.0:
            return None
        rest = max(self.limit - self.planned - self.since, 0)
        return rest / ((done - before) / (now - earlier))

    def waits(self) -> list[str]:
        """What is held back at the moment: `api.example.com: rate limited, resumes in 12 s`."""
        now = self.clock()
        return [resumes(account, why, until - now) for account, (why, until) in self.held.items() if until > now]

    def largest(self, most: int) -> list[Cause]:
        """The causes with most failures, now or before."""
        return sorted(self.causes.values(), key=lambda cause: (-max(cause.before, cause.now), cause.label))[:most]


def resumes(account: str, why: str, seconds: float) -> str:
    """`api.example.com: rate limited, concurrency 50 -> 35, resumes in 12 s`."""
    return f"{account}: {why}" + (f", resumes in {math.ceil(seconds)} s" if seconds >= 0.5 else "")


def _sent(tally: Tally, event: CallSent) -> None:
    tally.paid += 1
    tally.flying.add(event.call)


def _ended(tally: Tally, event: CallEnded) -> None:
    tally.flying.discard(event.call)
    if event.error is not None:
        tally.failed += 1
        tally.kinds[event.error.kind] += 1
    else:
        tally.since += 1
    if event.completion is not None and tally.usd is not None:
        cost = event.completion.cost
        tally.usd = None if cost is None else tally.usd + cost


def _saved(tally: Tally, _: CallSaved) -> None:
    tally.saved += 1
    tally.since += 1


def _held(tally: Tally, event: Held) -> None:
    tally.held[event.account] = (event.why, tally.clock() + event.seconds)


def _moved(tally: Tally, event: Progress) -> None:
    tally.step, tally.round = event.step, event.round
    tally.planned, tally.limit, tally.since = event.planned, event.limit, 0
    if event.best is not None:
        tally.best = event.best
    if event.gain is not None:
        tally.gain = event.gain


def _clustered(tally: Tally, event: ClustersFound) -> None:
    tally.trials = tally.passed = tally.judged = 0
    before = {name: cause.now for name, cause in tally.causes.items() if cause.now}
    tally.same_causes = before == {cluster.id: len(cluster.members) for cluster in event.clusters}
    for cause in tally.causes.values():
        cause.now = 0
    for cluster in event.clusters:
        size = len(cluster.members)
        known = tally.causes.setdefault(cluster.id, Cause(label=cluster.label, before=size, now=size))
        known.label, known.now = cluster.label, size


def _judged(tally: Tally, event: EditJudged) -> None:
    tally.judged += 1
    tally.passed += event.outcome == "passed"


def _tried(tally: Tally, _: TrialEnded) -> None:
    tally.trials += 1


def _decided(tally: Tally, event: Decided) -> None:
    tally.last = f"{event.kind}: {event.reason}"
    if event.kind == "baseline":
        found = event.figures.get("val")
        tally.best = float(found) if isinstance(found, int | float) else None
        tally.gain = None


_STEPS: dict[type, Callable[[Tally, Any], None]] = {
    CallSent: _sent,
    CallEnded: _ended,
    CallSaved: _saved,
    Progress: _moved,
    Held: _held,
    ClustersFound: _clustered,
    EditJudged: _judged,
    TrialEnded: _tried,
    Decided: _decided,
}
