"""What happens in a run, one value an event.

The loop and the gate emit them; the store keeps them, the live display shows them. `Sink.record` is the only way
out of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from optimizer.dataset import Split
from optimizer.edits import Edit
from optimizer.failures import Cluster
from optimizer.outcome import LineWorth, Outcome, Phase, Role, Trial
from optimizer.prompt import Prompt
from optimizer.results import CallError, Completion, Result


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSent:
    """An attempt is about to be sent: durable before the request leaves, so that a kill loses no bill."""

    call: str
    """Id of the attempt, unique in the run."""
    key: str
    """Cache key of the request."""
    role: Role
    """Who asks."""
    phase: Phase
    """What for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallEnded:
    """The attempt was answered, or failed."""

    call: str
    """Id given in CallSent."""
    key: str
    """Cache key of the request."""
    completion: Completion | None = None
    """What came back; beside an error, a reply that was paid for and cannot be used."""
    error: CallError | None = None
    """Why there is no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSaved:
    """A request that was answered without sending: from the cache, or by joining one in flight."""

    key: str
    """Cache key of the request."""
    role: Role
    """Who asks."""
    phase: Phase
    """What for."""
    completion: Completion
    """The answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateMade:
    """A prompt that will be scored."""

    prompt: Prompt
    """The candidate."""
    round: int
    """0 for the seed."""
    origin: str
    """`seed`, `screen`, `trial`, `without L7`, `winner`..."""
    parent: str | None = None
    """Fingerprint of the prompt that the edits were made to."""
    edits: tuple[Edit, ...] = ()
    """What was changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultKnown:
    """A row was scored under a candidate."""

    result: Result
    """The result."""
    split: Split
    """Split of the row."""
    phase: Phase
    """What it was scored for."""
    round: int
    """0 for the baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClustersFound:
    """Failures of a champion, grouped by cause."""

    round: int
    """1 for the first."""
    candidate: str
    """Fingerprint of the champion."""
    clusters: tuple[Cluster, ...]
    """Largest share first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditJudged:
    """What became of a proposed edit."""

    round: int
    """1 for the first."""
    edit: Edit
    """The edit."""
    outcome: str
    """`refused` by validation, `not tried`, `screened out`, `passed`."""
    reason: str
    """Why, in words."""
    mended: int = 0
    """Failing rows of its cluster whose broken expectation got better with it."""
    tried: int = 0
    """Failing rows that it was tried on."""
    broke: tuple[str, ...] = ()
    """Rows whose score fell with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEnded:
    """A trial ended."""

    trial: Trial
    """What it was and what it showed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A decision, with everything that it rested on."""

    kind: str
    """`baseline`, `accept`, `reject`, `stop`, `drop line`, `verdict`..."""
    round: int
    """0 before the first round."""
    reason: str
    """In words."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The numbers and ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinePriced:
    """A changed line of the winner has its price."""

    worth: LineWorth
    """The price."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where the run is: for the live display, not kept."""

    step: str
    """`baseline`, `proposing`, `screening`, `trial 3`, `pricing lines`, `test`."""
    round: int
    """0 outside the rounds."""
    best: float | None = None
    """Best val score so far."""
    gain: float | None = None
    """Its gain over the baseline on val."""
    planned: int = 0
    """Requests that the search has asked for."""
    limit: int = 0
    """Requests that it may ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Calls of an account are held back: for the live display and the log."""

    account: str
    """Host, or name of the provider."""
    why: str
    """`rate limited, concurrency 50 -> 35`, `held by 500 requests a minute`..."""
    seconds: float
    """Until the next call may leave, from now on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded:
    """The run is complete."""

    outcome: Outcome
    """How it ended."""


Event = (
    CallSent
    | CallEnded
    | CallSaved
    | CandidateMade
    | ResultKnown
    | ClustersFound
    | EditJudged
    | TrialEnded
    | Decided
    | LinePriced
    | Progress
    | Held
    | RunEnded
)


class Sink(Protocol):
    """Takes what happens. Returns once the event is as durable as its kind needs."""

    async def record(self, event: Event) -> None:
        """Take one event. Raises StoreError where it cannot be kept."""
        ...


@dataclass(slots=True)
class Recording:
    """A Sink that keeps events in a list: the fake for tests, and the way to several sinks at once."""

    events: list[Event] = field(default_factory=list)
    """In the order of arrival."""
    onward: tuple[Sink, ...] = ()
    """Sinks that get every event as well."""

    async def record(self, event: Event) -> None:
        """Keep it and pass it on."""
        self.events.append(event)
        for sink in self.onward:
            await sink.record(event)
