from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from optimizer.budget import Budget
from optimizer.config import BudgetSpec, ModelSpec, Price
from optimizer.errors import BudgetExceeded, ConfigError, ErrorKind, ModelError, ProviderError, StoreError
from optimizer.events import CallEnded, CallSaved, CallSent, Event, Held, Recording
from optimizer.models.base import Model, Request, UnusableReply, estimate_usage
from optimizer.models.cache import CompletionCache
from optimizer.models.gate import Terms, account, gate, open_provider
from optimizer.models.headers import listen
from optimizer.outcome import Phase, Role
from optimizer.pace import Rate
from optimizer.prompt import Message
from optimizer.results import Completion, Usage
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time
from tests.virtual_time import now

PRICE = Price(input=1000.0, output=2000.0)
ROMEO = Completion(text="Romeo", usage=Usage(input_tokens=10, output_tokens=5))


def ask(number: int = 0, role: Role = Role.TASK, phase: Phase = Phase.SEARCH) -> Request:
    messages = (Message(role="user", content=f"Question {number}"),)
    return Request(provider="openai", model="m", messages=messages, role=role, phase=phase)


def fault(kind: ErrorKind, status: int | None = None, wait: float | None = None) -> ModelError:
    return ModelError(kind, f"api.example.com: {kind}", status=status, retry_after=wait)


class World:
    """A provider behind the whole gate, in virtual time."""

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        *,
        spec: BudgetSpec | None = None,
        seconds: float = 1.0,
        known: dict[str, Completion] | None = None,
        concurrency: int = 16,
        retries: int = 5,
        budget_clock: Callable[[], float] = time.monotonic,
        **terms: Any,
    ) -> None:
        async def slowly(request: Request) -> Answer:
            await asyncio.sleep(seconds)
            return answer(request)

        self.provider = FunctionModel(slowly)
        self.sink = Recording()
        self.spec = spec or BudgetSpec()
        self.budget_clock = budget_clock
        self.known = known or {}
        self.concurrency = concurrency
        self.retries = retries
        self.terms = terms

    def run(self, *requests: Request, at_once: int = 1000) -> list[object]:
        """Ask for all, so many under way at once as an executor would have; failures as values."""

        async def main() -> list[object]:
            self.budget = Budget(self.spec, self.budget_clock)
            model = gate(
                self.provider,
                store=None,
                sink=self.sink,
                budget=self.budget,
                prices={"m": PRICE},
                known=self.known,
                terms=Terms(concurrency=self.concurrency, retries=self.retries, clock=now, **self.terms),
            )
            room = asyncio.Semaphore(at_once)

            async def row(request: Request) -> Completion:
                async with room:
                    return await model.complete(request)

            ends: list[object] = list(await asyncio.gather(*(row(one) for one in requests), return_exceptions=True))
            self.ended = now()
            return ends

        return virtual_time.run(main())

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.sink.events if isinstance(event, kind)]


def test_a_call_is_on_record_before_it_leaves_and_once_it_has_ended():
    world = World(lambda request: ROMEO)
    (answer,) = world.run(ask(role=Role.JUDGE, phase=Phase.TEST))
    assert answer == replace(ROMEO, cost=0.02)
    sent, ended = world.sink.events
    assert isinstance(sent, CallSent) and isinstance(ended, CallEnded)
    assert (sent.key, sent.role, sent.phase) == (ask().key, Role.JUDGE, Phase.TEST)
    assert sent.call == ended.call and ended.completion == answer and ended.error is None
    assert world.budget.spent.calls == 1 and world.budget.spent.tokens == 15
    assert world.budget.spent.usd == pytest.approx(0.02)


def test_nothing_leaves_before_its_record_is_durable():
    class Full(Recording):
        async def record(self, event: Event) -> None:
            raise StoreError("cannot write run.sqlite: no space")

    provider = FunctionModel(lambda request: "Romeo")
    budget = Budget(BudgetSpec())

    async def main() -> None:
        model = gate(provider, store=None, sink=Full(), budget=budget)
        with pytest.raises(StoreError):
            await model.complete(ask())

    asyncio.run(main())
    assert provider.requests == [] and budget.spent.calls == 0


