"""Counts every attempt: reserved and on record before it leaves, settled and on record once it has ended."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from optimizer.budget import Budget, Reservation
from optimizer.config import Price
from optimizer.errors import ModelError
from optimizer.events import CallEnded, CallSent, Sink
from optimizer.models.base import Model, Request, UnusableReply, check_usable, estimate_usage
from optimizer.results import CallError, Completion, Usage

_NUMBERS = itertools.count()
"""Attempts of this process, whatever the account: ids that ascend are written next to each other."""


class Budgeted:
    """Pays for each attempt, retries included."""

    def __init__(self, inner: Model, *, budget: Budget, sink: Sink, prices: Mapping[str, Price]) -> None:
        self._inner = inner
        self._budget = budget
        self._sink = sink
        self._prices = prices

    async def complete(self, request: Request) -> Completion:
        """Make one attempt. Raises BudgetExceeded, without a request, where nothing is left to pay it."""
        price = self._prices.get(request.model)
        estimate = estimate_usage(request)
        held = await self._reserve(estimate, price)
        call = f"{next(_NUMBERS):08x}"
        try:
            await self._sink.record(CallSent(call=call, key=request.key, role=request.role, phase=request.phase))
        except BaseException:
            self._budget.withdraw(held)
            raise
        # An attempt that is cancelled may have been answered and billed all the same.
        used = estimate
        reply: Completion | None = None
        error: ModelError | None = None
        try:
            try:
                reply = check_usable(await self._inner.complete(request))
            except UnusableReply as unusable:
                reply, error = unusable.reply, unusable
            except ModelError as failure:
                error = failure
            used = _used(reply, error, estimate)
        finally:
            failed = reply is None or error is not None
            self._budget.settle(held, tokens=_total(used), usd=cost_of(used, price), failed=failed)
        if reply is not None:
            reply = replace(reply, cost=_list_price(reply, price))
        await self._sink.record(CallEnded(call=call, key=request.key, completion=reply, error=_record_of(error)))
        if error is not None:
            raise error
        assert reply is not None
        return reply

    async def _reserve(self, estimate: Usage, price: Price | None) -> Reservation:
        tokens, usd = _total(estimate), cost_of(estimate, price)
        while (held := self._budget.reserve(tokens=tokens, usd=usd)) is None:
            await self._budget.freed()
        return held


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """US dollars at list price; None where the price is unknown."""
    if price is None:
        return None
    return (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1_000_000


def _list_price(reply: Completion, price: Price | None) -> float | None:
    """What a reply costs; unknown where the provider counted no tokens of a model that has a price."""
    free = price is not None and price.input == price.output == 0
    return cost_of(reply.usage, price) if free or _total(reply.usage) else None


def _total(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def _used(reply: Completion | None, error: ModelError | None, estimate: Usage) -> Usage:
    """Tokens that an ended attempt is taken to have used."""
    if reply is not None:
        return reply.usage if _total(reply.usage) else estimate
    # A status means that the provider refused; without one it may have worked and been paid.
    refused = error is not None and error.status is not None and error.status >= 300
    return Usage() if refused else estimate


def _record_of(error: ModelError | None) -> CallError | None:
    if error is None:
        return None
    return CallError(kind=error.kind, message=error.message, status=error.status, attempts=error.attempts)
