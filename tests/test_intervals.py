"""Intervals against published figures, scipy, exact enumeration and simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from benchmarks.statistics import coverage, others
from optimizer.intervals import (
    bootstrap_t,
    effective_rows,
    paired_interval,
    pass_fail_interval,
    student95,
    wilson,
)


def alone(differences: list[float]) -> list[list[float]]:
    return [[difference] for difference in differences]


@pytest.mark.parametrize(
    ("method", "counts", "ends"),
    [
        # Fagerland, Lydersen and Laake (2014): airway hyper-responsiveness, and complete response to a therapy.
        (others.tango, (1, 7, 21), (-0.517, -0.026)),
        (others.tango, (6, 16, 161), (-0.1240, -0.0054)),
        (others.agresti_min, (6, 16, 161), (-0.1182, -0.0045)),
    ],
)
def test_what_we_compare_with_gives_its_published_figures(method, counts, ends):
    digits = 5e-4 if counts[2] == 21 else 5e-5
    assert method(*counts) == pytest.approx(ends, abs=digits * 1.01)


@pytest.mark.parametrize(("hits", "n"), [(0, 30), (1, 24), (17, 60), (60, 60)])
def test_the_score_interval_of_a_share_is_scipys(hits, n):
    theirs = scipy_stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 20, 200])
def test_students_point_is_scipys(freedom):
    assert student95(freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), rel=2e-3)


@pytest.mark.parametrize(("up", "down", "n"), [(6, 16, 161), (1, 7, 21), (40, 20, 160), (20, 20, 400)])
def test_pass_and_fail_lies_close_to_tangos_interval(up, down, n):
    assert pass_fail_interval(up, down, n) == pytest.approx(others.tango(up, down, n), abs=0.01)


def test_pass_and_fail_at_its_edges():
    assert pass_fail_interval(0, 0, 30) == pytest.approx((-0.0950, 0.0950), abs=1e-4)
    assert pass_fail_interval(0, 1, 1) == pytest.approx((-1.0, 0.3435), abs=1e-4)
    # Where no row goes a way, the mid-p limit: at it, half the chance that none does is 2.5%.
    assert scipy_stats.binom.pmf(0, 30, 0.0950) / 2 == pytest.approx(0.025, abs=1e-4)
    low, high = pass_fail_interval(12, 0, 40)
    assert 0 < low < 0.3 and high == pytest.approx(wilson(12, 40)[1])


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_pass_and_fail_turns_round_with_the_two_prompts_and_holds_the_estimate(up, down, same):
    n = max(up + down + same, 1)
    low, high = pass_fail_interval(up, down, n)
    assert pass_fail_interval(down, up, n) == pytest.approx((-high, -low))
    assert -1 <= low <= (up - down) / n <= high <= 1


@pytest.mark.parametrize("n", [24, 40, 60])
def test_pass_and_fail_covers_the_truth_where_others_fall_short(n):
    truths = [(0.0, 0.05), (0.05, 0.0), (0.09, 0.0), (0.1, 0.03), (0.2, 0.0), (0.2, 0.05), (0.2, 0.4), (0.0, 0.3)]
    ours = coverage.table(pass_fail_interval, n)
    for gain, broken in truths:
        assert 0.935 <= ours.coverage(gain, broken) <= (0.98 if n * (gain + 2 * broken) >= 10 else 1.0)
    theirs = coverage.table(others.agresti_min, n)
    assert min(theirs.coverage(gain, broken) for gain, broken in truths) < 0.92


def test_coverage_is_that_of_all_outcomes_by_scipy():
    n, gain, broken = 24, 0.1, 0.05
    held = 0.0
    for up in range(n + 1):
        for down in range(n + 1 - up):
            low, high = pass_fail_interval(up, down, n)
            if low <= gain <= high:
                held += scipy_stats.multinomial.pmf((up, down, n - up - down), n, (gain + broken, broken, 0.8))
    assert coverage.table(pass_fail_interval, n).coverage(gain, broken) == pytest.approx(held, abs=1e-9)


@pytest.mark.parametrize("size", [0.01, 0.5, 1.0])
@pytest.mark.parametrize(("up", "down", "same"), [(5, 0, 15), (20, 0, 0), (12, 2, 26), (3, 3, 4)])
def test_scores_in_steps_have_the_interval_of_pass_and_fail_in_steps(size, up, down, same):
    # Two metrics of one weight, one of them mended: every difference is half a point.
    low, high = paired_interval(alone([size] * up + [-size] * down + [0.0] * same))
    ends = pass_fail_interval(up, down, up + down + same)
    assert (low, high) == pytest.approx((size * ends[0], size * ends[1]))


def test_few_rows_of_unlike_sizes_have_an_interval_around_their_mean():
    differences = [0.1] * 4 + [-1.0] + [0.0] * 25
    low, high = paired_interval(alone(differences))
    assert low < sum(differences) / 30 < 0 < high


def test_the_interval_is_the_same_for_the_same_seed_and_lies_within_bounds():
    graded = alone([0.5, -0.5, 1.0, 0.25, 0.0, 0.5, -0.5, 1.0, 0.5] * 3)
    assert paired_interval(graded, seed=1) == paired_interval(graded, seed=1) != paired_interval(graded, seed=2)
    assert paired_interval([]) == (-1.0, 1.0)
    low, high = paired_interval(alone([1.0] * 30))
    assert 0.8 < low <= high <= 1.0
    low, high = paired_interval(alone([0.0] * 30))
    assert low < 0 < high


def test_bootstrap_t_lies_close_to_another_bootstrap_of_scipy():
    rng = random.Random(4)
    sample = [rng.choice([-0.6, 0.0, 0.0, 0.3, 0.9]) for _ in range(60)]
    low, high = bootstrap_t(alone(sample), random.Random(0))
    # scipy has no bootstrap-t; where little is skewed, its bias-corrected one differs by a point or so.
    theirs = scipy_stats.bootstrap(
        (sample,), lambda values, axis: values.mean(axis=axis), method="BCa", rng=1, n_resamples=9999
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_bootstrap_t_covers_graded_means():
    rng = random.Random(3)
    held = 0
    for _ in range(80):
        sample = alone([rng.choice([-0.5, 0.0, 0.0, 0.5, 1.0]) for _ in range(40)])
        low, high = bootstrap_t(sample, random.Random(0))
        held += low <= 0.2 <= high
    assert held >= 71


@pytest.mark.parametrize("differences", [[1.0] * 9 + [-1.0] * 3 + [0.0] * 28, [0.3, -0.1, 0.7, 0.0] * 10])
def test_groups_of_one_row_change_nothing(differences):
    assert effective_rows(alone(differences)) == 40
    assert paired_interval([[d] for d in differences], seed=3) == paired_interval(alone(differences), seed=3)


def test_rows_that_only_repeat_their_group_count_once():
    ten = [1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    copied = [[value] * 4 for value in ten]
    # Forty rows that are ten: never more than ten, and a little less for the few groups.
    assert 6 < effective_rows(copied) < 10
    low, high = paired_interval(copied)
    narrow = pass_fail_interval(12, 4, 40)
    wide = pass_fail_interval(3, 1, 10)
    assert low < wide[0] < narrow[0] and high > wide[1] > narrow[1]


def test_rows_that_ignore_their_group_lose_little():
    rng = random.Random(8)
    bundles = [[rng.choice([1.0, 0.0, 0.0, 0.0, -1.0]) for _ in range(3)] for _ in range(80)]
    assert 200 < effective_rows(bundles) <= 240


def test_where_nothing_differs_groups_count_as_one_row_each():
    assert effective_rows([[0.0] * 5] * 200) == pytest.approx(200, rel=0.02)
    low, high = paired_interval([[0.0] * 5] * 30)
    assert low < -0.1 and high > 0.1


def test_one_group_tells_nothing():
    assert paired_interval([[1.0, 1.0, 0.0]]) == (-1.0, 1.0)


def test_the_error_by_group_is_the_robust_one_of_a_ratio():
    # Cochran's error of a ratio estimate, worked out by hand for three groups of unlike size.
    bundles = [[0.5, 0.1], [0.2], [0.0, -0.3, 0.3]]
    mean = 0.8 / 6
    residuals = [0.6 - 2 * mean, 0.2 - mean, 0.0 - 3 * mean]
    error = math.sqrt(3 / 2 * sum(residual**2 for residual in residuals)) / 6
    drawn = random.Random(1)
    low, high = bootstrap_t(bundles * 8, drawn)
    wide = math.sqrt((24 / 23) / (3 / 2) / 8) * error
    assert low < mean < high
    assert (high - low) / (2 * 2.07 * wide) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("graded", [False, True])
def test_intervals_by_group_cover_what_intervals_by_row_do_not(graded):
    rng = random.Random(12)
    by_group, by_row = 0, 0
    values = [0.9, 0.3, -0.4, 0.0, 0.0, 0.0] if graded else [1.0, 1.0, -1.0, 0.0, 0.0, 0.0]
    truth = sum(values) / 6
    for _ in range(30 if graded else 400):
        bundles = [[rng.choice(values)] * rng.choice([2, 4, 6]) for _ in range(40)]
        low, high = paired_interval(bundles)
        by_group += low <= truth <= high
        low, high = paired_interval(alone([row for bundle in bundles for row in bundle]))
        by_row += low <= truth <= high
    draws = 30 if graded else 400
    assert by_group >= 0.9 * draws > 0.8 * draws > by_row


@pytest.mark.parametrize("odd", [1, 5, 11])
def test_rows_that_nearly_all_move_by_one_step_are_no_certainty(odd: int) -> None:
    """A bootstrap of one odd row in forty draws hardly any spread: its lower end was the mean itself."""
    low, high = paired_interval([[1.0]] * (40 - odd) + [[0.5]] * odd)
    mean = 1.0 - 0.5 * odd / 40
    assert low < mean - 0.04 and low < wilson(40 - odd / 2, 40)[0] + 0.01
    assert mean < high <= 1.0
