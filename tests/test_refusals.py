"""Refusals by chance cost about what their repeats cost; an account that is out is left alone, and given up."""

from __future__ import annotations

import pytest

from optimizer.health import MOST_BORNE, RESTS
from optimizer.models.base import Request
from tests.refusals import Account, at_once, between, by_chance, through_the_gate, with_retries_alone
from tests.virtual_time import now

CALLS = 200


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
@pytest.mark.parametrize(
    ("answer", "refusal", "times"), [(0.02, 0.02, 1.3), (1.0, 1.0, 1.4), (1.0, 0.05, 1.7), (10.0, 0.1, 2.2)]
)
def test_refusals_by_chance_take_about_what_their_repeats_take(answer, refusal, times, share, seed):
    def account() -> Account:
        return Account(refuses=by_chance(share), answer=answer, refusal=refusal, seed=seed)

    least = with_retries_alone(account(), calls=CALLS)
    ended = through_the_gate(account(), calls=CALLS)
    assert ended.failed == least.failed, "no call fails that has attempts left"
    # Until it has met some, it takes the first refusals for a limit.
    assert ended.seconds < times * least.seconds + 3.0
    assert max((event.seconds for event in ended.held), default=0.0) <= 2.0, "it never rests for long"


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_refusals_by_chance_that_ask_for_a_second_never_wait_for_much_more(share, seed):
    def account() -> Account:
        return Account(refuses=by_chance(share), answer=1.0, refusal=0.05, told=1.0, seed=seed)

    ended = through_the_gate(one := account(), calls=CALLS)
    assert ended.failed == with_retries_alone(account(), calls=CALLS).failed
    assert max(event.seconds for event in ended.held) <= 2.0
    assert ended.seconds < CALLS / 16 * 2.0 + len(one.refused) * (1.0 + 0.5), "each holds back all for its second"


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("seconds", [5.0, 60.0, 200.0])
def test_an_account_that_is_out_is_left_alone_whatever_it_did_before(seconds, share):
    begin, end = 7.0, 7.0 + seconds
    account = Account(refuses=between(begin, end, by_chance(share)), answer=1.0, refusal=0.05)
    ended = through_the_gate(account, calls=CALLS)
    assert not ended.failed
    assert ended.seconds < seconds + 31.0 + 60.0, "it is back within a rest of the account's return"
    out = [at for at in account.refused if begin <= at < end]
    assert len(out) <= 16 + 8 + 4 + 2 + MOST_BORNE + len(RESTS), "half as many after each, then one a rest"
    assert sum(at >= begin + 10.0 for at in out) <= 2 + seconds / 30.0


def test_an_account_that_refused_by_chance_and_is_out_for_good_is_given_up():
    account = Account(refuses=between(20.0, 1e9, by_chance(0.3)), answer=1.0, refusal=0.05)
    ended = through_the_gate(account, calls=2000)
    assert set(ended.kinds) == {"ProviderError"}
    assert sum(RESTS) < ended.seconds - 20.0 < sum(RESTS) + 30.0


def test_an_account_that_refuses_some_and_leaves_others_hanging_is_out():
    def every_other(account: Account, request: Request) -> bool:
        out = now() >= 10.0
        refused = out and sum(account.seen.values()) % 2 == 0
        account.answer = 1e6 if out and not refused else 1.0
        return refused

    account = Account(refuses=every_other, answer=1.0, refusal=0.05)
    ended = through_the_gate(account, calls=1000)
    assert "ProviderError" in ended.kinds
    assert sum(account.seen.values()) < 200 + 200, "some before it was out, and few after"


@pytest.mark.parametrize("most", [4, 8])
@pytest.mark.parametrize("answer", [1.0, 10.0])
def test_a_limit_of_calls_at_once_is_found_and_kept(most, answer):
    account = Account(refuses=at_once(most), answer=answer, refusal=0.05)
    ended = through_the_gate(account, calls=CALLS)
    assert len(ended.failed) <= 0.01 * CALLS
    assert ended.seconds < 1.8 * CALLS / most * answer
    assert len(account.refused) < CALLS


@pytest.mark.parametrize("concurrency", [4, 16])
def test_a_fast_refusal_says_little_where_answers_are_slow(concurrency):
    """Those that are out longer than a refusal takes were not refused: the account is not out, and bears as many."""
    account = Account(refuses=by_chance(0.1), answer=20.0, refusal=0.05)
    ended = through_the_gate(account, calls=10 * concurrency, concurrency=concurrency)
    assert not ended.failed
    assert ended.seconds < 2.0 * 10 * 20.0
