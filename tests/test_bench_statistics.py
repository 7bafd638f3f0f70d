"""The studies of the statistics: their truths are what they say, and a small part of each holds."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from scipy import stats as scipy_stats

from benchmarks.statistics import coverage, null_runs, nulls, shapes
from optimizer.dataset import Example
from optimizer.outcome import Verdict
from optimizer.stats import mid_p
from tests.worlds import Chatter


@pytest.mark.parametrize("shape", shapes.GRADED, ids=lambda shape: shape.name)
def test_a_shape_has_the_mean_that_it_names(shape):
    rng = random.Random(1)
    drawn = [shape.draw(rng) for _ in range(20_000)]
    error = scipy_stats.sem(drawn)
    assert fmean(drawn) == pytest.approx(shape.mean, abs=4 * error)
    assert all(-1 <= difference <= 1 for difference in drawn)


@pytest.mark.parametrize("world", [shapes.GROUPED[0], shapes.GROUPED[1], shapes.GROUPED[-1]], ids=lambda one: one.name)
def test_groups_are_as_alike_as_they_say(world):
    rng = random.Random(2)
    bundles = [bundle for _ in range(300) for bundle in world.draw(rng) if len(bundle) > 1]
    same = fmean(bundle[0] == bundle[1] for bundle in bundles)
    by_chance = fmean(world.row(rng) == world.row(rng) for _ in range(20_000))
    both = world.alike**2
    assert same == pytest.approx(both + (1 - both) * by_chance, abs=0.03)
    assert fmean(row for bundle in bundles for row in bundle) == pytest.approx(world.mean, abs=0.03)


def test_equal_pairs_are_equal_and_differ_as_often_as_they_say():
    rng = random.Random(3)
    before, after = nulls.equal_pair(rng, 40_000, 0.15)
    up = sum(second and not first for first, second in zip(before, after, strict=True))
    down = sum(first and not second for first, second in zip(before, after, strict=True))
    assert (up + down) / 40_000 == pytest.approx(0.15, abs=0.01)
    assert 0.001 < mid_p(up, down) < 0.999


def test_the_exact_rate_of_claims_is_that_of_the_rule():
    n, share = 24, 0.2
    rate = 0.0
    for differ in range(6, n + 1):
        # The interval stands in no way at so few rows: the exact test and its six rows decide.
        ups = [up for up in range(differ + 1) if mid_p(up, differ - up) <= 0.025]
        rate += scipy_stats.binom.pmf(differ, n, share) * sum(scipy_stats.binom.pmf(up, differ, 0.5) for up in ups)
    assert nulls.exact_rate(n, share) == pytest.approx(rate)


@pytest.mark.parametrize("n", [24, 60, 120])
@pytest.mark.parametrize("share", nulls.SHARES)
def test_equal_candidates_claim_in_at_most_four_percent_of_all_outcomes(n, share):
    assert nulls.exact_rate(n, share) <= nulls.MOST


def test_ten_runs_on_one_split_are_ten_looks():
    rng = random.Random(4)
    ever = careless = 0
    for _ in range(60):
        verdicts, would = nulls.ten_runs(rng, 60, 0.2)
        assert len(verdicts) == nulls.LOOKS
        ever += Verdict.GAIN_SHOWN in verdicts
        careless += would
    assert ever <= 9 and ever < careless


def test_coverage_counts_every_outcome_once():
    found = coverage.table(lambda up, down, n: (-1.0, 1.0), 30)
    assert all(cell.coverage == pytest.approx(1.0) for cell in coverage.cells(found))


def test_in_the_worlds_of_whole_runs_no_prompt_is_better():
    for world in null_runs.WORLDS:
        answer = world.answer(5)
        rows = [Example(id=f"r{n}", inputs={"q": "?"}, expected="yes") for n in range(1500)]
        before, after = (
            [answer(text, row) == "yes" for row in rows] for text in ("Answer.", "Answer.\nNote 1.\nNote 2.")
        )
        differ = sum(first != second for first, second in zip(before, after, strict=True))
        assert differ / 1500 == pytest.approx(world.unsure / 2, abs=0.05)
        up = sum(second and not first for first, second in zip(before, after, strict=True))
        assert 0.0005 < mid_p(up, differ - up) < 0.9995


def test_a_whole_run_where_nothing_helps_is_counted():
    count = null_runs.Count()
    for seed in range(4):
        count.take(null_runs.ended(null_runs.WORLDS[0], seed, lambda first, winner: 1, proposer=Chatter()))
    assert count.runs == 4 and count.gains <= 2 and count.changed >= 1
    assert f"| a | 4 | {count.changed} | {count.gains} |" in count.told("a")