def test_every_attempt_is_counted_apart():
    answers: list[Answer] = [fault(ErrorKind.INTERNAL_SERVER, 500), fault(ErrorKind.TIMEOUT), ROMEO]
    world = World(lambda request: answers.pop(0))
    world.run(ask())
    assert len(world.of(CallSent)) == len(world.of(CallEnded)) == 3 == world.budget.spent.calls
    assert len({event.call for event in world.of(CallSent)}) == 3  # type: ignore[union-attr]
    kinds = [event.error.kind if event.error else None for event in world.of(CallEnded)]  # type: ignore[union-attr]
    assert kinds == [ErrorKind.INTERNAL_SERVER, ErrorKind.TIMEOUT, None]


@pytest.mark.parametrize(
    ("finish", "text", "kind", "attempts"),
    [
        ("length", "Rom", ErrorKind.CUT_OFF, 1),
        ("content_filter", "", ErrorKind.CONTENT_FILTER, 1),
        ("stop", " ", ErrorKind.EMPTY, 6),
    ],
)
def test_a_reply_that_cannot_be_used_is_billed_all_the_same(finish, text, kind, attempts):
    world = World(lambda request: replace(ROMEO, text=text, finish_reason=finish))
    (error,) = world.run(ask())
    assert isinstance(error, ModelError) and error.kind is kind and error.attempts == attempts
    assert world.budget.spent.tokens == 15 * attempts
    for event in world.of(CallEnded):
        assert isinstance(event, CallEnded)
        assert event.error is not None and event.error.kind is kind
        assert event.completion is not None and event.completion.usage == ROMEO.usage
        assert event.completion.cost == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("failure", "billed"),
    [
        (fault(ErrorKind.BAD_REQUEST, 400), 0),
        (fault(ErrorKind.TIMEOUT), 1),
        (fault(ErrorKind.CONNECTION), 1),
        (fault(ErrorKind.MALFORMED, 200), 1),
    ],
)
def test_an_attempt_without_usage_is_billed_at_its_estimate_unless_it_was_refused(failure, billed):
    world = World(lambda request: failure, retries=0)
    world.run(ask())
    usage = estimate_usage(ask())
    assert world.budget.spent.tokens == billed * (usage.input_tokens + usage.output_tokens)


def test_the_estimate_follows_the_limit_of_the_answer():
    assert estimate_usage(replace(ask(), params={"max_tokens": 7})).output_tokens == 7
    assert estimate_usage(replace(ask(), params={"max_completion_tokens": 9, "max_tokens": 7})).output_tokens == 9
    assert estimate_usage(ask()).input_tokens == len("Question 0") // 4 + 4


def test_the_budget_stops_attempts_and_retries_alike():
    world = World(lambda request: fault(ErrorKind.INTERNAL_SERVER, 500), spec=BudgetSpec(calls=4))
    (error,) = world.run(ask())
    assert isinstance(error, BudgetExceeded)
    assert len(world.provider.requests) == 4 == world.budget.spent.calls == len(world.of(CallSent))


def test_calls_never_pass_the_limit():
    world = World(lambda request: ROMEO, spec=BudgetSpec(calls=25))
    ends = world.run(*(ask(number) for number in range(100)))
    assert Counter(type(end) for end in ends) == {Completion: 25, BudgetExceeded: 75}
    assert len(world.provider.requests) == 25


def test_tokens_are_waited_for_while_calls_in_flight_hold_them():
    estimate = estimate_usage(ask())
    each = estimate.input_tokens + estimate.output_tokens
    world = World(lambda request: ROMEO, spec=BudgetSpec(tokens=2 * each + 1))
    ends = world.run(*(ask(number) for number in range(12)))
    assert Counter(type(end) for end in ends) == {Completion: 12}, "each uses 15 of the 260 that it may use"
    assert world.budget.spent.tokens == 12 * 15


def test_a_call_that_waits_for_the_budget_is_woken_by_any_gate_of_the_run():
    async def slowly(request: Request) -> Answer:
        await asyncio.sleep(5)
        return ROMEO

    async def main() -> list[Completion]:
        budget = Budget(BudgetSpec(tokens=300))
        gates = [
            gate(FunctionModel(slowly), store=None, sink=Recording(), budget=budget, terms=Terms(clock=now))
            for _ in range(2)
        ]
        return await asyncio.gather(*(one.complete(ask(number)) for number, one in enumerate(gates)))

    assert [answer.text for answer in virtual_time.run(main())] == ["Romeo", "Romeo"]


