"""Causes from round to round."""

from __future__ import annotations

import pytest

from optimizer.cluster import cluster
from optimizer.dataset import Example
from optimizer.lifecycle import Sighting, Stage, lives
from optimizer.results import Completion, Evaluation, Result, Score


def seen(name: str, rows: str, *, place: str = "label", wanted: tuple[str, ...] = (), label: str = "") -> Sighting:
    """A cluster whose rows are the letters of a word."""
    return Sighting(id=name, rows=frozenset(rows), place=place, wanted=wanted, label=label)


def told(*rounds: list[Sighting]) -> dict[str, tuple[str | None, ...]]:
    return {life.id: life.stages for life in lives(rounds)}


def test_all_causes_of_the_first_round_are_new():
    assert told([seen("a", "abc"), seen("b", "d")]) == {"a": ("new",), "b": ("new",)}


@pytest.mark.parametrize(
    ("rows", "stage"), [("abcd", "open"), ("efgh", "open"), ("abcdef", "open"), ("ab", "shrunk"), ("x", "shrunk")]
)
def test_a_cause_with_its_old_id_is_open_or_has_shrunk(rows, stage):
    assert told([seen("a", "abcd")], [seen("a", rows)]) == {"a": ("new", stage)}


def test_a_cause_that_is_gone_is_fixed_and_stays_so():
    assert told([seen("a", "abc")], [], [seen("b", "xyz")]) == {
        "a": ("new", "fixed", "fixed"),
        "b": (None, None, "new"),
    }


def test_a_cause_that_comes_back_is_open_again():
    (life,) = lives([[seen("a", "abcd")], [], [seen("a", "ab")], [seen("a", "ab")]])
    assert life.stages == (Stage.NEW, Stage.FIXED, Stage.SHRUNK, Stage.OPEN)
    assert life.sizes == (4, 0, 2, 2)


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (seen("b", "abcd"), True),
        (seen("b", "abc"), True),
        (seen("b", "abcdef"), True),
        (seen("b", "abxy"), False),
        (seen("b", "abcd", place="$.mood"), False),
        (seen("b", "a"), False),
        (seen("b", "a", wanted=("Heron",)), False),
    ],
)
def test_where_the_id_changed_rows_that_largely_coincide_are_the_same_cause(now, same):
    found = lives([[seen("a", "abcd")], [now]])
    assert [life.ids for life in found] == ([("a", "b")] if same else [("a",), ("b",)])
    assert found[0].stage is not (Stage.FIXED if same else None)


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (seen("b", "ab", wanted=("Heron",)), True),
        (seen("b", "ab", wanted=("Linden",)), False),
        (seen("b", "abxyz", wanted=("Heron",)), False),
    ],
)
def test_what_is_left_of_a_cause_wants_the_same_on_rows_of_its_own(now, same):
    found = lives([[seen("a", "abcdefgh", wanted=("Heron", "Linden"))], [now]])
    assert [life.stage for life in found] == ([Stage.SHRUNK] if same else [Stage.FIXED, Stage.NEW])


def test_what_is_left_of_a_cause_in_free_words_says_the_same():
    before = seen("a", "abcdefgh", place="text", label="the tone is rude")
    rest = seen("b", "ab", place="text", label="a rude tone")
    other = seen("c", "ab", place="text", label="the date is missing")
    assert lives([[before], [rest]])[0].ids == ("a", "b")
    assert lives([[before], [other]])[0].ids == ("a",)


def test_each_cluster_is_one_cause_and_the_most_alike_come_first():
    before = [seen("a", "abcdef"), seen("b", "abcdgh")]
    found = lives([before, [seen("x", "abcdg")]])
    assert [(life.ids, life.stage) for life in found] == [(("a",), Stage.FIXED), (("b", "x"), Stage.SHRUNK)]


def test_an_old_id_counts_more_than_rows():
    found = lives([[seen("a", "abcd")], [seen("b", "abcd"), seen("a", "x")]])
    assert [life.ids for life in found] == [("a",), ("b",)]


def test_a_cause_found_again_under_its_first_id_is_still_one_life():
    found = lives([[seen("a", "abcd")], [seen("b", "abcd")], [seen("a", "abcd")]])
    assert [life.ids for life in found] == [("a", "b")]
    assert len({life.id for life in found}) == len(found)


def test_a_cause_that_falls_apart_into_its_two_ids_is_one_life():
    (life,) = lives([[seen("a", "abcd")], [seen("b", "abcd")], [seen("a", "c"), seen("b", "ab")]])
    assert life.ids == ("a", "b") and life.sizes == (4, 4, 3)
    assert life.sightings[-1] == seen("b", "abc")


@pytest.mark.parametrize(
    ("sizes", "stage"),
    [
        ((5,), "open"),
        ((5, 5), "open"),
        ((5, 7, 6), "open"),
        ((5, 2, 2), "shrunk"),
        ((5, 0, 2), "shrunk"),
        ((5, 2, 0), "fixed"),
        ((0, 0, 3), "new"),
        ((0, 3, 3), "open"),
    ],
)
def test_what_has_become_of_a_cause_since_it_was_found(sizes, stage):
    rounds = [[seen("a", "abcdefg"[:size])] if size else [] for size in sizes]
    (life,) = lives(rounds)
    assert (life.sizes, life.since_found) == (sizes, stage)


def test_no_rounds_no_causes():
    assert lives([]) == () == lives([[], []])


def test_clusters_of_two_prompts_are_followed():
    """As rounds give them: a label that is confused less, one that is no more, one that a new line confuses."""
    outputs = [
        {**dict.fromkeys("abcde", "good"), **dict.fromkeys("fgh", "none"), "i": "mixed", "j": "bad"},
        {**dict.fromkeys("ab", "good"), **dict.fromkeys("cdefghi", "mixed"), "j": "mixed"},
    ]
    wanted = {**dict.fromkeys("abcdefghi", "mixed"), "j": "bad", "k": "bad", "l": "good", "m": "good"}
    examples = {key: Example(id=key, inputs={"q": key}) for key in wanted}

    def scored(output: dict[str, str]) -> Evaluation:
        return Evaluation(candidate="p", results={key: result(key, output.get(key, wanted[key])) for key in wanted})

    def result(key: str, got: str) -> Result:
        passed = got == wanted[key]
        score = Score(metric="label", value=passed, passed=passed, place="label", wanted=wanted[key], got=got)
        return Result(example=key, candidate="p", completion=Completion(text=got), scores=(score,))

    rounds = [cluster(examples, scored(output)) for output in outputs]
    found = {life.sizes: life.stage for life in lives([map(Sighting.of, clusters) for clusters in rounds])}
    assert found == {(5, 2): Stage.SHRUNK, (3, 0): Stage.FIXED, (0, 1): Stage.NEW}
