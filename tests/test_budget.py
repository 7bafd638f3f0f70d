from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.budget import LEAST_CALLS, Budget, Spent
from optimizer.config import BudgetSpec, Price
from optimizer.errors import BudgetExceeded, ConfigError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(budget: Budget, *, estimate: int = 10, used: int = 10, usd: float | None = None) -> None:
    held = budget.reserve(tokens=estimate, usd=usd)
    assert held is not None
    budget.settle(held, tokens=used, usd=usd)


def test_without_limits_everything_is_paid():
    budget = Budget(BudgetSpec())
    for _ in range(100):
        call(budget, estimate=10**9, used=10**9, usd=10.0)
    assert budget.spent.calls == 100
    assert budget.remaining() == BudgetSpec()


def test_calls_stop_at_the_limit():
    budget = Budget(BudgetSpec(calls=3))
    for left in (2, 1, 0):
        call(budget)
        assert budget.remaining().calls == left
    with pytest.raises(BudgetExceeded, match=r"budget of 3 calls is used up; raise budget.calls and resume"):
        budget.reserve(tokens=1, usd=None)
    assert budget.spent.calls == 3


def test_calls_in_flight_count_at_once():
    budget = Budget(BudgetSpec(calls=2))
    assert budget.reserve(tokens=1, usd=None) and budget.reserve(tokens=1, usd=None)
    with pytest.raises(BudgetExceeded):
        budget.reserve(tokens=1, usd=None)


def test_a_withdrawn_reservation_costs_nothing():
    budget = Budget(BudgetSpec(calls=1, tokens=100))
    held = budget.reserve(tokens=100, usd=None)
    assert held is not None
    budget.withdraw(held)
    assert budget.spent.calls == 0 and budget.remaining().tokens == 100
    call(budget)


@pytest.mark.parametrize("limit", [BudgetSpec(tokens=100), BudgetSpec(usd=1.0)])
def test_what_calls_in_flight_may_cost_is_held_back(limit):
    budget = Budget(limit)
    first = budget.reserve(tokens=60, usd=0.6)
    assert first is not None
    assert budget.reserve(tokens=60, usd=0.6) is None, "it fits once the first turns out cheap"
    budget.settle(first, tokens=10, usd=0.1)
    assert budget.reserve(tokens=60, usd=0.6) is not None


def test_tokens_that_can_never_fit_end_the_run():
    budget = Budget(BudgetSpec(tokens=100))
    call(budget, estimate=50, used=95)
    with pytest.raises(BudgetExceeded, match="budget of 100 tokens reached at 95, and the next call may need 50"):
        budget.reserve(tokens=50, usd=None)


def test_dollars_that_can_never_fit_end_the_run():
    budget = Budget(BudgetSpec(usd=2.0))
    call(budget, usd=1.98)
    with pytest.raises(BudgetExceeded, match=r"budget of 2 usd reached at 1\.9800.*0\.0500"):
        budget.reserve(tokens=1, usd=0.05)


def test_minutes_run_on_the_clock_that_never_goes_back():
    clock = Clock()
    budget = Budget(BudgetSpec(minutes=2), clock)
    call(budget)
    clock.now += 119
    call(budget)
    assert budget.remaining().minutes == pytest.approx(1 / 60)
    clock.now += 1
    with pytest.raises(BudgetExceeded, match="budget of 2 minutes is used up"):
        budget.reserve(tokens=1, usd=None)


def test_a_resumed_run_goes_on_from_what_was_spent():
    clock = Clock()
    before = Spent(calls=7, tokens=70, usd=0.7, seconds=30)
    budget = Budget(BudgetSpec(calls=8, minutes=1), clock, spent=before)
    clock.now += 5
    assert budget.spent == Spent(calls=7, tokens=70, usd=0.7, seconds=35)
    call(budget)
    with pytest.raises(BudgetExceeded):
        budget.reserve(tokens=1, usd=None)


@pytest.mark.parametrize(
    ("spec", "price", "refused"),
    [
        (BudgetSpec(usd=1.0), None, True),
        (BudgetSpec(usd=1.0), Price(input=0.0, output=0.0), False),
        (BudgetSpec(calls=1), None, False),
    ],
)
def test_dollars_need_a_price(spec, price, refused):
    budget = Budget(spec)
    if refused:
        with pytest.raises(ConfigError, match="budget.usd needs a price, and none is known for some/model"):
            budget.require_price("some/model", price)
    else:
        budget.require_price("some/model", price)


