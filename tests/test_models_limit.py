from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from optimizer.errors import ErrorKind, ModelError, ProviderError
from optimizer.health import FIRST_RESTS, RESTS
from optimizer.models.base import Request
from optimizer.models.limit import CUT, START, Limit
from optimizer.prompt import Message
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time
from tests.virtual_time import now

REFUSED = ModelError(ErrorKind.RATE_LIMIT, "host: 429")


def ask(number: int = 0) -> Request:
    return Request(provider="openai", model="m", messages=(Message(role="user", content=str(number)),))


class Slow(FunctionModel):
    """Takes `seconds` for each answer; counts what is under way."""

    def __init__(self, answer: Callable[[int], Answer] = lambda number: "fine", seconds: float = 1.0) -> None:
        super().__init__(self._wait)
        self.under_way = 0
        self.peak = 0
        self.times: list[float] = []
        self.seconds = seconds
        self.give = answer

    async def _wait(self, request: Request) -> Answer:
        number = len(self.times)
        self.times.append(now())
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
            return self.give(number)
        finally:
            self.under_way -= 1


async def flood(limit: Limit, count: int) -> list[object]:
    """All at once; failures as values."""
    return list(await asyncio.gather(*(limit.complete(ask(n)) for n in range(count)), return_exceptions=True))


def test_never_more_than_the_permits():
    model = Slow()

    async def main() -> None:
        await flood(Limit(model, most=4, clock=now), 40)

    virtual_time.run(main())
    assert len(model.times) == 40 and model.peak == 4


def test_a_slow_start_doubles_to_the_most():
    model = Slow()

    async def main() -> Limit:
        limit = Limit(model, most=128, clock=now)
        await flood(limit, 1000)
        return limit

    limit = virtual_time.run(main())
    assert [model.times.count(float(second)) for second in range(4)] == [START, 2 * START, 4 * START, 8 * START]
    assert limit.permits == model.peak == 128


def test_one_cut_an_episode():
    model = Slow(lambda number: REFUSED if number < START else "fine")

    async def main() -> tuple[int, int]:
        limit = Limit(model, most=64, clock=now)
        await flood(limit, START)
        return limit.permits, limit.in_flight

    assert virtual_time.run(main()) == (int(START * CUT), 0)


def test_after_a_cut_growth_is_one_a_round():
    def answer(number: int) -> Answer:
        return REFUSED if number == 0 else "fine"

    model = Slow(answer)

    async def main() -> None:
        limit = Limit(model, most=64, clock=now)
        with pytest.raises(ModelError):
            await limit.complete(ask())
        await flood(limit, 200)

    virtual_time.run(main())
    sent = [model.times.count(float(second)) for second in range(1, 11)]
    assert sent[0] == int(START * CUT) and sent[-1] >= sent[0] + 6
    assert all(0 <= after - before <= 1 for before, after in zip(sent, sent[1:], strict=False)), sent


def test_an_episode_after_the_cooldown_cuts_again():
    async def main() -> list[int]:
        limit = Limit(Slow(lambda number: "fine" if number % 4 == 3 else REFUSED), most=64, clock=now)
        seen = []
        for _ in range(3):
            await flood(limit, 3)
            seen.append(limit.permits)
            await asyncio.sleep(60)
            await limit.complete(ask())
        return seen

    assert virtual_time.run(main()) == [7, 4, 3]


def test_the_permits_never_fall_below_one():
    async def main() -> int:
        limit = Limit(Slow(lambda number: REFUSED), most=2, clock=now)
        for _ in range(20):
            await flood(limit, 1)
            await asyncio.sleep(60)
        return limit.permits

    assert virtual_time.run(main()) == 1


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMIT, ErrorKind.INTERNAL_SERVER])
def test_retry_after_holds_back_the_whole_account(kind):
    told = ModelError(kind, "host: later", retry_after=200.0)
    model = Slow(lambda number: told if number == 0 else "fine")

    async def main() -> None:
        limit = Limit(model, most=8, clock=now)
        await asyncio.gather(flood(limit, 30), later(limit))

    async def later(limit: Limit) -> None:
        await asyncio.sleep(100)
        await limit.complete(ask())

    virtual_time.run(main())
    assert len(model.times) == 31
    assert sum(at == 0.0 for at in model.times) == 8
    assert all(at == 0.0 or at >= 201.0 for at in model.times), "told at second 1 to wait for 200"


