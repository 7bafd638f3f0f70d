from __future__ import annotations

import asyncio

import pytest

from optimizer.errors import FATAL, ErrorKind, ModelError, ProviderError
from optimizer.models.base import Request
from optimizer.models.breaker import Breaker
from optimizer.prompt import Message
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time

ASK = Request(provider="openai", model="m", messages=(Message(role="user", content="Who?"),))


def fault(kind: ErrorKind) -> ModelError:
    return ModelError(kind, f"api.example.com: {kind}")


def flood(answer: Answer, count: int, *, concurrency: int = 16, retries: int = 5) -> tuple[int, list[object]]:
    """How many calls got through to a provider that always answers the same, and what became of each."""

    async def slowly(request: Request) -> Answer:
        await asyncio.sleep(1)
        return answer

    model = FunctionModel(slowly)

    async def main() -> list[object]:
        breaker = Breaker(model, concurrency=concurrency, retries=retries)
        return list(await asyncio.gather(*(breaker.complete(ASK) for _ in range(count)), return_exceptions=True))

    ends = virtual_time.run(main())
    return len(model.requests), ends


@pytest.mark.parametrize("concurrency", [1, 16, 64])
def test_one_at_a_time_it_gets_exactly_its_share(concurrency):
    model = FunctionModel(lambda request: fault(ErrorKind.INTERNAL_SERVER))

    async def main() -> None:
        breaker = Breaker(model, concurrency=concurrency, retries=5)
        for _ in range(200):
            with pytest.raises((ModelError, ProviderError)):
                await breaker.complete(ASK)

    virtual_time.run(main())
    assert len(model.requests) == max(10, concurrency)


@pytest.mark.parametrize("kind", sorted(FATAL))
def test_one_fatal_fault_is_enough(kind):
    async def main() -> int:
        model = FunctionModel(lambda request: fault(kind))
        breaker = Breaker(model, concurrency=16, retries=5)
        for _ in range(3):
            with pytest.raises(ProviderError) as caught:
                await breaker.complete(ASK)
            assert "api.example.com" in str(caught.value) and "resume" in str(caught.value)
            assert "\n" not in str(caught.value) and caught.value.exit_code == 6
        return len(model.requests)

    assert virtual_time.run(main()) == 1


@pytest.mark.parametrize("kind", [ErrorKind.CUT_OFF, ErrorKind.CONTENT_FILTER])
def test_faults_of_a_row_never_break_the_run(kind):
    sent, ends = flood(fault(kind), 300)
    assert sent == 300 and not any(isinstance(end, ProviderError) for end in ends)


def test_an_answer_starts_the_count_anew():
    async def main() -> int:
        answers = ([fault(ErrorKind.INTERNAL_SERVER)] * 9 + ["fine"]) * 5
        model = FunctionModel(lambda request: answers.pop(0))
        breaker = Breaker(model, concurrency=1, retries=0)
        for _ in range(50):
            try:
                await breaker.complete(ASK)
            except ModelError:
                continue
        return len(model.requests)

    assert virtual_time.run(main()) == 50


def test_rate_limits_are_borne_for_as_long_as_retries_last():
    for count, broken in ((59, False), (60, True)):

        async def main(count: int = count) -> bool:
            breaker = Breaker(FunctionModel(lambda request: fault(ErrorKind.RATE_LIMIT)), concurrency=10, retries=5)
            last: Exception | None = None
            for _ in range(count):
                try:
                    await breaker.complete(ASK)
                except (ModelError, ProviderError) as error:
                    last = error
            return isinstance(last, ProviderError)

        assert virtual_time.run(main()) is broken


def test_a_cancelled_call_leaves_room_for_the_next():
    async def main() -> None:
        answers: list[Answer] = [fault(ErrorKind.CONNECTION)] * 9

        async def answer(request: Request) -> Answer:
            if answers:
                return answers.pop()
            await asyncio.sleep(5)
            return "fine"

        breaker = Breaker(FunctionModel(answer), concurrency=1, retries=0)
        for _ in range(9):
            with pytest.raises(ModelError):
                await breaker.complete(ASK)
        held, waiting = (asyncio.create_task(breaker.complete(ASK)) for _ in range(2))
        await asyncio.sleep(1)
        held.cancel()
        assert (await waiting).text == "fine"

    virtual_time.run(main())
