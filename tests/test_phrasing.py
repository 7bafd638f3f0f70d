"""Which reasons in free words tell the same."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from optimizer.phrasing import linkage, told
from optimizer.phrasing.stems import stems

ONE_CAUSE = (
    ("The tone is too formal", "Too formal in tone", "It is written in a formal tone"),
    ("The answer is too long: it has 120 words", "Exceeds the length limit by 34 words", "Too wordy, see 'kindly'"),
    ("The reply does not apologise.", "No apology was offered.", "Missing an apology for the 3 days of delay"),
    ('It never names the order number "A-12"', "Order number missing", 'It should have repeated order number "4471"'),
    ("Hallucinated citation", "The citation is hallucinated", "It cites a source that was made up: “Smith 1999”"),
)
PREAMBLES = (
    "Evaluation result: FAIL. Explanation: ",
    "The response does not fully satisfy the instruction in the system prompt: ",
    "After reviewing the response against the rubric, I conclude that the response fails because ",
    "Score 3/10 - ",
    "The answer is wrong because ",
)
THREE_CAUSES = ("the tone is rude", 'the order number "A-12" is invented', "no refund deadline is named")


def groups(*reasons: str) -> list[list[str]]:
    found = told({reason: 1 for reason in reasons})
    return [[one.name for one in found[reason]] for reason in reasons]


@pytest.mark.parametrize("reasons", ONE_CAUSE)
def test_three_phrasings_of_one_cause_are_one(reasons):
    assert len({name for names in groups(*reasons) for name in names}) == 1


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_three_causes_under_one_preamble_are_three(preamble):
    assert len({tuple(names) for names in groups(*(preamble + cause for cause in THREE_CAUSES))}) == 3


@pytest.mark.parametrize("preamble", ["", *PREAMBLES])
def test_three_phrasings_each_of_three_causes_under_one_preamble_are_three(preamble):
    causes = [*ONE_CAUSE[:1], *ONE_CAUSE[2:4]]
    found = groups(*(f"{preamble}{reason}" for cause in causes for reason in cause))
    assert [len({tuple(names) for names in found[at : at + 3]}) for at in (0, 3, 6)] == [1, 1, 1]
    assert len({name for names in found for name in names}) == 3


def test_an_ending_of_all_reasons_is_no_cause():
    found = groups(*(f"{cause}. This violates section {n} of the style guide." for n, cause in enumerate(THREE_CAUSES)))
    assert len({name for names in found for name in names}) == 3


def test_a_reason_with_two_causes_tells_of_both():
    rude, late, both = groups("The tone is rude.", "The date is missing.", "The tone is rude. The date is missing.")
    assert sorted(both) == sorted([*rude, *late]) and rude != late


def test_what_is_said_besides_a_cause_makes_none():
    reasons = [f"The tone is rude. {more}" for more in ("A pity.", "Nobody likes that.", "Think of our brand!")]
    assert len({name for names in groups("Rude tone", *reasons) for name in names}) == 1


def test_a_clause_that_always_goes_with_another_is_a_part_of_it():
    always = [f"The tone is rude {word}. Readers feel lectured." for word in ("today", "again", "here")]
    assert len({name for names in groups("The tone is rude.", *always, "No date") for name in names}) == 2


def test_the_words_of_a_reason_for_each_cause_are_kept():
    both = "Verdict: fail. The tone is rude; the date is missing"
    found = told({"Verdict: fail. The tone is rude": 3, "Verdict: fail. The date is missing": 3, both: 1})
    assert [one.text for one in found[both]] == ["The tone is rude;", "the date is missing"]


def test_the_order_of_reasons_decides_nothing():
    reasons = [*ONE_CAUSE[0], *ONE_CAUSE[2][:1], ONE_CAUSE[3][0]]
    first = told({reason: 1 for reason in reasons})
    for order in list(permutations(reasons))[:24]:
        assert told({reason: 1 for reason in order}) == first


@pytest.mark.parametrize(
    "reasons",
    [
        (),
        ("",),
        ("", " \n ", "!!!"),
        ("the answer is wrong", "incorrect"),
        ("\ud83d broken \x1b[31m", "“" * 700, "'" * 700, "a. " * 700, "İ" * 50),
    ],
)
def test_whatever_a_judge_says_has_a_group(reasons):
    found = told({reason: 1 for reason in reasons})
    assert found.keys() == set(reasons) and all(found.values())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("apologise", "apology"),
        ("omits the citation", "cites nothing"),
        ("too lengthy", "verbose"),
        ("dates", "the date"),
        ("语气太正式", "语气太正式"),
    ],
)
def test_words_of_one_meaning_have_one_stem(first, second):
    assert stems(first) == stems(second) != frozenset()


def test_words_that_every_reason_has_are_left_out():
    assert stems("The answer does not contain what is required; it fails the check, and it's missing") == frozenset()


def test_batches_find_the_groups_that_one_batch_finds(monkeypatch):
    rng = Random(1)
    topics = [[f"t{topic}w{word}" for word in range(8)] for topic in range(6)]
    sets = list({frozenset(rng.sample(topics[n % 6], 5)) for n in range(240)})
    sets.sort(key=sorted)
    rng.shuffle(sets)
    whole = linkage.linked(sets)
    monkeypatch.setattr(linkage, "BATCH", 40)
    assert linkage.linked(sets) == whole
    assert len(whole) == 6
    assert all(len({word[:2] for place in group for word in sets[place]}) == 1 for group in whole)


def test_sets_that_share_no_word_stay_alone():
    assert linkage.linked([frozenset({f"word{n}"}) for n in range(500)]) == [[n] for n in range(500)]
