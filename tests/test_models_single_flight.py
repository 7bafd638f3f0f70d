from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from optimizer.errors import BudgetExceeded, ErrorKind, ModelError, ProviderError, StoreError
from optimizer.events import CallSaved, Recording
from optimizer.models.base import Request
from optimizer.models.single_flight import SingleFlight
from optimizer.outcome import Phase
from optimizer.prompt import Message
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time

ASK = Request(provider="openai", model="m", messages=(Message(role="user", content="Who?"),))


def slowly(answer: Answer) -> FunctionModel:
    async def give(request: Request) -> Answer:
        await asyncio.sleep(1)
        return answer

    return FunctionModel(give)


def test_the_same_call_at_once_is_sent_once():
    model, sink = slowly("Romeo"), Recording()

    async def main() -> list[bool]:
        flight = SingleFlight(model, sink)
        answers = await asyncio.gather(*(flight.complete(ASK) for _ in range(8)))
        assert {answer.text for answer in answers} == {"Romeo"}
        return sorted(answer.cached for answer in answers)

    assert virtual_time.run(main()) == [False] + [True] * 7
    assert len(model.requests) == 1
    saved = [event for event in sink.events if isinstance(event, CallSaved)]
    assert len(saved) == len(sink.events) == 7
    assert {(event.key, event.phase) for event in saved} == {(ASK.key, Phase.SEARCH)}


def test_other_calls_are_others():
    model = slowly("Romeo")

    async def main() -> None:
        flight = SingleFlight(model, Recording())
        others = [ASK, replace(ASK, model="n"), replace(ASK, sample=1), replace(ASK, params={"seed": 1})]
        await asyncio.gather(*(flight.complete(other) for other in others))

    virtual_time.run(main())
    assert len(model.requests) == 4


def test_one_after_the_other_is_sent_twice():
    model = slowly("Romeo")

    async def main() -> None:
        flight = SingleFlight(model, Recording())
        await flight.complete(ASK)
        await flight.complete(ASK)

    virtual_time.run(main())
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "fault",
    [ModelError(ErrorKind.EMPTY, "empty"), BudgetExceeded("spent"), ProviderError("down"), StoreError("full")],
)
def test_a_failure_goes_to_all_who_joined(fault):
    sent = 0

    class Failing:
        async def complete(self, request: Request) -> None:
            nonlocal sent
            sent += 1
            await asyncio.sleep(1)
            raise fault

    sink = Recording()

    async def main() -> list[object]:
        flight = SingleFlight(Failing(), sink)  # type: ignore[arg-type]
        return list(await asyncio.gather(*(flight.complete(ASK) for _ in range(4)), return_exceptions=True))

    assert virtual_time.run(main()) == [fault] * 4
    assert sent == 1 and sink.events == []


def test_where_the_owner_is_cancelled_another_takes_over():
    model = slowly("Romeo")

    async def main() -> list[object]:
        flight = SingleFlight(model, Recording())
        owner, *others = (asyncio.create_task(flight.complete(ASK)) for _ in range(4))
        await asyncio.sleep(0.5)
        owner.cancel()
        return list(await asyncio.gather(owner, *others, return_exceptions=True))

    owner, *others = virtual_time.run(main())
    assert isinstance(owner, asyncio.CancelledError)
    assert [other.text for other in others] == ["Romeo"] * 3  # type: ignore[attr-defined]
    assert len(model.requests) == 2


def test_one_who_joined_and_is_cancelled_disturbs_nobody():
    model = slowly("Romeo")

    async def main() -> list[object]:
        flight = SingleFlight(model, Recording())
        owner, joined = (asyncio.create_task(flight.complete(ASK)) for _ in range(2))
        await asyncio.sleep(0.5)
        joined.cancel()
        return list(await asyncio.gather(owner, joined, return_exceptions=True))

    owner, joined = virtual_time.run(main())
    assert owner.text == "Romeo" and isinstance(joined, asyncio.CancelledError)  # type: ignore[attr-defined]
    assert len(model.requests) == 1


def test_a_bug_in_the_owner_is_not_shared():
    answers: list[Answer] = ["Romeo"]

    async def give(request: Request) -> Answer:
        await asyncio.sleep(1)
        if len(model.requests) == 1:
            raise ZeroDivisionError
        return answers[0]

    model = FunctionModel(give)

    async def main() -> list[object]:
        flight = SingleFlight(model, Recording())
        return list(await asyncio.gather(*(flight.complete(ASK) for _ in range(3)), return_exceptions=True))

    first, *others = virtual_time.run(main())
    assert isinstance(first, ZeroDivisionError)
    assert [other.text for other in others] == ["Romeo"] * 2  # type: ignore[attr-defined]