def test_a_run_that_is_resumed_sends_nothing_that_it_knows():
    world = World(lambda request: ROMEO, known={ask(0).key: ROMEO})
    first, second = world.run(ask(0), ask(1))
    assert first == replace(ROMEO, cached=True) and second == replace(ROMEO, cost=0.02)
    assert len(world.provider.requests) == 1
    assert [type(event) for event in world.sink.events] == [CallSaved, CallSent, CallEnded]


@pytest.mark.parametrize("concurrency", [1, 16, 64])
@pytest.mark.parametrize("failure", [fault(ErrorKind.CONNECTION), fault(ErrorKind.INTERNAL_SERVER, 503)])
def test_a_provider_that_is_down_gets_few_requests(failure, concurrency):
    world = World(lambda request: failure, concurrency=concurrency)
    ends = world.run(*(ask(number) for number in range(200)))
    assert len(world.provider.requests) <= max(10, concurrency)
    assert all(isinstance(end, ModelError | ProviderError) for end in ends)
    assert any(isinstance(end, ProviderError) for end in ends)


def test_a_rejected_key_stops_the_run_at_once():
    world = World(lambda request: fault(ErrorKind.AUTHENTICATION, 401), concurrency=64)
    ends = world.run(*(ask(number) for number in range(200)))
    assert {type(end) for end in ends} == {ProviderError}
    assert len(world.provider.requests) <= 10, "no more than were out when the first answer came"


def test_a_storm_of_rate_limits_passes():
    def answer(request: Request) -> Answer:
        seen[request.key] += 1
        refused = int(request.key[:4], 16) % 10 < 3 and seen[request.key] <= 2
        return fault(ErrorKind.RATE_LIMIT, 429, 2.0) if refused else ROMEO

    seen: Counter[str] = Counter()
    world = World(answer, concurrency=32)
    ends = world.run(*(ask(number) for number in range(300)), at_once=32)
    assert {type(end) for end in ends} == {Completion}
    assert len(world.provider.requests) == sum(seen.values()) < 500


@pytest.mark.parametrize("concurrency", [4, 16, 128])
@pytest.mark.parametrize(("most", "seconds", "told"), [(20, 60.0, None), (20, 10.0, None), (500, 60.0, 1.0)])
def test_a_limit_a_minute_costs_no_row_where_no_retry_after_is_given_or_too_short_a_one(
    most, seconds, told, concurrency
):
    def answer(request: Request) -> Answer:
        windows[now() // seconds] += 1
        return ROMEO if windows[now() // seconds] <= most else fault(ErrorKind.RATE_LIMIT, 429, told)

    windows: Counter[float] = Counter()
    world = World(answer, concurrency=concurrency)
    ends = world.run(*(ask(number) for number in range(3 * most)))
    assert {type(end) for end in ends} == {Completion}
    assert len(world.provider.requests) < 6 * most + 2 * concurrency


def test_calls_cancelled_in_flight_are_billed_at_their_estimate():
    provider = FunctionModel(lambda request: asyncio.sleep(100, "late"))
    sink = Recording()

    async def main() -> Budget:
        budget = Budget(BudgetSpec())
        model = gate(provider, store=None, sink=sink, budget=budget, terms=Terms(clock=now))
        calls = [asyncio.create_task(model.complete(ask(number))) for number in range(3)]
        await asyncio.sleep(1)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return budget

    budget = virtual_time.run(main())
    estimate = estimate_usage(ask())
    assert budget.spent.calls == 3
    assert budget.spent.tokens == 3 * (estimate.input_tokens + estimate.output_tokens)
    assert [type(event) for event in sink.events] == [CallSent] * 3


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (PRICE, Usage(input_tokens=1000, output_tokens=500), 2.0),
        (PRICE, Usage(), None),
        (None, Usage(input_tokens=1, output_tokens=1), None),
        (Price(input=0.0, output=0.0), Usage(), 0.0),
    ],
)
def test_an_unknown_cost_is_unknown_and_never_nothing(price, usage, cost):
    async def main() -> float | None:
        provider = FunctionModel(lambda request: Completion(text="Romeo", usage=usage))
        prices = {} if price is None else {"m": price}
        model = gate(provider, store=None, sink=Recording(), budget=Budget(BudgetSpec()), prices=prices)
        return (await model.complete(ask())).cost

    assert asyncio.run(main()) == cost


