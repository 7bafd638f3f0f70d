"""What is imported while the first calls are out."""

from __future__ import annotations

import asyncio
import threading

import pytest

from optimizer.ahead import Ahead
from optimizer.events import CallSent, Event, Progress
from optimizer.outcome import Phase, Role

SENT = CallSent(call="1", key="k", role=Role.TASK, phase=Phase.SEARCH)


async def _told(ahead: Ahead, events: list[Event], done: threading.Event) -> None:
    async with ahead:
        for event in events:
            await ahead.record(event)
        if any(isinstance(event, CallSent) for event in events):
            await asyncio.to_thread(done.wait, 60)


@pytest.mark.parametrize(
    ("events", "times"),
    [([], 0), ([Progress(step="baseline", round=0, planned=0, limit=1)], 0), ([SENT], 1), ([SENT, SENT, SENT], 1)],
    ids=["nothing", "no call", "a call", "three calls"],
)
def test_the_work_is_done_once_when_a_call_was_sent(events: list[Event], times: int) -> None:
    where: list[threading.Thread] = []
    done = threading.Event()

    def work() -> None:
        where.append(threading.current_thread())
        done.set()

    asyncio.run(_told(Ahead(work), events, done))
    assert len(where) == times
    assert threading.current_thread() not in where


def test_what_cannot_be_imported_is_left_to_who_needs_it() -> None:
    done = threading.Event()

    def work() -> None:
        done.set()
        raise ImportError("no such package")

    asyncio.run(_told(Ahead(work), [SENT], done))
    assert done.is_set(), "it was tried, and nobody heard of it"


def test_an_end_before_it_began_does_nothing() -> None:
    async def ended() -> None:
        async with Ahead(lambda: begun.append(1)) as ahead:
            await ahead.record(SENT)

    begun: list[int] = []
    asyncio.run(ended())
    assert begun == []