def test_other_faults_leave_the_permits_alone():
    broken = ModelError(ErrorKind.INTERNAL_SERVER, "host: 500")

    async def main() -> int:
        limit = Limit(Slow(lambda number: broken), most=64, clock=now)
        await flood(limit, 50)
        return limit.permits

    assert virtual_time.run(main()) == START


def test_a_cancelled_call_gives_its_permit_back():
    model = Slow(seconds=10)

    async def main() -> tuple[int, float]:
        limit = Limit(model, most=2, clock=now)
        calls = [asyncio.create_task(limit.complete(ask(n))) for n in range(6)]
        await asyncio.sleep(1)
        for call in calls[:4]:  # two with a permit, two that wait for one
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return limit.in_flight, now()

    assert virtual_time.run(main()) == (0, 11.0)
    assert len(model.times) == 4


def test_a_permit_handed_to_a_call_that_is_cancelled_goes_to_the_next():
    model = Slow(seconds=5)

    async def main() -> int:
        limit = Limit(model, most=1, clock=now)
        first, second, third = (asyncio.create_task(limit.complete(ask(n))) for n in range(3))
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert third.done() and not third.cancelled()
        return limit.in_flight

    assert virtual_time.run(main()) == 0


def test_permits_go_in_the_order_of_arrival():
    served: list[str] = []

    async def main() -> None:
        async def answer(request: Request) -> str:
            served.append(request.messages[0].content)
            await asyncio.sleep(1)
            return "fine"

        await flood(Limit(FunctionModel(answer), most=3, clock=now), 20)

    virtual_time.run(main())
    assert served == [str(number) for number in range(20)]


def refused_until(end: float) -> Slow:
    """Refuses, and does not say for how long."""
    return Slow(lambda number: REFUSED if now() < end else "fine")


async def stubborn(limit: Limit, count: int) -> None:
    """Calls that come back as often as they are refused."""

    async def one(number: int) -> None:
        while True:
            try:
                await limit.complete(ask(number))
                return
            except ModelError:
                await asyncio.sleep(0.1)

    await asyncio.gather(*(one(number) for number in range(count)))


def test_while_refused_without_a_word_on_how_long_one_alone_tries_again():
    model = refused_until(60.0)

    async def main() -> Limit:
        limit = Limit(model, most=64, clock=now)
        await stubborn(limit, 200)
        return limit

    limit = virtual_time.run(main())
    waves = [at for at in model.times if at <= 60.0]
    assert len(waves) <= START + int(START * CUT) + 8, "two waves, then one call a rest"
    assert limit.in_flight == 0


def test_where_the_call_that_tries_is_cancelled_the_next_one_tries():
    model = refused_until(8.0)

    async def main() -> float:
        limit = Limit(model, most=4, clock=now)
        calls = [asyncio.create_task(stubborn(limit, 1)) for _ in range(8)]
        await asyncio.sleep(6.7)
        for call in calls[:7]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert not calls[7].cancelled() and limit.in_flight == 0
        return now()

    assert virtual_time.run(main()) < 60.0


def test_an_account_that_is_refused_for_minutes_pauses_the_run():
    async def main(answered: int) -> float:
        limit = Limit(Slow(lambda number: "fine" if number < answered else REFUSED), most=4, clock=now)
        again = f"refused again after each of {len(RESTS if answered else FIRST_RESTS)} rests"
        with pytest.raises(ProviderError, match=f"host: 429 .{again}.; the run is paused: lower concurrency"):
            await stubborn(limit, 20)
        return now()

    assert sum(RESTS) < virtual_time.run(main(1)) < sum(RESTS) + 60.0
    assert sum(FIRST_RESTS) < virtual_time.run(main(0)) < sum(FIRST_RESTS) + 15.0, "sooner where nothing ever came"
