"""When an account rests, and when it is given up."""

from __future__ import annotations

import pytest

from optimizer.errors import FATAL, RETRYABLE, ErrorKind, ModelError, ProviderError
from optimizer.health import FIRST_RESTS, LEAST_FAILURES, LEAST_REST, RESTS, Health


def fault(kind: ErrorKind = ErrorKind.INTERNAL_SERVER) -> ModelError:
    return ModelError(kind, f"api.example.com: {kind}")


def healthy(concurrency: int = 16) -> Health:
    health = Health(concurrency=concurrency)
    health.answered(age=0)
    return health


def fail(health: Health, times: int, kind: ErrorKind = ErrorKind.INTERNAL_SERVER) -> list[float | None]:
    return [health.failed(fault(kind), age=0) for _ in range(times)]


@pytest.mark.parametrize("concurrency", [1, 16, 64])
def test_one_that_never_answered_gets_exactly_its_share(concurrency):
    health, most = Health(concurrency=concurrency), max(LEAST_FAILURES, concurrency)
    for left in range(most, 1, -1):
        assert health.room == left, "no more calls are out than failures are left"
        assert health.failed(fault(), age=0) is None
    with pytest.raises(ProviderError, match=rf"\({most} failures in a row\); the run is paused: resume once"):
        health.failed(fault(), age=0)
    with pytest.raises(ProviderError):
        health.check()


@pytest.mark.parametrize("kind", sorted(FATAL))
@pytest.mark.parametrize("age", [0, 1])
def test_one_fatal_fault_is_enough(kind, age):
    health = healthy()
    with pytest.raises(ProviderError) as caught:
        health.failed(fault(kind), age=age)
    assert "api.example.com" in str(caught.value) and "resume" in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 6
    with pytest.raises(ProviderError):
        health.failed(fault(ErrorKind.TIMEOUT), age=0)


@pytest.mark.parametrize("kind", sorted(RETRYABLE - {ErrorKind.RATE_LIMIT, ErrorKind.EMPTY}))
def test_one_that_has_answered_rests_and_is_tried_by_one_call(kind):
    health = healthy(concurrency=1)
    *before, rest = fail(health, LEAST_FAILURES, kind)
    assert set(before) == {None} and rest == LEAST_REST
    assert health.trying and health.room == 1
    health.answered(age=0)
    assert not health.trying and health.room == LEAST_FAILURES


def test_rests_grow_to_a_stated_total_and_then_the_run_ends():
    health = healthy()
    fail(health, 15)
    rests = [health.failed(fault(), age=0) for _ in RESTS]
    assert rests == [LEAST_REST, *RESTS[1:]] and health.patience == 0
    with pytest.raises(ProviderError, match=rf"\(failed again after each of {len(RESTS)} rests\); the run is paused"):
        health.failed(fault(), age=0)


def test_what_left_before_the_rest_says_nothing_of_after_it():
    health = healthy()
    fail(health, 16)
    assert health.failed(fault(), age=1) is None
    health.answered(age=1)
    assert health.trying, "a late answer from before the outage does not end it"


def test_a_refusal_for_the_rate_rests_from_the_second_on():
    health = healthy()
    assert fail(health, 3, ErrorKind.RATE_LIMIT) == list(RESTS[:3])
    assert health.trying and health.patience == sum(RESTS[3:])
    health.answered(age=0)
    assert fail(health, 1, ErrorKind.RATE_LIMIT) == [0.0] and not health.trying


def test_one_that_never_answered_is_refused_for_a_minute_and_not_for_five():
    health = Health(concurrency=16)
    assert fail(health, len(FIRST_RESTS), ErrorKind.RATE_LIMIT) == list(FIRST_RESTS)
    assert 60 < sum(FIRST_RESTS) < 70 < sum(RESTS)
    with pytest.raises(ProviderError, match="refused again after each of 6 rests"):
        health.failed(fault(ErrorKind.RATE_LIMIT), age=0)


def test_a_provider_that_is_down_and_then_refuses_is_still_given_up():
    health = healthy()
    fail(health, 16)
    with pytest.raises(ProviderError):
        for number in range(len(RESTS)):
            fail(health, 1, ErrorKind.RATE_LIMIT if number % 2 else ErrorKind.CONNECTION)


def test_an_answer_starts_the_count_anew():
    health = healthy()
    for _ in range(5):
        assert fail(health, 15) == [None] * 15
        health.answered(age=0)


