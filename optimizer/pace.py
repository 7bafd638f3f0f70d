"""Requests and tokens a minute: when the next call of an account may leave.

Limits that are set by hand spread calls evenly, so that no minute, wherever it begins, holds more than its share.
Limits that the provider tells of in its headers hold calls back where it says that nothing is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MINUTE = 60.0
SLACK = 0.1
"""Seconds that a late call may catch up with: timers end late."""
LEARNS = 0.2
"""Weight of the latest call in what tokens turn out to be, as a share of their estimate."""
LONGEST_HOLD = 300.0
"""Seconds; where a header asks for more, the provider is asked instead: its refusal says how long to wait."""
NEAR = 0.25
"""How far a limit's own period may be from a minute, an hour or a day, as a share of it, to count as one."""
TELLING = 5.0
"""Seconds from which a reset tells of what kind its limit is: shorter ones are often rounded."""
PERIODS = (MINUTE, 60 * MINUTE, 24 * 60 * MINUTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """What an account bears, as its owner says."""

    requests: float | None = None
    """Requests a minute; None is no limit."""
    tokens: float | None = None
    """Input and output tokens a minute; None is no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What a provider says of one of its limits."""

    left: float
    """Requests or tokens that are left."""
    limit: float | None = None
    """Of how many; None where it does not say."""
    reset: float | None = None
    """Seconds until all are there again; None where it does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What the headers of one reply say."""

    requests: Left | None = None
    """Of requests."""
    tokens: Left | None = None
    """Of tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Why the next call has to wait."""

    seconds: float
    """From now on."""
    why: str
    """`held by 500 requests a minute`."""


@dataclass(slots=True)
class _Even:
    """One limit by hand: each call pushes the next one away by its share of the minute."""

    per_minute: float
    what: str
    due: float = float("-inf")

    def hold(self, now: float) -> Hold | None:
        return Hold(seconds=self.due - now, why=f"held by {self.per_minute:,g} {self.what} a minute")

    def take(self, cost: float, now: float) -> None:
        self.due = max(self.due, now - SLACK) + self.seconds(cost)

    def seconds(self, cost: float) -> float:
        return cost * MINUTE / self.per_minute


@dataclass(slots=True)
class _Window:
    """One limit as the provider last told it, with what has left since taken off."""

    what: str
    left: float
    limit: float | None
    heard: float
    resets: float
    refill: float | None
    """What comes back a second; None where all of it comes at once, at the end."""

    def hold(self, cost: float, now: float) -> Hold | None:
        if now >= self.resets or self.left >= cost:
            return None
        seconds = self.resets - now
        if self.refill is not None:
            seconds = min((cost - self.left) / self.refill - (now - self.heard), seconds)
        if seconds > LONGEST_HOLD:
            return None
        of = "" if self.limit is None else f" of {self.limit:,g}"
        return Hold(seconds=seconds, why=f"{max(self.left, 0.0):,.0f}{of} {self.what} left")


@dataclass(slots=True)
class _Told:
    """What the provider tells of one model."""

    windows: dict[str, _Window] = field(default_factory=dict)
    calls: int = 0
    """Out at the moment."""
    tokens: float = 0.0
    """Estimated tokens of these."""
    at_once: set[str] = field(default_factory=set)
    """Limits that were seen to come back all at once. Used up early in their minute, they look like the others."""
    share: float = 1.0
    """What tokens turn out to be, as a share of their estimate."""


class Pace:
    """The limits of one account. Times are seconds on one monotonic clock."""

    def __init__(self, rates: Mapping[str, Rate] | None = None) -> None:
        """Begin with nothing used.

        Args:
            rates: limits by hand of models, by name. A model that has none shares those of the one that has some;
                with several, it has none.
        """
        rates = {name: rate for name, rate in (rates or {}).items() if rate.requests or rate.tokens}
        self._by_hand = {name: _evens(rate) for name, rate in rates.items()}
        self._shared = next(iter(self._by_hand.values())) if len(self._by_hand) == 1 else []
        self._told: dict[str, _Told] = {}

    @property
    def counts(self) -> bool:
        """Whether any limit is known, so that calls have to be counted."""
        return bool(self._by_hand or self._told)

    def hold(self, model: str, tokens: float, now: float) -> Hold | None:
        """What holds back a call of so many estimated tokens the longest; None where it may leave."""
        told = self._told.get(model)
        holds = [even.hold(now) for even in self._evens(model)]
        if told is not None:
            costs = {"requests": 1.0, "tokens": tokens * told.share}
            holds += [window.hold(costs[name], now) for name, window in told.windows.items()]
        return max((hold for hold in holds if hold is not None), key=lambda hold: hold.seconds, default=None)

    def take(self, model: str, tokens: float, now: float) -> float:
        """A call leaves; the tokens that it is charged with until it is settled."""
        told = self._told.setdefault(model, _Told())
        charged = tokens * told.share
        told.calls += 1
        told.tokens += charged
        for name, window in told.windows.items():
            window.left -= 1 if name == "requests" else charged
        for even in self._evens(model):
            even.take(1 if even.what == "requests" else charged, now)
        return charged

    def settle(self, model: str, *, estimated: float, charged: float, used: float | None) -> None:
        """A call ended. `used` are its tokens, 0 where it was refused; None where nobody knows."""
        told = self._told[model]
        told.calls -= 1
        told.tokens = told.tokens - charged if told.calls else 0.0
        if used is None:
            return
        for even in self._evens(model):
            if even.what == "tokens":
                even.due += even.seconds(used - charged)
        if (window := told.windows.get("tokens")) is not None:
            window.left += charged - used
        if used and estimated:
            told.share += LEARNS * (used / estimated - told.share)

    def hear(self, model: str, heard: Heard, now: float) -> None:
        """The provider told what is left, in a reply to a call that is settled already."""
        told = self._told.setdefault(model, _Told())
        # What is out may be counted already or not: taken for not, so that no call leaves that would be refused.
        for name, left, out in (("requests", heard.requests, told.calls), ("tokens", heard.tokens, told.tokens)):
            if left is None:
                continue
            refill = _refill(left)
            if refill is None and left.limit and left.left < left.limit and left.reset and left.reset >= TELLING:
                told.at_once.add(name)
            told.windows[name] = _Window(
                what=name,
                left=left.left - out,
                limit=left.limit,
                heard=now,
                resets=now + (MINUTE if left.reset is None else left.reset),
                refill=None if name in told.at_once else refill,
            )

    def _evens(self, model: str) -> list[_Even]:
        return self._by_hand.get(model, self._shared)


def _refill(left: Left) -> float | None:
    """What comes back a second, where it comes back bit by bit.

    Then what is used up and the time until it is all there again are in proportion: the whole takes a minute, an hour
    or a day. Without a reset it is taken for granted: the whole wait would be a guess.
    """
    if left.limit is None:
        return None
    if left.reset is None:
        return left.limit / MINUTE
    if left.left >= left.limit or left.reset <= 0:
        return None
    period = left.reset * left.limit / (left.limit - left.left)
    return left.limit / period if any(abs(period - known) <= NEAR * known for known in PERIODS) else None


def _evens(rate: Rate) -> list[_Even]:
    limits = (("requests", rate.requests), ("tokens", rate.tokens))
    return [_Even(per_minute=most, what=what) for what, most in limits if most]
