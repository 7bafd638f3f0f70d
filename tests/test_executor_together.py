from __future__ import annotations

import asyncio

import pytest

from optimizer.errors import BudgetExceeded
from optimizer.executors.together import together
from tests import virtual_time
from tests.virtual_time import now


class Calls:
    """Calls that take some seconds; remembers which ended."""

    def __init__(self) -> None:
        self.ended: list[float] = []
        self.cancelled: list[float] = []

    async def one(self, seconds: float, fault: Exception | None = None) -> float:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(seconds)
            raise
        self.ended.append(seconds)
        if fault is not None:
            raise fault
        return seconds


def test_results_come_in_order_and_faults_as_values():
    calls, fault = Calls(), BudgetExceeded("spent")

    async def main() -> list[float | BaseException]:
        return await together([calls.one(3), calls.one(1, fault), calls.one(2)])

    assert virtual_time.run(main()) == [3, fault, 2]
    assert virtual_time.run(together([])) == []


def test_calls_under_way_may_end_when_the_caller_is_cancelled():
    calls = Calls()

    async def main() -> float:
        caller = asyncio.create_task(together([calls.one(2), calls.one(4), calls.one(100)]))
        await asyncio.sleep(1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        return now()

    assert virtual_time.run(main()) == 6.0
    assert calls.ended == [2, 4] and calls.cancelled == [100]


def test_a_second_cancellation_ends_them_at_once():
    calls = Calls()

    async def main() -> float:
        caller = asyncio.create_task(together([calls.one(4)]))
        for _ in range(2):
            await asyncio.sleep(1)
            caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.sleep(0)
        return now()

    assert virtual_time.run(main()) == 2.0
    assert calls.ended == [] and calls.cancelled == [4]
