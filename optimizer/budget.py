"""The hard stop: what has been spent, what is promised to calls in flight, what is left.

Every provider attempt reserves before it is sent and settles after it has ended, so that the sum can pass a limit by
no more than calls in flight turn out dearer than estimated. What the end of a run will need is held back until it is
released, so that nothing before it, retries included, can spend it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from optimizer.config import BudgetSpec, Price
from optimizer.errors import BudgetExceeded, ConfigError

Clock = Callable[[], float]
"""Seconds on a clock that never goes back."""
LEAST_CALLS = 8
"""Calls from which on their mean says what the calls held back will take; before, only their number is held back."""
TICK = 0.001
"""Seconds by which a wait outlasts the minutes, so that they are over when it ends."""
MOST_ATTEMPTS = 2.0
"""Attempts an answer that calls held back are taken to need, at most: a provider that is down is no measure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What a run has used so far."""

    calls: int = 0
    """Provider attempts."""
    tokens: int = 0
    """Input and output tokens together."""
    usd: float = 0.0
    """US dollars at list price; calls of unknown price add nothing."""
    seconds: float = 0.0
    """Seconds on the monotonic clock, earlier parts of a resumed run included."""
    failed: int = 0
    """Of the attempts, those that brought no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """What one attempt may turn out to use."""

    tokens: int
    """Estimated input and output tokens."""
    usd: float
    """Their estimated price; 0.0 where the price is unknown."""


