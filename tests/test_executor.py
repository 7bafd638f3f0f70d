from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from optimizer.dataset import Example
from optimizer.errors import BudgetExceeded, ErrorKind, ModelError, ProviderError, StoreError, UserError
from optimizer.executors.base import Job
from optimizer.executors.local import LocalExecutor, _Room
from optimizer.outcome import Phase
from optimizer.prompt import Prompt, build
from optimizer.results import Completion
from optimizer.targets.base import Output
from tests import virtual_time
from tests.virtual_time import now

PROMPT = build("p", [("user", "{{ q }}")])


def jobs(count: int) -> list[Job]:
    return [
        Job(candidate=PROMPT, example=Example(id=f"{number}", inputs={"q": number}), phase=Phase.SEARCH)
        for number in range(count)
    ]


@dataclass
class Rows:
    """A target whose rows take `seconds(n)` and end as `ends(n)` says."""

    seconds: Callable[[int], float] = lambda number: 1.0
    ends: Callable[[int], Exception | None] = lambda number: None
    started: list[tuple[int, float]] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    under_way: int = 0
    peak: int = 0

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        number = example.inputs["q"]
        self.started.append((number, now()))
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await asyncio.sleep(self.seconds(number))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.under_way -= 1
        self.finished.append(number)
        if (error := self.ends(number)) is not None:
            raise error
        return Output(completion=Completion(text=str(number)))


async def collect(executor: LocalExecutor, target: Rows, work: Sequence[Job]) -> list[tuple[str, str]]:
    found = []
    async for job, output in executor.map(target, work):
        found.append((job.example.id, str(output.kind) if isinstance(output, ModelError) else output.completion.text))
    return found


@pytest.mark.parametrize(("count", "concurrency"), [(0, 4), (1, 4), (4, 4), (100, 1), (100, 7), (100, 200)])
def test_every_row_once(count, concurrency):
    target = Rows()
    found = virtual_time.run(collect(LocalExecutor(concurrency), target, jobs(count)))
    assert sorted(found) == sorted((str(n), str(n)) for n in range(count))
    assert target.peak == min(count, concurrency)


def test_rows_come_as_they_end():
    target = Rows(seconds=lambda number: float(10 - number))
    found = virtual_time.run(collect(LocalExecutor(10), target, jobs(10)))
    assert [name for name, _ in found] == [str(number) for number in reversed(range(10))]


def test_a_row_s_fault_is_its_value():
    target = Rows(ends=lambda number: ModelError(ErrorKind.EMPTY, "empty") if number % 2 else None)
    found = dict(virtual_time.run(collect(LocalExecutor(4), target, jobs(10))))
    assert found == {str(n): "empty" if n % 2 else str(n) for n in range(10)}


