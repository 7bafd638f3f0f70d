"""The study of line worth: its worlds, its truth and its arithmetic."""

from __future__ import annotations

import asyncio
from functools import cache
from random import Random

import pytest

from benchmarks.line_worth.cases import Case, Size, case_of, effects, put_into, score
from benchmarks.line_worth.plant import HARMFUL, REDUNDANT, SPURIOUS, TRUE, USELESS, Planted
from benchmarks.line_worth.study import Run, Told, figures, is_right, run, spearman
from benchmarks.search.wording import platitude
from optimizer.edits import without_line

SMALL = Size(train=60, val=40, adherence=1.0, reserve=300)


@cache
def small(family: str = "slots", seed: int = 1000) -> Case:
    return asyncio.run(case_of(family, seed, SMALL))


def of_kind(case: Case, kind: str) -> list[str]:
    return [line for line, planted in case.planted.items() if planted.kind == kind]


@pytest.mark.parametrize("seed", [1000, 1001])
def test_a_true_rule_alone_helps_and_idle_talk_next_to_nothing(seed):
    case = small(seed=seed)
    kinds = {planted.kind for planted in case.planted.values()}
    assert kinds <= {TRUE, REDUNDANT, HARMFUL, SPURIOUS, USELESS}
    for line in of_kind(case, TRUE):
        alone, placed = put_into(case.seed, [case.planted[line]])
        (effect,) = effects(case, alone, list(placed)).values()
        assert effect > 0
    # Every further line dilutes the others a little.
    talk = Planted(kind=USELESS, text=platitude(Random(seed)), rule="")
    talked, placed = put_into(case.seed, [*case.planted.values(), talk])
    idle = [line for line, planted in placed.items() if planted.kind == USELESS]
    assert all(-0.01 < effect <= 0.0 for effect in effects(case, talked, idle).values())


def test_the_truth_is_a_function_of_its_arguments():
    case = small()
    again = asyncio.run(case_of("slots", 1000, SMALL))
    assert again.planted == case.planted
    assert again.causes == case.causes
    assert again.winner.prompt == case.winner.prompt
    lines = list(case.planted)
    assert effects(again, again.winner.prompt, lines) == effects(case, case.winner.prompt, lines)


def test_an_effect_is_the_score_with_a_line_minus_the_score_without_it():
    case = small()
    line = of_kind(case, TRUE)[0]
    part = without_line(case.seed, case.winner.prompt, line)
    expected = score(case.world, case.winner.prompt) - score(case.world, part)
    assert effects(case, case.winner.prompt, [line]) == {line: expected}


def told(
    truth: float, label: str, *, worth: float | None = None, dropped: bool = False, end: float | None = None
) -> Told:
    return Told(
        family="made",
        seed=0,
        line="L1",
        kind=TRUE,
        label=label,
        worth=worth,
        raw=None,
        ci=None if worth is None else (worth - 0.01, worth + 0.01),
        rows=10,
        dropped=dropped,
        truth=truth,
        end=truth if end is None else end,
    )


def test_figures_count_what_they_say():
    lines = (
        told(0.10, "earns", worth=0.09),
        told(0.05, "not measurable", worth=0.02),
        told(-0.06, "hurts", worth=-0.06, dropped=True),
        told(0.02, "hurts", worth=-0.04, dropped=True),
        told(0.0, "earns", worth=0.011),
        told(0.0, "not measurable", dropped=True),
    )
    found = figures([Run(lines=lines[:3], calls=100, change=0.02), Run(lines=lines[3:], calls=200, change=0.0)])
    assert (found.lines, found.labelled, found.large) == (6, 4, 3)
    assert found.right == pytest.approx(2 / 4)
    assert found.found == pytest.approx(2 / 3)
    # 0.0 is a tenth of a point beyond the end of its interval, which is let pass.
    assert found.cover == pytest.approx(3 / 5)
    assert found.lost == pytest.approx(1 / 3)
    assert found.idle == pytest.approx(1 / 3)
    assert found.calls == 150
    assert found.change == pytest.approx(0.01)


def test_a_label_on_a_line_without_effect_is_never_right():
    assert not is_right(told(0.0, "earns"))
    assert not is_right(told(0.0, "hurts"))


def test_ranks_are_compared_and_ties_share_theirs():
    assert spearman([(1.0, 10.0), (2.0, 20.0), (3.0, 90.0)]) == pytest.approx(1.0)
    assert spearman([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]) == pytest.approx(-1.0)
    assert spearman([(1.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) == pytest.approx(0.866, abs=0.001)


@pytest.mark.parametrize("arm", ["ours", "plain"])
def test_a_small_case_runs_through_and_gives_no_line_the_wrong_sign(arm):
    found = asyncio.run(run("slots", 1000, SMALL, arm))
    assert 0 < found.calls <= SMALL.reserve
    assert {line.line for line in found.lines} >= set(small().planted)
    assert any(line.worth is not None for line in found.lines)
    assert arm == "plain" or any(line.label == "earns" for line in found.lines)
    assert all(is_right(line) for line in found.lines if line.label != "not measurable")