def test_messages_are_one_line():
    for spec in (BudgetSpec(calls=0), BudgetSpec(tokens=0), BudgetSpec(usd=0.0), BudgetSpec(minutes=0)):
        with pytest.raises(BudgetExceeded) as caught:
            Budget(spec).reserve(tokens=5, usd=0.5)
        assert "\n" not in str(caught.value) and caught.value.exit_code == 5


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 80)), max_size=60), st.integers(0, 500))
def test_spending_passes_the_limit_by_no_more_than_one_bad_estimate(calls, limit):
    budget = Budget(BudgetSpec(tokens=limit))
    worst = 0
    for estimate, used in calls:
        try:
            held = budget.reserve(tokens=estimate, usd=None)
        except BudgetExceeded:
            break
        assert held is not None
        budget.settle(held, tokens=used, usd=None)
        worst = max(worst, used - estimate)
    assert budget.spent.tokens <= limit + max(worst, 0)


def test_rounding_holds_nothing_back_once_nothing_is_in_flight():
    budget = Budget(BudgetSpec(usd=100.0))
    for held in [budget.reserve(tokens=1, usd=usd) for usd in (0.1, 0.2, 0.3)]:
        assert held is not None
        budget.settle(held, tokens=1, usd=0.0)
    assert budget.remaining().usd == 100.0
    assert budget.reserve(tokens=1, usd=100.0) is not None


def spend(budget: Budget, calls: int, **used: float) -> None:
    for _ in range(calls):
        call(budget, estimate=int(used.get("tokens", 0)), used=int(used.get("tokens", 0)), usd=used.get("usd"))


def test_calls_for_the_test_are_held_back_until_they_are_released():
    budget = Budget(BudgetSpec(calls=10), hold=4)
    spend(budget, 6)
    with pytest.raises(BudgetExceeded, match="budget of 10 calls is used up but for 4 for the test; raise"):
        budget.reserve(tokens=1, usd=None)
    budget.release()
    spend(budget, 4)
    with pytest.raises(BudgetExceeded, match="budget of 10 calls is used up; raise"):
        budget.reserve(tokens=1, usd=None)


@pytest.mark.parametrize(
    ("spec", "used", "told"),
    [
        (BudgetSpec(tokens=1000), {"tokens": 50}, "reached at 800, about 200 are held back for the test, and the next"),
        (BudgetSpec(usd=1.0), {"usd": 0.0625}, r"reached at 0.7500, about 0.2500 are held back for the test, and"),
    ],
)
def test_what_the_test_will_cost_is_held_back_at_the_mean_so_far(spec, used, told):
    budget = Budget(spec, hold=4)
    with pytest.raises(BudgetExceeded, match=told):
        spend(budget, 100, **used)
    budget.release()
    spend(budget, 4, **used)
    with pytest.raises(BudgetExceeded):
        spend(budget, 1, **used)


def test_minutes_of_the_test_are_held_back_at_the_pace_so_far():
    clock = Clock()
    budget = Budget(BudgetSpec(minutes=10), clock, hold=20)
    clock.now += 100  # Before the first call: no part of the pace.
    for _ in range(10):
        held = [budget.reserve(tokens=1, usd=None) for _ in range(4)]
        clock.now += 10
        for one in held:
            assert one is not None
            budget.settle(one, tokens=1, usd=None)
    # 40 calls in 100 s, four at a time: 20 more take 50 s.
    clock.now += 349
    assert budget.remaining().minutes == pytest.approx(51 / 60)
    with pytest.raises(BudgetExceeded, match="10 minutes is used up but for about 3.7 for the test"):
        budget.reserve(tokens=1, usd=None)
    budget.release()
    assert budget.reserve(tokens=1, usd=None) is not None


def test_a_few_calls_say_nothing_of_what_the_test_will_take():
    clock = Clock()
    budget = Budget(BudgetSpec(tokens=10_000, minutes=1), clock, hold=100)
    for _ in range(LEAST_CALLS):
        call(budget, estimate=200, used=200)
        clock.now += 1
    with pytest.raises(BudgetExceeded, match="held back|but for"):
        call(budget, estimate=200, used=200)


def test_a_resumed_run_knows_what_calls_have_cost():
    budget = Budget(BudgetSpec(tokens=1000), spent=Spent(calls=10, tokens=500), hold=8)
    call(budget, estimate=50, used=50)
    with pytest.raises(BudgetExceeded, match="reached at 550, about 400 are held back"):
        call(budget, estimate=51, used=51)


