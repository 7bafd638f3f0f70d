"""Statistics against published figures, exact enumeration and their own definitions."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import ErrorKind
from optimizer.intervals import paired_interval
from optimizer.outcome import Comparison, Verdict
from optimizer.results import CallError, Evaluation, Result, Score
from optimizer.stats import (
    compare,
    gain_is_shown,
    loss_is_shown,
    mid_p,
    minimum_detectable_gain,
    posterior_better,
    signs,
)
from optimizer.verdict import verdict


@pytest.mark.parametrize(
    ("up", "down", "two_sided"),
    [
        (7, 1, 0.039),  # Fagerland, Lydersen, Laake 2013, airway hyper-responsiveness: mid-p 0.039
        (59, 6, 0.0),  # far out in the tail
        (5, 5, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mid_p_matches_published_values(up, down, two_sided):
    assert 2 * mid_p(up, down) == pytest.approx(two_sided, abs=6e-4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p_of_both_sides_sums_to_one(up, down):
    assert mid_p(up, down) + mid_p(down, up) == pytest.approx(1.0)


@given(st.integers(0, 30), st.integers(0, 30))
def test_posterior_is_the_beta_integral(up, down):
    steps = 4000
    density = [
        (x / steps) ** up * (1 - x / steps) ** down * (0.5 if x in (0, steps) else 1.0) for x in range(steps + 1)
    ]
    half = sum(density[steps // 2 :]) - density[steps // 2] / 2
    assert posterior_better(up, down) == pytest.approx(half / sum(density), abs=2e-3)


def test_many_rows_overflow_no_float():
    assert mid_p(900, 900) == 0.5 == posterior_better(900, 900)
    assert mid_p(1200, 20) < 1e-200
    assert 1 - mid_p(20, 1200) < 1e-12
    late = replace(SHOWN, p=mid_p(13, 1), look=2000)
    assert not gain_is_shown(late) and not loss_is_shown(late)


def test_signs_pass_over_rounding():
    found = signs([1e-12, -1e-12, 0.5, -0.25])
    assert (found.up, found.down, found.discordant) == (1, 1, 2)


def test_detectable_gain_shrinks_with_rows_and_never_falls_below_six_rows():
    gains = [minimum_detectable_gain(n) for n in (10, 40, 120, 400, 4000)]
    assert gains == sorted(gains, reverse=True)
    assert minimum_detectable_gain(20) >= 6 / 20
    assert minimum_detectable_gain(0) == 1.0


SHOWN = Comparison(n=40, baseline=0.3, winner=0.6, gain=0.3, ci=(0.12, 0.45), p=mid_p(13, 1), discordant=14, look=1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.GAIN_SHOWN),
        ({"ci": (-0.01, 0.4)}, Verdict.TOO_SMALL),
        ({"p": 0.03}, Verdict.TOO_SMALL),
        ({"discordant": 5}, Verdict.TOO_SMALL),
        ({"p": 0.02, "look": 2}, Verdict.TOO_SMALL),
        ({"p": 0.01, "look": 2}, Verdict.GAIN_SHOWN),
        ({"n": 1000, "ci": (-0.01, 0.02), "discordant": 60, "p": 0.4}, Verdict.NOT_SHOWN),
        ({"ci": (-0.4, -0.1), "p": mid_p(1, 13), "gain": -0.3}, Verdict.WORSE),
    ],
)
def test_verdicts(change, expected):
    assert verdict(replace(SHOWN, **change), rows=40)[0] is expected


def test_without_a_test_there_is_no_claim():
    assert verdict(None, rows=40)[0] is Verdict.TOO_SMALL
    assert verdict(None, rows=4000)[0] is Verdict.NOT_SHOWN


@pytest.mark.parametrize(("n", "discordant"), [(160, 80), (70, 5), (40, 14)])
def test_the_number_of_rows_to_add_up_to_is_one_that_would_do(n, discordant):
    tested = replace(SHOWN, n=n, discordant=discordant, ci=(-0.1, 0.15), p=0.4)
    claim, reason = verdict(tested, rows=n)
    wanted = int(reason.rpartition("about ")[2].split()[0])
    assert claim is Verdict.TOO_SMALL and wanted > n
    share = discordant / n
    assert verdict(replace(tested, n=wanted, discordant=round(share * wanted)), rows=wanted)[0] is Verdict.NOT_SHOWN


def evaluation(name: str, outcomes: str) -> Evaluation:
    """One row a character: `+` right, `-` wrong, `e` an error."""
    results = {}
    for number, outcome in enumerate(outcomes):
        score = Score(metric="m", value=float(outcome == "+"), passed=outcome == "+")
        error = CallError(kind=ErrorKind.CUT_OFF, message="cut off") if outcome == "e" else None
        key = f"r{number:03}"
        results[key] = Result(example=key, candidate=name, scores=() if error else (score,), error=error)
    return Evaluation(candidate=name, results=results)


def test_rows_that_the_winner_alone_lost_to_errors_speak_against_a_claim():
    before = evaluation("a", "-" * 8 + "+" * 32)
    kept = compare(before, evaluation("b", "+" * 40), look=1)
    assert verdict(kept, rows=40)[0] is Verdict.GAIN_SHOWN and kept.lost == 0 and kept.p_lost is None
    lost = compare(before, evaluation("b", "+" * 34 + "e" * 6), look=1)
    assert (lost.n, lost.p, lost.lost) == (34, kept.p, 6)
    claim, reason = verdict(lost, rows=40)
    assert claim is Verdict.TOO_SMALL and "6 more rows ended in an error with the winner alone" in reason
    # Errors on both sides, and on rows that had nothing to lose, say nothing.
    both = compare(evaluation("a", "-" * 10 + "+" * 24 + "e" * 6), evaluation("b", "e" + "+" * 33 + "e" * 6), look=1)
    assert both.lost == 0 and verdict(both, rows=40)[0] is Verdict.GAIN_SHOWN


def test_breaking_where_it_would_fail_makes_no_prompt_better():
    rng = random.Random(5)
    claims = 0
    for _ in range(200):
        before = "".join("+" if rng.random() < 0.6 else "-" for _ in range(100))
        drawn = [known if rng.random() < 0.6 else "+" if rng.random() < 0.6 else "-" for known in before]
        after = "".join("e" if row == "-" and rng.random() < 0.5 else row for row in drawn)
        claims += gain_is_shown(compare(evaluation("a", before), evaluation("b", after), look=1))
    assert claims <= 16


def test_equal_candidates_hardly_ever_show_a_gain():
    rng = random.Random(11)
    claims = 0
    for _ in range(1500):
        differences = [rng.choice([1.0, -1.0]) if rng.random() < 0.2 else 0.0 for _ in range(60)]
        found = signs(differences)
        made = Comparison(
            n=60,
            baseline=0.5,
            winner=0.5,
            gain=sum(differences) / 60,
            ci=paired_interval([[difference] for difference in differences]),
            p=mid_p(found.up, found.down),
            discordant=found.discordant,
            look=1,
        )
        claims += gain_is_shown(made)
        assert not (gain_is_shown(made) and loss_is_shown(made))
    assert claims / 1500 <= 0.035