def test_with_a_cache_each_distinct_request_is_sent_once(tmp_path):
    provider = FunctionModel(lambda request: ROMEO)
    sink = Recording()

    async def main() -> list[Completion]:
        async with CompletionCache(tmp_path) as store:
            model = gate(provider, store=store, sink=sink, budget=Budget(BudgetSpec()))
            return await asyncio.gather(*(model.complete(ask(number % 30)) for number in range(300)))

    for round_ in range(2):
        answers = asyncio.run(main())
        assert {answer.text for answer in answers} == {"Romeo"}
        assert len(provider.requests) == 30, round_
    assert Counter(type(event) for event in sink.events) == {CallSent: 30, CallEnded: 30, CallSaved: 570}


def test_the_offline_provider_goes_through_the_same_gate():
    async def main() -> Completion:
        spec = ModelSpec(name="offline:perfect")
        async with open_provider(spec, 4) as provider:
            model: Model = gate(provider, store=None, sink=sink, budget=Budget(BudgetSpec(calls=1)))
            return await model.complete(replace(ask(), provider="offline", model=spec.model))

    sink = Recording()
    answer = asyncio.run(main())
    assert answer.text and answer.usage.output_tokens > 0
    assert [type(event) for event in sink.events] == [CallSent, CallEnded]


def test_an_endpoint_that_is_no_address_is_refused_before_any_call():
    async def main() -> None:
        async with open_provider(ModelSpec(name="openai/m", base_url="localhost:80"), 1):
            pass

    with pytest.raises(ConfigError, match="is no address"):
        asyncio.run(main())


def test_one_account_is_one_provider_at_one_address():
    assert account(ModelSpec(name="openai/a")) == account(ModelSpec(name="openai/b")) == ("openai", None)
    assert account(ModelSpec(name="openai/a", base_url="http://h/v1")) != account(ModelSpec(name="openai/a"))


def down(start: float, end: float, kind: ErrorKind = ErrorKind.INTERNAL_SERVER) -> Callable[[Request], Answer]:
    """A provider that fails from one second to another, and answers otherwise."""
    return lambda request: fault(kind, 503) if start <= now() < end else ROMEO


def held(world: World) -> list[Held]:
    return [event for event in world.sink.events if isinstance(event, Held)]


@pytest.mark.parametrize("concurrency", [4, 16, 64])
@pytest.mark.parametrize("seconds", [0.5, 5.0, 200.0])
@pytest.mark.parametrize("kind", [ErrorKind.INTERNAL_SERVER, ErrorKind.CONNECTION, ErrorKind.MALFORMED])
def test_an_outage_in_the_middle_is_ridden_out(kind, seconds, concurrency):
    world = World(down(1.0, 1.0 + seconds, kind), seconds=0.2, concurrency=concurrency)
    ends = world.run(*(ask(number) for number in range(400)), at_once=concurrency)
    assert Counter(type(end) for end in ends) == {Completion: 400}, "no row is lost"
    wasted = len(world.provider.requests) - 400
    assert wasted <= max(10, concurrency) + 13, "those that failed in a row, then one call a rest"
    if seconds >= 5.0:
        told = held(world)
        assert told and all("no answer (api.example.com: " in event.why for event in told)
        assert told[-1].why.endswith("s more") and "gives up after" in told[0].why


@pytest.mark.parametrize("concurrency", [1, 16])
def test_an_outage_without_end_ends_the_run_after_a_stated_time(concurrency):
    world = World(down(2.0, 1e9), seconds=0.1, concurrency=concurrency)
    ends = world.run(*(ask(number) for number in range(500)), at_once=concurrency)
    broken = [end for end in ends if isinstance(end, ProviderError)]
    assert broken and "failed again after each of 13 rests" in str(broken[0])
    assert "resume once the provider is back" in str(broken[0])
    assert sum(isinstance(end, ModelError) for end in ends) == 0 or concurrency == 1
    assert 280 <= sum(event.seconds for event in held(world)) < 290


def test_after_an_outage_a_provider_is_not_met_by_all_at_once():
    times: list[float] = []

    def answer(request: Request) -> Answer:
        times.append(now())
        return down(20.0, 60.0)(request)

    world = World(answer, concurrency=128)
    world.run(*(ask(number) for number in range(4000)), at_once=128)
    back = [at for at in times if at >= 60.0]
    assert [back.count(back[0]), back.count(back[0] + 1)] == [1, 11] and max(Counter(back).values()) == 128