FAULTS = [BudgetExceeded("spent"), ProviderError("down"), StoreError("full"), UserError("no such variable")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_the_run_comes_plain_and_rows_under_way_end_first(fault):
    target = Rows(
        seconds=lambda number: 1.0 if number == 3 else 3.0, ends=lambda number: fault if number == 3 else None
    )
    seen: list[str] = []

    async def main() -> float:
        with pytest.raises(type(fault)) as caught:
            async for job, _ in LocalExecutor(8).map(target, jobs(100)):
                seen.append(job.example.id)
        assert caught.value is fault
        return now()

    assert virtual_time.run(main()) == 3.0
    assert len(target.started) == 8, "no row starts after the fault"
    assert sorted(seen) == ["0", "1", "2", "4", "5", "6", "7"], "what was paid for is handed over"
    assert target.cancelled == []


def test_the_first_of_several_faults_is_the_one():
    faults = [BudgetExceeded(str(number)) for number in range(8)]
    target = Rows(seconds=lambda number: 1.0 + (number + 5) % 8 / 10, ends=lambda number: faults[number])
    with pytest.raises(BudgetExceeded, match="3"):
        virtual_time.run(collect(LocalExecutor(8), target, jobs(50)))


def test_what_the_end_of_a_budget_finds_under_way_is_waited_for():
    target = Rows(
        seconds=lambda number: 1.0 if number == 0 else 30.0,
        ends=lambda number: BudgetExceeded("spent") if number == 0 else None,
    )
    seen: list[str] = []

    async def main() -> None:
        with pytest.raises(BudgetExceeded):
            async for job, _ in LocalExecutor(4).map(target, jobs(50)):
                seen.append(job.example.id)

    virtual_time.run(main())
    assert sorted(seen) == ["1", "2", "3"] and target.cancelled == []


def test_a_consumer_that_is_cancelled_while_the_budget_s_rows_end_waits_for_the_drain_alone():
    target = Rows(
        seconds=lambda number: 1.0 if number == 0 else 1000.0,
        ends=lambda number: BudgetExceeded("spent") if number == 0 else None,
    )

    async def main() -> float:
        consumer = asyncio.create_task(collect(LocalExecutor(4), target, jobs(50)))
        await asyncio.sleep(10)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        return now()

    assert virtual_time.run(main()) == 15.0


def test_the_drain_has_an_end():
    target = Rows(
        seconds=lambda number: 1.0 if number == 0 else 1000.0,
        ends=lambda number: ProviderError("down") if number == 0 else None,
    )

    async def main() -> float:
        with pytest.raises(ProviderError):
            await collect(LocalExecutor(4, drain=5.0), target, jobs(50))
        return now()

    assert virtual_time.run(main()) == 6.0
    assert sorted(target.cancelled) == [1, 2, 3] and target.under_way == 0


def test_a_consumer_that_stops_stops_the_rows():
    target = Rows()

    async def main() -> float:
        async with aclosing(LocalExecutor(4).map(target, jobs(100))) as rows:
            async for _ in rows:
                break
        return now()

    assert virtual_time.run(main()) == 2.0, "rows that had started by then end"
    assert len(target.finished) == len(target.started) == 8 and target.cancelled == []


def test_a_consumer_that_is_cancelled_waits_for_no_more_than_the_drain():
    target = Rows(seconds=lambda number: 1000.0)

    async def main() -> tuple[float, int]:
        consumer = asyncio.create_task(collect(LocalExecutor(4, drain=5.0), target, jobs(100)))
        await asyncio.sleep(1)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        return now(), len(asyncio.all_tasks())

    assert virtual_time.run(main()) == (6.0, 1)
    assert len(target.started) == 4 and len(target.cancelled) == 4


def test_a_slow_consumer_holds_the_rows_back():
    target = Rows(seconds=lambda number: 0.1)

    async def main() -> int:
        most = taken = 0
        async for _ in LocalExecutor(4).map(target, jobs(60)):
            most = max(most, len(target.started) - taken)
            taken += 1
            await asyncio.sleep(1)
        return most

    assert virtual_time.run(main()) <= 2 * 4 + 1


def test_two_maps_side_by_side_do_not_meet():
    one, other = Rows(), Rows(ends=lambda number: ProviderError("down") if number == 2 else None)

    async def main() -> list[object]:
        executor = LocalExecutor(4)
        work = [collect(executor, one, jobs(20)), collect(executor, other, jobs(20))]
        return list(await asyncio.gather(*work, return_exceptions=True))

    found, failed = virtual_time.run(main())
    assert isinstance(found, list) and len(found) == 20 and isinstance(failed, ProviderError)


def test_a_place_handed_to_a_worker_that_is_cancelled_goes_to_the_next():
    async def main() -> tuple[bool, bool, bool]:
        room = _Room(1)
        await room.acquire()
        first, second, third = (asyncio.create_task(room.acquire()) for _ in range(3))
        await asyncio.sleep(0)
        third.cancel()
        room.release()
        first.cancel()
        await asyncio.wait((first, second, third))
        room.release()
        await room.acquire()
        return first.cancelled(), second.done() and not second.cancelled(), third.cancelled()

    assert virtual_time.run(main()) == (True, True, True)
