"""Score against size: what is on the front, and which of it is wanted."""

from __future__ import annotations

import random

import pytest

from optimizer.config import Prefer, Price
from optimizer.errors import ErrorKind
from optimizer.front import MARGIN, Point, as_good, front, point, preferred
from optimizer.prompt import build
from optimizer.results import CallError, Completion, Evaluation, Result, Score, Usage

SHORTER, CHEAPER = Prefer.SHORTER, Prefer.CHEAPER


def results(passes: str, usage: Usage | None = None) -> Evaluation:
    """A row a sign: `1` passed, `0` failed, `x` an error."""
    found = {}
    for number, sign in enumerate(passes):
        scores = () if sign == "x" else (Score(metric="m", value=float(sign), passed=sign == "1"),)
        error = CallError(kind=ErrorKind.TIMEOUT, message="late") if sign == "x" else None
        completion = Completion(text="a", usage=usage or Usage()) if error is None else None
        found[f"r{number}"] = Result(
            example=f"r{number}", candidate="c", scores=scores, error=error, completion=completion
        )
    return Evaluation(candidate="c", results=found)


def made(tokens: int, passes: str, usd: float | None = None) -> Point:
    prompt = build("p", [("system", f"{tokens}")])
    return Point(prompt=prompt, val=results(passes), tokens=tokens, usd=usd)


def test_nothing_on_the_front_is_beaten_in_both_and_everything_off_it_is() -> None:
    rng = random.Random(5)
    for _ in range(200):
        points = [made(rng.randrange(1, 9), "".join(rng.choices("01", k=8))) for _ in range(rng.randrange(1, 12))]
        found = front(points)
        assert found
        for one, other in zip(found, found[1:], strict=False):
            assert one.tokens < other.tokens and one.score < other.score
        for one in points:
            assert any(other.tokens <= one.tokens and other.score >= one.score for other in found)


def test_the_first_of_equals_stays() -> None:
    one, other = made(5, "1100"), made(5, "0011")
    assert front([one, other]) == (one,)


@pytest.mark.parametrize(
    ("shorter", "best", "good"),
    [
        ("1" * 40, "1" * 40, True),
        ("1" * 39 + "0", "1" * 40, True),  # One row in 40: 2.5 points, and one against none proves nothing.
        ("1" * 38 + "00", "1" * 40, False),  # Two against none: posterior 0.875, and over the margin.
        ("1" * 19 + "0", "1" * 20, False),  # One row in 20 is over the margin.
        ("0" * 6 + "1" * 394, "1" * 5 + "0" * 1 + "1" * 394, False),  # Five against none.
        ("0" * 10 + "1" * 390, "1" * 10 + "0" * 7 + "1" * 383, True),  # Ten against seven of 400.
        ("1" * 39 + "x", "1" * 40, True),
        ("1" * 38 + "xx", "1" * 40, False),  # Lost to an error counts as lost.
    ],
)
def test_as_good_is_a_margin_and_a_posterior(shorter: str, best: str, good: bool) -> None:
    assert as_good(made(1, shorter), made(2, best)) is good


def test_a_graded_loss_over_the_margin_is_no_small_one() -> None:
    def graded(value: float) -> Point:
        scores = (Score(metric="m", value=value, passed=True),)
        rows = {f"r{n}": Result(example=f"r{n}", candidate="c", scores=scores) for n in range(3)}
        return Point(prompt=made(1, "1").prompt, val=Evaluation(candidate="c", results=rows), tokens=1, usd=None)

    best = graded(0.9)
    one_row = {**best.val.results, "r0": graded(0.9 - 2.9 * MARGIN).val.results["r0"]}
    near = Point(prompt=best.prompt, val=Evaluation(candidate="c", results=one_row), tokens=1, usd=None)
    assert as_good(near, best)
    one_row["r0"] = graded(0.9 - 3.1 * MARGIN).val.results["r0"]
    assert not as_good(near, best)


def test_the_smallest_as_good_one_is_wanted() -> None:
    seed, short, best = made(10, "0" * 40), made(30, "1" * 39 + "0"), made(50, "1" * 40)
    assert preferred(front([best, seed, short]), SHORTER) is short
    assert preferred(front([best, seed]), SHORTER) is best
    with pytest.raises(ValueError):
        preferred((), SHORTER)


def test_dollars_are_those_of_the_tokens_that_were_counted() -> None:
    prompt = build("p", [("system", "Say one word."), ("user", "{{ q }}")])
    price = Price(input=1.0, output=4.0)
    found = point(prompt, results("1x1", Usage(input_tokens=100, output_tokens=50)), price)
    assert found.usd == pytest.approx(0.0003)
    assert 0 < found.tokens < 30
    assert point(prompt, results("11"), price).usd is None
    assert point(prompt, results("11"), None).usd is None
    assert point(prompt, results("11"), Price(input=0, output=0)).usd == 0.0


def test_cheaper_goes_by_dollars_and_shorter_by_tokens() -> None:
    # The longer prompt asks for short answers, and is the cheaper one.
    long, short = made(50, "1" * 40, usd=0.001), made(20, "1" * 40, usd=0.002)
    assert front([long, short], SHORTER) == (short,)
    assert front([long, short], CHEAPER) == (long,)
    unknown = made(5, "1" * 40)
    assert preferred([unknown, long], CHEAPER) is long
    assert preferred([made(9, "1", usd=0.0), made(7, "1", usd=0.0)], CHEAPER).tokens == 7