def test_a_candidate_that_gets_empty_answers_alone_costs_its_rows_and_no_run():
    def answer(request: Request) -> Answer:
        return replace(ROMEO, text=" ") if int(request.messages[0].content.split()[1]) >= 20 else ROMEO

    world = World(answer, seconds=0.1)
    ends = world.run(*(ask(number) for number in range(60)), at_once=16)
    assert Counter(type(end) for end in ends) == {Completion: 20, UnusableReply: 40}
    assert {end.attempts for end in ends if isinstance(end, ModelError)} == {6}


def test_a_wait_that_is_asked_for_holds_back_everything_and_is_told():
    times: list[float] = []

    def answer(request: Request) -> Answer:
        times.append(now())
        return fault(ErrorKind.RATE_LIMIT, 429, 200.0) if len(times) == 30 else ROMEO

    world = World(answer, concurrency=8, seconds=0.0)
    ends = world.run(*(ask(number) for number in range(300)), at_once=8)
    assert {type(end) for end in ends} == {Completion}
    assert len(times) == 301 and sum(0 < at < 200 for at in times) == 0
    (event,) = held(world)
    assert event.why == "rate limited, concurrency 8 -> 5" and event.seconds == 200.0


@pytest.mark.parametrize(("rate", "seconds"), [(Rate(requests=120), 59.5), (Rate(tokens=1800), 57.0)])
def test_limits_by_hand_hold_for_every_role_of_an_account(rate, seconds):
    world = World(lambda request: ROMEO, concurrency=16, rates={"m": rate}, account="api.example.com")
    others = [replace(ask(number, Role.MUTATOR), model="other") for number in range(60)]
    ends = world.run(*(ask(number) for number in range(60)), *others)
    assert {type(end) for end in ends} == {Completion}
    assert seconds < world.ended < seconds + 30
    assert {event.account for event in held(world)} <= {"api.example.com"}
    assert any(event.why.startswith("held by ") for event in held(world)) or rate.requests


def test_what_a_provider_says_is_left_is_not_passed():
    window: Counter[int] = Counter()
    refused = 0

    def answer(request: Request) -> Answer:
        nonlocal refused
        minute, most = int(now() // 60), 30
        window[minute] += 1
        left, reset = max(most - window[minute], 0), 60 - now() % 60
        listen(
            {
                "x-ratelimit-limit-requests": str(most),
                "x-ratelimit-remaining-requests": str(left),
                "x-ratelimit-reset-requests": f"{reset:.3f}s",
            }
        )
        refused += window[minute] > most
        return ROMEO if window[minute] <= most else fault(ErrorKind.RATE_LIMIT, 429)

    world = World(answer, seconds=0.2, concurrency=8)
    ends = world.run(*(ask(number) for number in range(100)))
    assert {type(end) for end in ends} == {Completion}
    assert world.ended < 185 and refused <= 2
    assert any(event.why == "0 of 30 requests left" for event in held(world))


@pytest.mark.parametrize("told", [None, 50.0, 3000.0])
@pytest.mark.parametrize("concurrency", [1, 16])
def test_minutes_end_a_run_while_its_account_rests(told, concurrency):
    def answer(request: Request) -> Answer:
        return ROMEO if now() < 20.0 else fault(ErrorKind.RATE_LIMIT, 429, told)

    world = World(answer, spec=BudgetSpec(minutes=1), concurrency=concurrency, budget_clock=now)
    ends = world.run(*(ask(number) for number in range(1000)), at_once=concurrency)
    (first, *_) = [end for end in ends if not isinstance(end, Completion)]
    assert isinstance(first, BudgetExceeded) or concurrency == 1, "alone, a call may use up its attempts before"
    assert "budget of 1 minutes is used up; raise budget.minutes" in str(ends[-1])
    assert world.ended == pytest.approx(60.0, abs=1.5)


def test_minutes_end_a_run_that_waits_for_its_turn_in_the_minute():
    spec, rates = BudgetSpec(minutes=0.5), {"m": Rate(requests=1)}
    world = World(lambda request: ROMEO, spec=spec, rates=rates, budget_clock=now)
    ends = world.run(*(ask(number) for number in range(10)))
    assert Counter(type(end) for end in ends) == {Completion: 1, BudgetExceeded: 9} and 29.0 < world.ended < 31.0
