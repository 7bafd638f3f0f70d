"""Accounts that refuse calls for their rate, each for a reason of its own, and a gate before them, in virtual time."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from optimizer.budget import Budget
from optimizer.config import BudgetSpec
from optimizer.errors import ErrorKind, ModelError
from optimizer.events import Held, Recording
from optimizer.models.base import Model, Request
from optimizer.models.gate import Terms, gate
from optimizer.models.retry import Retry, Timed
from optimizer.prompt import Message
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time
from tests.virtual_time import now

Refuses = Callable[["Account", Request], bool]
"""Whether an account refuses a call that arrives now."""


def draw(*what: object) -> float:
    """A number from 0 to 1 that is the same each time."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:6], "big") / 2**48


@dataclass(kw_only=True)
class Account:
    """Answers, or refuses. Answers take half to one and a half of `answer` seconds, refusals nearly `refusal`."""

    refuses: Refuses
    answer: float
    refusal: float
    told: float | None = None
    """The Retry-After of a refusal."""
    seed: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """Attempts of each call."""
    refused: list[float] = field(default_factory=list)
    """When."""
    inside: int = 0
    """Calls that are being answered."""

    async def __call__(self, request: Request) -> Answer:
        self.seen[request.key] += 1
        chance = draw(self.seed, "seconds", request.key, self.seen[request.key])
        if self.refuses(self, request):
            self.refused.append(now())
            await asyncio.sleep(self.refusal * (0.75 + chance / 2))
            return ModelError(ErrorKind.RATE_LIMIT, "host: 429", status=429, retry_after=self.told)
        self.inside += 1
        try:
            await asyncio.sleep(self.answer * (0.5 + chance))
        finally:
            self.inside -= 1
        return "fine"


def by_chance(share: float) -> Refuses:
    """Refuses so many calls, whatever is sent. The same attempt of the same call meets the same fate each time."""
    return lambda account, request: draw(account.seed, request.key, account.seen[request.key]) < share


def between(begin: float, end: float, otherwise: Refuses) -> Refuses:
    """Refuses everything from one second to another."""
    return lambda account, request: begin <= now() < end or otherwise(account, request)


def at_once(most: int) -> Refuses:
    """Refuses what comes while so many calls are being answered."""
    return lambda account, request: account.inside >= most


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A flood of calls that is over."""

    seconds: float
    failed: frozenset[int]
    """Calls without an answer, by number."""
    kinds: Counter[str]
    """What they raised."""
    held: list[Held]
    """What was said of rests."""


def ask(number: int) -> Request:
    return Request(provider="openai", model="m", messages=(Message(role="user", content=f"Question {number}"),))


def through_the_gate(account: Account, *, calls: int, concurrency: int = 16) -> Ended:
    """All calls, as an executor of that concurrency sends them."""
    sink = Recording()

    def make() -> Model:
        terms = Terms(concurrency=concurrency, clock=now)
        return gate(FunctionModel(account), store=None, sink=sink, budget=Budget(BudgetSpec()), terms=terms)

    return _flood(make, calls, concurrency, sink)


def with_retries_alone(account: Account, *, calls: int, concurrency: int = 16) -> Ended:
    """The same where no call waits for another: what its repeats take, and no more."""
    return _flood(lambda: Retry(Timed(FunctionModel(account), now)), calls, concurrency, Recording())


def _flood(make: Callable[[], Model], calls: int, concurrency: int, sink: Recording) -> Ended:
    async def main() -> Ended:
        model, room = make(), asyncio.Semaphore(concurrency)

        async def row(number: int) -> None:
            async with room:
                await model.complete(ask(number))

        ends = await asyncio.gather(*(row(number) for number in range(calls)), return_exceptions=True)
        return Ended(
            seconds=now(),
            failed=frozenset(number for number, end in enumerate(ends) if end is not None),
            kinds=Counter(type(end).__name__ for end in ends if end is not None),
            held=[event for event in sink.events if isinstance(event, Held)],
        )

    return virtual_time.run(main())
