"""Limits a minute: by hand, and as a provider tells them."""

from __future__ import annotations

from bisect import bisect_left

import pytest

from optimizer.pace import LONGEST_HOLD, Heard, Left, Pace, Rate


def leaves(
    pace: Pace, seconds: float, *, tokens: float = 100, used: float | None = None, model: str = "m"
) -> list[float]:
    """When calls leave that all want to at once; each is answered when it leaves."""
    times, at = [], 0.0
    while at < seconds:
        if (hold := pace.hold(model, tokens, at)) is None or hold.seconds <= 1e-9:
            charged = pace.take(model, tokens, at)
            pace.settle(model, estimated=tokens, charged=charged, used=used)
            times.append(at)
        else:
            at += max(min(hold.seconds, 1.0), 1e-6)
    return times


def busiest(times: list[float], weight: float = 1.0) -> float:
    """Most that leaves in any minute, wherever it begins."""
    return weight * max(bisect_left(times, start + 60) - first for first, start in enumerate(times))


@pytest.mark.parametrize("most", [1, 7, 60, 500, 3_000])
def test_no_minute_holds_more_than_its_share_and_none_is_wasted(most):
    times = leaves(Pace({"m": Rate(requests=most)}), 150)
    assert busiest(times) <= most + max(1, most / 500), "what a late timer may catch up with"
    assert len(times) >= most * 150 / 60 - 1


def test_calls_are_spread_and_do_not_come_in_a_burst():
    times = leaves(Pace({"m": Rate(requests=60)}), 30)
    assert all(0.89 < after - before <= 1.01 for before, after in zip(times, times[1:], strict=False))


def test_a_late_call_catches_up_a_little_and_a_pause_does_not_save_up():
    pace = Pace({"m": Rate(requests=600)})
    for at in (0.0, 50.0):
        pace.take("m", 1, at)
        hold = pace.hold("m", 1, at)
        assert hold is not None and hold.seconds <= 0.1


def test_tokens_are_charged_by_estimate_and_settled_by_what_was_used():
    pace = Pace({"m": Rate(tokens=6000)})
    charged = pace.take("m", 300, 0.0)
    assert (charged, pace.hold("m", 300, 0.0).seconds) == (300, pytest.approx(2.9))  # type: ignore[union-attr]
    pace.settle("m", estimated=300, charged=charged, used=50)
    assert pace.hold("m", 300, 0.0).seconds == pytest.approx(0.4)  # type: ignore[union-attr]
    assert pace.take("m", 300, 10.0) == pytest.approx(300 * (1 + 0.2 * (50 / 300 - 1))), "it learns"


def test_a_minute_s_tokens_are_used_up_and_not_passed():
    pace = Pace({"m": Rate(tokens=6000)})
    times = leaves(pace, 300, tokens=400, used=40.0)
    assert busiest(times, 40) <= 6000 + 400
    assert len(times) >= 0.95 * 300 * 6000 / 60 / 40


def test_a_refused_call_costs_no_tokens():
    pace = Pace({"m": Rate(tokens=60)})
    pace.settle("m", estimated=600, charged=pace.take("m", 600, 0.0), used=0.0)
    assert pace.hold("m", 600, 0.0).seconds <= 0  # type: ignore[union-attr]
    pace.settle("m", estimated=600, charged=pace.take("m", 600, 0.0), used=None)
    assert pace.hold("m", 600, 0.0).seconds > 500  # type: ignore[union-attr]


def test_the_words():
    pace = Pace({"m": Rate(requests=500, tokens=200_000)})
    pace.take("m", 10_000, 0.0)
    hold = pace.hold("m", 10_000, 0.0)
    assert hold is not None and hold.why == "held by 200,000 tokens a minute"
    pace = Pace({"m": Rate(requests=500, tokens=200_000)})
    pace.take("m", 1, 0.0)
    hold = pace.hold("m", 1, 0.0)
    assert hold is not None and hold.why == "held by 500 requests a minute"


def test_models_of_one_account_share_the_limit_of_the_one_that_has_one():
    pace = Pace({"task": Rate(requests=60)})
    pace.take("task", 1, 0.0)
    assert pace.hold("mutator", 1, 0.0) is not None and pace.hold("mutator", 1, 0.0).seconds > 0.5  # type: ignore[union-attr]


def test_models_that_both_have_one_have_their_own():
    pace = Pace({"task": Rate(requests=60), "mutator": Rate(requests=6), "free": Rate()})
    pace.take("task", 1, 0.0)
    assert pace.hold("mutator", 1, 0.0).seconds < 0 < pace.hold("task", 1, 0.0).seconds  # type: ignore[union-attr]
    assert pace.hold("free", 1, 0.0) is None


def told(left: float, limit: float | None = None, reset: float | None = None, tokens: bool = False) -> Heard:
    said = Left(left=left, limit=limit, reset=reset)
    return Heard(tokens=said) if tokens else Heard(requests=said)


def heard(*said: Heard, at: float = 0.0) -> Pace:
    pace = Pace()
    for one in said:
        pace.hear("m", one, at)
    return pace


@pytest.mark.parametrize(
    ("said", "tokens", "seconds"),
    [
        (told(499, 500, 0.12), 1, None),
        (told(0, 500, 12.0), 1, 12.0),  # All of it comes back at once.
        (told(0, 500, 60.0), 1, 0.12),  # One comes back every 0.12 s.
        (told(0, 10_000, 86_400.0), 1, 8.64),
        (told(0, None, 7.0), 1, 7.0),
        (told(0, 60, None), 1, 1.0),
        (told(0, None, None), 1, 60.0),
        (told(50, 100, 20.0, tokens=True), 80, 20.0),
        (told(50, 100, 30.0, tokens=True), 80, 18.0),
        (told(100, 100, 30.0, tokens=True), 80, None),
        (told(0, 500, LONGEST_HOLD + 1), 1, None),  # Its refusal will say how long.
    ],
)
def test_what_a_provider_says_is_left(said, tokens, seconds):
    hold = heard(said).hold("m", tokens, 0.0)
    assert (None if hold is None else hold.seconds) == (None if seconds is None else pytest.approx(seconds))


def test_what_has_left_since_is_taken_off_and_a_reset_gives_it_back():
    pace = heard(told(2, 100, 12.0))
    for _ in range(2):
        assert pace.hold("m", 1, 0.0) is None
        pace.take("m", 1, 0.0)
    hold = pace.hold("m", 1, 2.0)
    assert hold is not None and (hold.seconds, hold.why) == (10.0, "0 of 100 requests left")
    assert pace.hold("m", 1, 12.0) is None
    assert pace.hold("other", 1, 2.0) is None, "a header speaks of its model"


def test_calls_that_are_out_count_as_not_yet_counted():
    pace = Pace()
    for _ in range(3):
        pace.take("m", 10, 0.0)
    pace.hear("m", told(3, 100, 12.0), 0.0)
    assert pace.hold("m", 1, 0.0) is not None
    pace.settle("m", estimated=10, charged=10, used=10)
    pace.hear("m", told(3, 100, 12.0), 0.0)
    assert pace.hold("m", 1, 0.0) is None


def test_a_call_larger_than_the_limit_leaves_after_the_reset():
    pace = heard(told(100, 100, 5.0, tokens=True))
    assert pace.hold("m", 1000, 1.0).seconds == 4.0  # type: ignore[union-attr]
    assert pace.hold("m", 1000, 5.0) is None