class Budget:
    """The limits of one run, shared by every gate of it."""

    def __init__(
        self, spec: BudgetSpec, clock: Clock = time.monotonic, *, spent: Spent | None = None, hold: int = 0
    ) -> None:
        """Start the clock.

        Args:
            spec: the limits; None is no limit.
            clock: the monotonic clock.
            spent: what an earlier part of a resumed run has used.
            hold: calls that are held back until `release`; of the other limits, what as many calls have taken so far.
        """
        self.spec = spec
        self._hold = hold
        self._clock = clock
        self._started = clock()
        self._first: float | None = None
        self._before = spent or Spent()
        self._calls = self._before.calls
        self._failed = self._before.failed
        self._tokens = self._before.tokens
        self._usd = self._before.usd
        self._held = 0
        self._held_tokens = 0
        self._held_usd = 0.0
        self._freed = asyncio.Event()

    @property
    def spent(self) -> Spent:
        """What has been used: sent calls, settled tokens and dollars, time so far."""
        return Spent(
            calls=self._calls, tokens=self._tokens, usd=self._usd, seconds=self._seconds(), failed=self._failed
        )

    def remaining(self) -> BudgetSpec:
        """What is left of each limit, calls in flight taken off at their estimate; None is no limit."""
        spec = self.spec
        tokens = self._tokens + self._held_tokens
        return BudgetSpec(
            calls=None if spec.calls is None else max(spec.calls - self._calls, 0),
            usd=None if spec.usd is None else max(spec.usd - self._usd - self._held_usd, 0.0),
            tokens=None if spec.tokens is None else max(spec.tokens - tokens, 0),
            minutes=None if spec.minutes is None else max(spec.minutes - self._seconds() / 60, 0.0),
        )

    def release(self) -> None:
        """Let what was held back be spent: its time has come."""
        self._hold = 0
        self._freed.set()

    def require_price(self, model: str, price: Price | None) -> None:
        """Refuse a budget in dollars where the price of a model is unknown: ConfigError."""
        if self.spec.usd is not None and price is None:
            raise ConfigError(
                f"budget.usd needs a price, and none is known for {model}: "
                "set model.price {input, output} in dollars per million tokens, or use budget.calls or budget.tokens"
            )

    def reserve(self, *, tokens: int, usd: float | None) -> Reservation | None:
        """Set aside one call, or raise BudgetExceeded where no more can be paid.

        Args:
            tokens: estimated tokens of the attempt.
            usd: their estimated price; None where it is unknown.

        Returns:
            None where it would fit once calls in flight have settled: wait for `freed` and ask again.
        """
        usd = usd or 0.0
        kept = self._kept()
        self._check_calls(kept)
        self._check_time(kept)
        self._check("tokens", self.spec.tokens, kept.tokens, self._tokens, tokens)
        self._check("usd", self.spec.usd, kept.usd, self._usd, usd)
        if _over(self.spec.tokens, self._tokens + self._held_tokens + tokens + kept.tokens):
            return None
        if _over(self.spec.usd, self._usd + self._held_usd + usd + kept.usd):
            return None
        if self._first is None:
            self._first = self._clock()
        self._calls += 1
        self._held += 1
        self._held_tokens += tokens
        self._held_usd += usd
        return Reservation(tokens=tokens, usd=usd)

    async def freed(self) -> None:
        """Return once a reservation is settled or withdrawn, whichever gate it belongs to."""
        self._freed.clear()
        await self._freed.wait()

    async def wait(self, seconds: float, sleep: Callable[[float], Awaitable[object]]) -> None:
        """Wait before an attempt, no longer than the minutes last: BudgetExceeded once they are over."""
        while self.spec.minutes is not None:
            kept = self._kept()
            self._check_time(kept)
            # What is kept for the test grows while nothing is called.
            grows = 1 + (kept.calls / self._calls if kept.seconds else 0.0)
            left = (self.spec.minutes * 60 - self._seconds() - kept.seconds) / grows + TICK
            if left >= seconds:
                break
            await sleep(left)
            seconds -= left
        await sleep(seconds)

    def settle(self, reservation: Reservation, *, tokens: int, usd: float | None, failed: bool = False) -> None:
        """Replace a reservation's estimate by what the attempt has used; `failed` where it brought no answer."""
        self._failed += failed
        self._tokens += tokens
        self._usd += usd or 0.0
        self._free(reservation)

    def withdraw(self, reservation: Reservation) -> None:
        """Take back a reservation whose attempt was never sent."""
        self._calls -= 1
        self._free(reservation)

    def _free(self, reservation: Reservation) -> None:
        self._held -= 1
        self._held_tokens -= reservation.tokens
        # With nothing in flight, what rounding left over would make the last call wait for ever.
        self._held_usd = self._held_usd - reservation.usd if self._held else 0.0
        self._freed.set()

    def _seconds(self) -> float:
        return self._before.seconds + self._clock() - self._started

    def _kept(self) -> Spent:
        """What is held back of each limit: so many calls, and what calls have taken so far on average.

        Where attempts fail, an answer takes more than one of them: so many more are held back, up to twice as many.
        Time counts from the first call, and calls in flight share it: that is how fast they go side by side.
        """
        ended = self._calls - self._held
        if not self._hold or ended < LEAST_CALLS:
            return Spent(calls=self._hold)
        hold = math.ceil(self._hold * min(ended / max(ended - self._failed, 1), MOST_ATTEMPTS))
        busy = self._before.seconds + (self._clock() - self._first if self._first is not None else 0.0)
        return Spent(
            calls=hold,
            tokens=math.ceil(hold * self._tokens / ended),
            usd=hold * self._usd / ended,
            seconds=hold * busy / self._calls,
        )

    def _check_calls(self, kept: Spent) -> None:
        spec = self.spec
        if spec.calls is not None and self._calls >= spec.calls - kept.calls:
            raise BudgetExceeded(
                f"budget of {spec.calls} calls is used up{_but(f'{kept.calls} for the test', kept.calls)}; "
                "raise budget.calls and resume to go on"
            )

    def _check_time(self, kept: Spent) -> None:
        spec = self.spec
        if spec.minutes is not None and self._seconds() >= spec.minutes * 60 - kept.seconds:
            raise BudgetExceeded(
                f"budget of {spec.minutes:g} minutes is used up"
                f"{_but(f'about {kept.seconds / 60:.2g} for the test', kept.seconds)}; "
                "raise budget.minutes and resume to go on"
            )

    def _check(self, name: str, limit: float | None, kept: float, used: float, wanted: float) -> None:
        if not _over(limit, used + wanted + kept):
            return
        form = ".4f" if name == "usd" else ".0f"
        held = f", about {kept:{form}} are held back for the test" if kept else ""
        raise BudgetExceeded(
            f"budget of {limit:g} {name} reached at {used:{form}}{held}, and the next call may need {wanted:{form}}; "
            f"raise budget.{name} and resume to go on"
        )


def _over(limit: float | None, wanted: float) -> bool:
    return limit is not None and wanted > limit


def _but(what: str, amount: float) -> str:
    return f" but for {what}" if amount else ""