@given(st.lists(st.integers(1, 40), max_size=80), st.integers(0, 800), st.integers(0, 12))
def test_whatever_the_calls_before_take_the_calls_held_back_can_be_sent(tokens, limit, hold):
    budget = Budget(BudgetSpec(calls=40 + hold, tokens=limit), hold=hold)
    sent: list[int] = []
    for used in tokens:
        try:
            held = budget.reserve(tokens=used, usd=None)
        except BudgetExceeded:
            break
        assert held is not None
        budget.settle(held, tokens=used, usd=None)
        sent.append(used)
    assert len(sent) <= 40
    budget.release()
    if len(sent) > LEAST_CALLS:
        mean = sum(sent[:-1]) / (len(sent) - 1)
        assert sum(sent) + hold * mean <= limit
        for _ in range(hold):
            call(budget, estimate=int(mean), used=int(mean))


def test_where_attempts_fail_more_of_them_are_held_back():
    budget = Budget(BudgetSpec(calls=100, tokens=10_000), hold=20)
    sent = 0
    with pytest.raises(BudgetExceeded, match="but for 40 for the test"):
        while True:
            held = budget.reserve(tokens=10, usd=None)
            assert held is not None
            sent += 1
            budget.settle(held, tokens=5, usd=None, failed=sent % 2 == 0)
    assert sent == 60, "every second attempt fails, so 20 answers take 40"
    resumed = Budget(BudgetSpec(calls=100), spent=Spent(calls=60, failed=30), hold=20)
    with pytest.raises(BudgetExceeded, match="but for 40 for the test"):
        resumed.reserve(tokens=1, usd=None)


def waits(budget: Budget, clock: Clock, *seconds: float) -> list[float]:
    """Wait so long, one after the other; how long each wait took, up to the one that ended the run."""
    took: list[float] = []

    async def sleep(pause: float) -> None:
        clock.now += pause

    async def main() -> None:
        for pause in seconds:
            began = clock.now
            try:
                await budget.wait(pause, sleep)
            finally:
                took.append(clock.now - began)

    asyncio.run(main())
    return took


def test_a_wait_within_the_minutes_is_as_long_as_asked():
    clock = Clock()
    assert waits(Budget(BudgetSpec(), clock), clock, 5000.0) == [5000.0]
    assert waits(Budget(BudgetSpec(minutes=2), clock), clock, 50.0, 69.0) == [50.0, 69.0]


@pytest.mark.parametrize("before", [0.0, 40.0])
def test_a_wait_ends_when_the_minutes_are_over_and_so_does_the_run(before):
    clock = Clock()
    budget = Budget(BudgetSpec(minutes=1), clock, spent=Spent(seconds=before))
    began = clock.now
    with pytest.raises(BudgetExceeded, match=r"budget of 1 minutes is used up; raise budget\.minutes and resume"):
        waits(budget, clock, 3600.0)
    assert clock.now - began == pytest.approx(60.0 - before, abs=0.01)
    with pytest.raises(BudgetExceeded):
        waits(budget, clock, 0.5)
    assert clock.now - began == pytest.approx(60.0 - before, abs=0.01), "no wait once they are over"


def held_for_the_test() -> tuple[Clock, Budget]:
    """Ten minutes, 20 calls of them held back, after 40 calls in 40 seconds."""
    clock = Clock()
    budget = Budget(BudgetSpec(minutes=10), clock, hold=20)
    for _ in range(40):
        call(budget)
        clock.now += 1.0
    return clock, budget


def test_what_is_kept_for_the_test_is_kept_from_a_wait():
    clock, budget = held_for_the_test()
    began = clock.now
    with pytest.raises(BudgetExceeded, match="minutes is used up but for about .* for the test"):
        waits(budget, clock, 3600.0)
    assert clock.now - began == pytest.approx(360.0, abs=0.1), "40 calls in 400 s: 20 take 200 s"
    budget.release()
    with pytest.raises(BudgetExceeded, match="is used up; raise"):
        waits(budget, clock, 3600.0)
    assert clock.now - began == pytest.approx(560.0, abs=0.1)


def test_what_is_released_during_a_wait_lengthens_it():
    clock, budget = held_for_the_test()

    async def sleep(pause: float) -> None:
        clock.now += pause
        budget.release()

    began = clock.now
    asyncio.run(budget.wait(400.0, sleep))
    assert clock.now - began == pytest.approx(400.0)
