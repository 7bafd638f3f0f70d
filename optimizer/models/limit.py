"""Adaptive concurrency: as many calls in flight as the provider bears, and no sooner than it bears them."""

from __future__ import annotations

import asyncio
import time

from optimizer.budget import Clock
from optimizer.errors import ErrorKind, ModelError
from optimizer.events import Held, Sink
from optimizer.health import Health
from optimizer.models.base import Model, Request, Sleep, UnusableReply, estimate_usage
from optimizer.models.headers import hearing
from optimizer.pace import Hold, Pace
from optimizer.results import Completion

START = 10
"""Permits at the start; they double each round trip until the first rate limit."""
CUT = 0.7
"""What is left of the permits after a rate limit."""
COOLDOWN = 5.0
"""Seconds after a cut, or a round trip where that takes longer, and after any wait, in which there is no other cut."""
LONGEST_COOLDOWN = 60.0
"""Seconds of a round trip that are waited for: some calls hang."""
UNREFUSED = 2.0
"""A call that is out for so many times as long as a refusal took is taken to be accepted."""
LATE = 0.02
"""Seconds that it is given on top."""
TICK = 1e-6
"""Seconds by which a timer may end early: clocks do not agree to the last bit."""
GLANCE = 0.5
"""Seconds after which a call that is held back looks again: those under way may turn out smaller than estimated."""
TOLD_EVERY = 5.0
"""Seconds between two words on a limit that goes on holding calls back."""
WORTH_TELLING = 1.0
"""Seconds of waiting that are told of."""


