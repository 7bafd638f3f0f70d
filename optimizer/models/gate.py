"""The one gate for every paid call: `cache(single_flight(retry(limit(budget(timed(redacted(provider)))))))`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from optimizer.budget import Budget, Clock
from optimizer.config import ModelSpec, Price, RunConfig
from optimizer.events import Sink
from optimizer.models.base import Model, Sleep
from optimizer.models.budgeted import Budgeted
from optimizer.models.cache import Cached, CompletionCache, Kept
from optimizer.models.limit import Limit
from optimizer.models.prices import list_price
from optimizer.models.redacted import Redacted
from optimizer.models.retry import Retry, Timed
from optimizer.models.single_flight import SingleFlight
from optimizer.pace import Pace, Rate
from optimizer.redaction import Scrubber
from optimizer.results import Completion

Providers = Mapping[tuple[str, str | None], Model]
"""(provider, base URL) -> what answers single attempts there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How one account is called."""

    concurrency: int = 16
    """Calls in flight, at most."""
    retries: int = 5
    """Attempts after the first."""
    timeout: float = 120.0
    """Seconds that one attempt may take; all attempts of a request together take twice that at most.

    Waiting for a turn, and for as long as the provider asks, is not counted.
    """
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """Limits a minute of models, by the names that requests have."""
    account: str = "the provider"
    """What messages call the account."""
    clock: Clock = time.monotonic
    """The monotonic clock."""
    sleep: Sleep = asyncio.sleep
    """How to wait."""


def account(spec: ModelSpec) -> tuple[str, str | None]:
    """What has one gate: provider and base URL. For litellm, the provider is the one that it stands before."""
    provider = spec.provider
    if provider == "litellm" and "/" in spec.model:
        provider = f"litellm {spec.model.partition('/')[0]}"
    return provider, spec.base_url


def called(spec: ModelSpec) -> str:
    """What messages call the account of a model: host and port, or the provider's name."""
    if spec.base_url is not None:
        return urlsplit(spec.base_url).netloc.rpartition("@")[2]
    if spec.provider == "openai":
        return "api.openai.com"
    return account(spec)[0].removeprefix("litellm ")


def rates(specs: Iterable[ModelSpec]) -> dict[str, Rate]:
    """Limits a minute that are set by hand, by the names that requests have."""
    return {spec.model: Rate(requests=spec.rpm, tokens=spec.tpm) for spec in specs if spec.rpm or spec.tpm}


def gate(
    provider: Model,
    *,
    store: CompletionCache | None,
    sink: Sink,
    budget: Budget,
    prices: Mapping[str, Price] | None = None,
    known: Mapping[str, Completion] | None = None,
    terms: Terms | None = None,
) -> Model:
    """Put every layer around a provider.

    One gate serves one account (see `account`), whatever the role and the model that are called; gates of a
    run share store, sink and budget.

    Args:
        provider: answers single attempts.
        store: the cache; None goes without.
        sink: gets CallSaved, CallSent, CallEnded and Held.
        budget: the run's.
        prices: of each model by its name, as `Request.model` has it; one that is missing is unknown, never 0.
        known: completions by key that the run being resumed holds.
        terms: concurrency, retries, deadline, limits a minute.
    """
    terms = terms or Terms()
    sleep = partial(budget.wait, sleep=terms.sleep)
    timed = Timed(Redacted(provider, Scrubber()), terms.clock)
    paid = Budgeted(timed, budget=budget, sink=Kept(store, sink) if store else sink, prices=prices or {})
    limited = Limit(
        paid,
        most=terms.concurrency,
        account=terms.account,
        pace=Pace(terms.rates),
        sink=sink,
        clock=terms.clock,
        sleep=sleep,
    )
    retried = Retry(limited, retries=terms.retries, deadline=2 * terms.timeout, sleep=sleep)
    return Cached(SingleFlight(retried, sink), store, sink, known or {})


def check_name(spec: ModelSpec) -> None:
    """Raise ConfigError for a model of which no provider is known. Sends nothing."""
    if spec.provider == "litellm":
        from optimizer.models.litellm import check_name as check

        check(spec.model)


def specs(config: RunConfig) -> list[ModelSpec]:
    """Every model that a config names: the task's, and the mutator's where there is one."""
    return [config.model, *([config.mutator] if config.mutator else [])]


@asynccontextmanager
async def connected(config: RunConfig) -> AsyncIterator[Providers]:
    """Every provider that a config names, before a run is made of it and before anything is sent.

    Raises UserError where a price, a key or an address is missing or wrong, or a provider is not known.
    """
    budget = Budget(config.budget)
    async with AsyncExitStack() as stack:
        found: dict[tuple[str, str | None], Model] = {}
        for spec in specs(config):
            budget.require_price(spec.name, list_price(spec))
            check_name(spec)
            if account(spec) not in found:
                found[account(spec)] = await stack.enter_async_context(open_provider(spec, config.concurrency))
        yield found


@asynccontextmanager
async def open_provider(spec: ModelSpec, concurrency: int) -> AsyncIterator[Model]:
    """The provider of a model, closed at the end. Imports what that provider needs, and nothing else.

    Raises UserError where a key or an address is missing or wrong.
    """
    if spec.provider == "offline":
        from optimizer.models.offline.model import OfflineModel

        yield OfflineModel()
    elif spec.provider == "openai":
        from optimizer.models.openai import open_openai

        async with open_openai(base_url=spec.base_url, concurrency=concurrency) as fast:
            yield fast
    else:
        from optimizer.models.litellm import open_litellm

        async with open_litellm(base_url=spec.base_url) as slow:
            yield slow