@pytest.mark.parametrize("kind", [ErrorKind.CUT_OFF, ErrorKind.CONTENT_FILTER])
def test_faults_of_a_row_never_break_the_run(kind):
    assert fail(Health(concurrency=1), 300, kind) == [None] * 300


@pytest.mark.parametrize("kind", [ErrorKind.EMPTY, ErrorKind.BAD_REQUEST, ErrorKind.UNPROCESSABLE_ENTITY])
def test_a_prompt_that_gets_nothing_back_is_its_own_fault_once_others_were_answered(kind):
    assert fail(healthy(), 300, kind) == [None] * 300
    with pytest.raises(ProviderError, match="check the model"):
        fail(Health(concurrency=16), 16, kind)


def test_one_of_several_that_is_answered_ends_the_rest_of_the_others_refusal():
    health = healthy()
    assert fail(health, 2, ErrorKind.RATE_LIMIT) == list(RESTS[:2]) and health.trying
    assert health.answered(age=1) and not health.trying
    assert fail(health, 3, ErrorKind.RATE_LIMIT) == [0.0, 0.0, RESTS[1]], "but refused on and on, it rests again"
    assert not health.answered(age=4) and health.trying


def row_of(health: Health, refusals: int, *, held: int = 0) -> list[float | None]:
    return [health.failed(fault(ErrorKind.RATE_LIMIT), age=0, held=held) for _ in range(refusals)]


def refusing(share: float, concurrency: int = 16) -> Health:
    """An account that was seen to refuse so many calls, evenly."""
    health, due = healthy(concurrency), 0.0
    for _ in range(200):
        due += share
        if due >= 1.0:
            due -= 1.0
            row_of(health, 1)
        else:
            health.answered(age=0)
    health.answered(age=0)
    return health


@pytest.mark.parametrize(("share", "borne"), [(0.0, 1), (0.02, (2, 3)), (0.1, (3, 5)), (0.3, (6, 8))])
def test_how_long_a_row_of_refusals_is_put_down_to_chance(share, borne):
    least, most = borne if isinstance(borne, tuple) else (borne, borne)
    health = refusing(share)
    assert least <= health.borne <= most
    row = health.borne
    assert row_of(health, row) == [0.0] * row and not health.trying
    assert row_of(health, 2) == [RESTS[1], RESTS[2]] and health.trying, "beyond, it rests as any other"
    health.answered(age=0)
    assert not health.trying and health.patience == sum(RESTS)


def test_an_account_that_refuses_most_calls_is_given_no_credit():
    health = refusing(0.3)
    for _ in range(40):
        health.failed(fault(ErrorKind.RATE_LIMIT), age=1)
    assert health.borne == 1
    for _ in range(200):
        health.answered(age=0)
    assert health.borne == 1, "what it did long ago is forgotten"


@pytest.mark.parametrize("seen", [20, 500])
def test_a_limit_with_long_rows_of_refusals_stays_news(seen):
    health = healthy()
    for _ in range(10):
        row_of(health, 6)
        for _ in range(seen):
            health.answered(age=0)
    assert health.borne <= 3


def test_while_a_row_grows_half_as_many_may_be_out():
    health = refusing(0.3)
    room = []
    for _ in range(health.borne):
        row_of(health, 1)
        room.append(health.room)
    assert room[:6] == [16, 8, 4, 2, 1, 1]
    assert health.unrefused() and health.room == 2, "those that are out were not refused: one more"
    health.answered(age=0)
    assert health.room == 16 and not health.unrefused()


def test_one_that_tries_is_not_joined_by_others():
    health = healthy()
    row_of(health, 2)
    assert health.trying and not health.unrefused() and health.room == 1


def test_calls_that_were_not_refused_end_the_row_unless_most_are():
    health = healthy()
    assert row_of(health, 8, held=3) == [0.0] * 8 and not health.trying
    for _ in range(40):
        health.failed(fault(ErrorKind.RATE_LIMIT), age=1)
    assert row_of(health, 3, held=3) == list(RESTS[1:4]), "they may hang"


def test_an_answer_of_old_makes_the_row_no_longer_than_the_refusals_since():
    health = refusing(0.3)
    row_of(health, health.borne + 3)
    assert health.trying
    assert health.answered(age=4) and not health.trying and health.room == 2
    assert not health.answered(age=6), "one that left before the row says nothing of it"