class Limit:
    """Lets the attempts of one account leave, one after the other; its calls share permits, rests and limits.

    Slow start, then one permit more a round of successes; one cut for each episode of rate limits, and none below what
    the account bears at that moment. A Retry-After holds back every call of the account, not only the one that was
    told. Where the account refuses more than chance explains, or does not answer any more, it rests, and one call
    alone tries whether it is back: calls that wait their turn use up no attempts.
    """

    def __init__(
        self,
        inner: Model,
        *,
        most: int,
        account: str = "the provider",
        pace: Pace | None = None,
        sink: Sink | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Begin with a slow start.

        Args:
            inner: sends.
            most: calls in flight, at most.
            account: what messages call it.
            pace: limits a minute.
            sink: is told while calls are held back.
            clock: the monotonic clock.
            sleep: how to wait.
        """
        self._inner = inner
        self._most = most
        self._account = account
        self._pace = pace or Pace()
        self._sink = sink
        self._clock = clock
        self._sleep = sleep
        self._health = Health(concurrency=most)
        self._limit = float(min(START, most))
        self._slow_start = True
        # When each call that is out has left.
        self._out: dict[int, float] = {}
        self._sent = 0
        # Seconds that the last refusal took.
        self._refusal = 0.0
        # Calls know the episode in which they left: those of an earlier one say nothing of how things are now.
        self._episode = 0
        self._fresh = 0
        # First come, first served: the one at the door waits for everything that there is to wait for.
        self._door = asyncio.Lock()
        self._moved = asyncio.Event()
        self._wanted = False
        # Calls at the door, the one that is first included.
        self._queue = 0
        self._refused_at = self._rests_until = self._asked_until = self._calm_from = clock()
        self._told_at = float("-inf")

    @property
    def permits(self) -> int:
        """Calls that may be in flight."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Calls that are."""
        return len(self._out)

    async def complete(self, request: Request) -> Completion:
        """Answer one request once it may leave. Raises ProviderError, without a request, once the run has to end."""
        pace, model = self._pace, request.model
        tokens = _estimate(request) if pace.counts else 0.0
        now = self._clock()
        # Nobody is at the door and nothing holds the call back: it need not queue.
        if self._queue or not self._is_open(model, tokens, now):
            now = await self._turn(model, tokens)
        episode = self._episode
        self._sent = call = self._sent + 1
        self._out[call] = now
        self._fresh += 1
        charged = pace.take(model, tokens, now) if pace.counts else None
        said = hearing()
        used: float | None = None
        try:
            completion = await self._inner.complete(request)
            used = _tokens(completion)
        except ModelError as error:
            used = _used(error)
            await self._failed(error, now, episode)
            raise
        else:
            self._answered(episode)
            return completion
        finally:
            if charged is not None:
                pace.settle(model, estimated=tokens, charged=charged, used=used)
            for heard in said:
                pace.hear(model, heard, self._clock())
            del self._out[call]
            self._fresh -= episode == self._episode
            if self._wanted:
                self._moved.set()

    def _is_open(self, model: str, tokens: float, now: float) -> bool:
        """Whether a call may leave now. Raises ProviderError once the run has to end."""
        self._health.check()
        if max(self._rests_until, self._asked_until) - now > TICK or not self._has_place():
            return False
        hold = self._pace.hold(model, tokens, now) if self._pace.counts else None
        return hold is None or hold.seconds <= TICK

    async def _turn(self, model: str, tokens: float) -> float:
        """Wait for the turn, the end of any rest, a permit and the limits; the time at which the call may leave."""
        self._queue += 1
        try:
            async with self._door:
                while not self._is_open(model, tokens, now := self._clock()):
                    if (pause := max(self._rests_until, self._asked_until) - now) > TICK:
                        await self._sleep(pause)
                    elif not self._has_place():
                        await self._place()
                    elif (hold := self._pace.hold(model, tokens, now)) is not None:
                        await self._held(hold)
                return now
        finally:
            self._queue -= 1

    def _has_permit(self) -> bool:
        return len(self._out) + 1 <= self._limit

    def _has_place(self) -> bool:
        return self._has_permit() and self._fresh < self._health.room

    async def _place(self) -> None:
        """Wait until a call has ended; while refusals mount, until those that are out were not refused."""
        if self._has_permit() and self._refusal < WORTH_TELLING and self._health.unrefused():
            await self._sleep(UNREFUSED * self._refusal + LATE)
            return
        self._moved.clear()
        self._wanted = True
        try:
            await self._moved.wait()
        finally:
            self._wanted = False

    async def _held(self, hold: Hold) -> None:
        if hold.seconds >= WORTH_TELLING and self._clock() - self._told_at >= TOLD_EVERY:
            self._told_at = self._clock()
            await self._tell(hold.why, hold.seconds)
        await self._sleep(min(hold.seconds, GLANCE))

    def _answered(self, episode: int) -> None:
        if self._health.answered(age=self._episode - episode):
            self._rests_until = self._clock()
        if self._limit < self._most and (self._wanted or not self._has_permit()):
            self._limit = min(self._limit + (1.0 if self._slow_start else 1.0 / self._limit), self._most)

    async def _failed(self, error: ModelError, sent: float, episode: int) -> None:
        """Learn from a failure. Raises ProviderError where the run has to end."""
        now, trying = self._clock(), self._health.trying
        refused = error.kind is ErrorKind.RATE_LIMIT
        borne, since = self._borne(sent, now) if refused else (0, 0)
        rest = self._health.failed(error, age=self._episode - episode, held=since)
        if rest is not None:
            self._episode += 1
            self._fresh = 0
            self._refused_at = now
        before = max(self._rests_until, self._asked_until, now)
        self._rests_until = max(self._rests_until, now + (rest or 0.0))
        self._asked_until = max(self._asked_until, now + (error.retry_after or 0.0))
        until = max(self._rests_until, self._asked_until)
        words = []
        if refused:
            self._refusal = now - sent
            words.append("rate limited")
            # Calls that left before the last cut say nothing about the permits since, and one alone never does.
            if sent >= self._calm_from and not trying:
                permits = self.permits
                # What the account bears at this moment is not too much for it.
                self._limit = max(self._limit * CUT, min(borne + self._health.alone, self._limit), 1.0)
                self._slow_start = False
                self._calm_from = now + max(COOLDOWN, min(self._round_trip(now), LONGEST_COOLDOWN))
                if self.permits < permits:
                    words.append(f"concurrency {permits} -> {self.permits}")
        else:
            words.append(f"no answer ({error.message})")
            if rest is not None:
                # A provider that is just back is not met by all at once.
                self._limit, self._slow_start = min(self._limit, float(START)), True
        self._calm_from = max(self._calm_from, until)
        down = rest is not None and not refused
        if down or until >= before + WORTH_TELLING or len(words) > 1:
            if rest is not None and self._health.trying:
                words.append(f"gives up after {self._health.patience:.0f} s more")
            await self._tell(", ".join(words), until - now)

    def _borne(self, sent: float, now: float) -> tuple[int, int]:
        """Calls that are out and would have been refused by now, and those of them that left after the last refusal.

        A refusal comes sooner than an answer. The one at hand was `sent` then, and came `now`.
        """
        before = now - UNREFUSED * (now - sent) - LATE
        borne = [at for at in self._out.values() if at <= before]
        return len(borne), sum(at >= self._refused_at for at in borne)

    def _round_trip(self, now: float) -> float:
        """About how long a call takes to be answered, by those that are out: half of them are half way."""
        return 2 * (now - list(self._out.values())[len(self._out) // 2])

    async def _tell(self, why: str, seconds: float) -> None:
        if self._sink is not None:
            await self._sink.record(Held(account=self._account, why=why, seconds=seconds))


def _estimate(request: Request) -> float:
    usage = estimate_usage(request)
    return float(usage.input_tokens + usage.output_tokens)


def _tokens(completion: Completion) -> float | None:
    return float(completion.usage.input_tokens + completion.usage.output_tokens) or None


def _used(error: ModelError) -> float | None:
    """Tokens of an attempt that failed; None where it may have used what was estimated."""
    if isinstance(error, UnusableReply):
        return _tokens(error.reply)
    return 0.0 if error.status is not None and error.status >= 300 else None
