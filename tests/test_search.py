"""Screens, spaces and races on worlds with known truth."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from optimizer.cluster import cluster
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.evaluator import Purpose, by_id
from optimizer.events import EditJudged, TrialEnded
from optimizer.metrics.base import MetricContext
from optimizer.mutate.propose import proposals_for
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Score
from optimizer.search.again import PLACEBOS, Changed, raw, settled
from optimizer.search.place import made, overruling
from optimizer.search.race import Race, blocks, race
from optimizer.search.screen import MOST_ROWS, Candidates, Screened, Screening, screen
from optimizer.search.space import sampler_seed, space
from optimizer.search.study import ROUND_SHARE, Champion, Found, search
from tests.worlds import FunctionTarget, bench_of, drawn_anew, seed_prompt

TRAIN = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
VAL = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)


def line(text: str, cluster_id: str = "c") -> Edit:
    return Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster_id, source="llm")


def passing(text: str, cluster_id: str, mended: int = 4) -> Screened:
    """An edit that did well in the screen."""
    rows = tuple(f"t{number:03}" for number in range(mended))
    return Screened(edit=line(text, cluster_id), mended=rows, tried=mended, chosen=True)


@dataclass(frozen=True)
class Holds:
    """Passes where the output holds a word."""

    word: str
    place: str

    async def score(self, context: MetricContext) -> Score:
        right = self.word in context.output
        reason = "" if right else f"the output has no {self.word}"
        return Score(metric=self.word, value=float(right), passed=right, reason=reason, place=self.place)


def world(number: int) -> tuple[str, str]:
    return f"what is {number}", "right"


def screened(answer, texts: list[str], make=world, size: int = 20) -> tuple[list[Screened], FunctionTarget]:
    """Screen lines, all of them on the first cluster that a world has."""
    bench, events, target = bench_of(answer, make, size=size)
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        edits = [line(text, next(iter(proposals))) for text in texts]
        return await screen(bench, Candidates(champion=seed, base=base, proposals=proposals, edits=edits), 1)

    found = asyncio.run(go())
    assert [event.edit.text for event in events if isinstance(event, EditJudged)] == texts
    return list(found.edits), target


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def test_an_edit_that_mends_passes_and_the_next_one_of_its_cause_is_not_paid_for():
    (cure, noise), target = screened(lambda text, row: "right" if "cure" in text else "wrong", ["cure", "noise"])
    assert cure.passed and len(cure.mended) == cure.tried == MOST_ROWS
    assert not noise.passed and noise.tried == 0 and "not tried" in noise.told
    assert len(target.calls) == 20 + MOST_ROWS


def test_an_edit_that_does_nothing_makes_room_for_the_next_one():
    (noise, cure), target = screened(lambda text, row: "right" if "cure" in text else "wrong", ["noise", "cure"])
    assert (noise.passed, noise.tried) == (False, MOST_ROWS)
    assert cure.passed and len(cure.mended) == MOST_ROWS
    assert len(target.calls) == 20 + 2 * MOST_ROWS


def test_edits_of_one_cause_that_mend_different_rows_stay_together():
    def two_rules(text: str, row: Example) -> str:
        return "right" if ("even" if number_of(row) % 2 == 0 else "odd") in text else "wrong"

    (even, odd), _ = screened(two_rules, ["even", "odd"])
    assert even.passed and odd.passed
    assert set(even.mended).isdisjoint(odd.mended) and len(even.mended) + len(odd.mended) == MOST_ROWS


def test_what_mends_a_row_or_two_must_beat_a_placebo():
    # Rows 0 and 1 failed by chance: any change of the prompt mends them.
    def unlucky(text: str, row: Example) -> str:
        return "right" if text != seed_prompt().text and number_of(row) < 2 else "wrong"

    (careful,), _ = screened(unlucky, ["be careful"])
    assert (len(careful.mended), careful.placebo, careful.passed) == (2, 2, False)
    assert "a placebo mended 2" in careful.told
    (cure,), _ = screened(lambda text, row: "right" if "cure" in text and number_of(row) < 2 else "wrong", ["cure"])
    assert (len(cure.mended), cure.placebo, cure.passed) == (2, 0, True)


def test_all_causes_are_tried_in_one_candidate():
    bench, _, target = bench_of(lambda text, row: text, world, size=12)
    bench.evaluator.metrics = (Holds(word="cure", place="text"), Holds(word="json", place="format"))
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        edits = [line("cure", cause) for cause in proposals]
        return await screen(bench, Candidates(champion=seed, base=base, proposals=proposals, edits=edits), 1)

    found = {item.edit.cluster: (len(item.mended), item.tried) for item in asyncio.run(go()).edits}
    # Each row fails for two causes and is asked once; the cure of one cause leaves the other as it is.
    assert sorted(found.values()) == [(0, MOST_ROWS), (MOST_ROWS, MOST_ROWS)]
    assert len(target.calls) == 12 + MOST_ROWS


def test_edits_that_the_plan_cannot_pay_for_come_back_untried():
    bench, _, target = bench_of(lambda text, row: "wrong", world, size=20)
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        edits = [line("cure", next(iter(proposals)))]
        keep = bench.plan.left(Phase.SEARCH) - MOST_ROWS + 1
        wanted = Candidates(champion=seed, base=base, proposals=proposals, edits=edits, keep_calls=keep)
        return await screen(bench, wanted, 1)

    (item,) = asyncio.run(go()).edits
    assert item.tried == 0 and not item.passed
    assert len(target.calls) == 20


def test_asking_again_counts_only_what_is_lost_each_time():
    # The incumbent loses rows 0 and 1, row 1 by chance; the challenger loses rows 2 and 3, row 3 by chance.
    def wavering(text: str, row: Example) -> str:
        number, plain = number_of(row), not any(placebo.text in text for placebo in PLACEBOS if placebo.text)
        if "new" in text:
            return "wrong" if number == 2 or (number == 3 and plain) else "right"
        return "wrong" if number == 0 or (number == 1 and plain) else "right"

    bench, _, _ = bench_of(wavering, world, size=10)
    sides = (seed_prompt("old"), seed_prompt("new"))

    async def go() -> tuple[Changed, Changed]:
        before, after = await bench.evaluator.evaluate_all([(side, bench.val) for side in sides], VAL)
        return raw(before, after), await settled(bench, sides, (before, after), bench.val, VAL)

    first, sure = asyncio.run(go())
    assert (sorted(first.up), sorted(first.down)) == (["v000", "v001"], ["v002", "v003"])
    assert (sorted(sure.up), sorted(sure.down)) == (["v000"], ["v002"])


def test_equal_prompts_stay_equal_when_rows_are_asked_again():
    ups = downs = 0
    for seed in range(40):
        bench, _, _ = bench_of(drawn_anew(seed), world, size=40)
        sides = (seed_prompt("one"), seed_prompt("other"))

        async def go(bench=bench, sides=sides) -> Changed:
            scored = await bench.evaluator.evaluate_all([(side, bench.val) for side in sides], VAL)
            return await settled(bench, sides, (scored[0], scored[1]), bench.val, VAL)

        found = asyncio.run(go())
        ups, downs = ups + len(found.up), downs + len(found.down)
    # Each row counts for a side with probability 1/16: 100 of 1,600 expected on either.
    assert 60 < ups < 140 and 60 < downs < 140


def test_choices_begin_with_the_bundle_and_every_choice_is_a_prompt():
    items = [
        Screened(edit=line(name, slot), mended=("r1", "r2"), tried=4, chosen=True)
        for name, slot in ("ax", "bx", "cy", "dz")
    ]
    made_space = space(seed_prompt(), items)
    assert [slot.id for slot in made_space.slots] == ["+x", "+x/2", "+y", "+z"]
    first = list(made_space.first_choices())
    assert first[0] == made_space.bundle
    assert made_space.candidate(made_space.keep_all).fingerprint == seed_prompt().fingerprint
    assert len({made_space.candidate(choices).fingerprint for choices in first}) == len(first)
    assert made_space.without(made_space.bundle, {items[0].edit.id})["+x"] == "keep"
    assert sampler_seed(0, 1) != sampler_seed(0, 2) and sampler_seed(3, 1) == sampler_seed(3, 1)


def test_a_longer_line_goes_behind_a_shorter_one_and_the_users_own_lines_stay_first():
    seed = seed_prompt("Answer.\nBe brief.")
    own = frozenset(found.id for found in seed.lines)
    once = made(seed, [line("a rule with a condition of many words"), line("a rule")], own)
    assert once.messages[0].text.split("\n") == [
        "Answer.",
        "Be brief.",
        "a rule",
        "a rule with a condition of many words",
    ]
    twice = made(once, [line("another rule here"), line("no")], own)
    assert twice.messages[0].text.split("\n")[2:] == [
        "no",
        "a rule",
        "another rule here",
        "a rule with a condition of many words",
    ]


def test_a_line_that_another_one_overrules_goes_behind_it():
    short, long = line("say A"), line("say B to people who ask for more")
    own = frozenset({"L1"})

    def texts(prompt: Prompt) -> list[str]:
        return [found.content for found in prompt.messages[0].lines[1:]]

    assert texts(made(seed_prompt(), [long, short], own)) == [short.text, long.text]
    assert texts(made(seed_prompt(), [long, short], own, {short.id: {long.id}})) == [long.text, short.text]
    circle = {short.id: {long.id}, long.id: {short.id}}
    assert len(texts(made(seed_prompt(), [long, short], own, circle))) == 2
    assert overruling([short, long], "the answer is B", "the answer is C") == {long.id}
    assert overruling([short, long], "the answer is A", "the answer is A") == frozenset()


def test_the_screen_sees_which_line_overrules_another():
    # Even rows want "even" from a line of their own, which gives way to the line for odd ones unless it stands later.
    def later_wins(text: str, row: Example) -> str:
        wanted = "even" if number_of(row) % 2 == 0 else "odd"
        stated = [word for word in ("even", "odd") if f"say {word}" in text]
        if not stated:
            return "none"
        return max(stated, key=lambda word: text.index(f"say {word}")) if wanted == "even" else "odd"

    def parity(number: int) -> tuple[str, str]:
        return f"what is {number}", "even" if number % 2 == 0 else "odd"

    bench, _, _ = bench_of(later_wins, parity, size=20)
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        by_word = {found.cluster.wanted[0]: key for key, found in proposals.items()}
        # The longer line comes later, and wins where it should not; a second line for even rows meets open rows.
        edits = [
            line("say even", by_word["even"]),
            line("say odd in all of the other cases", by_word["odd"]),
            line("again: say even", by_word["even"]),
        ]
        return await screen(bench, Candidates(champion=seed, base=base, proposals=proposals, edits=edits), 1)

    found = asyncio.run(go())
    odd = found.edits[1].edit.id
    assert all(odd in found.behind.get(item.edit.id, ()) for item in found.edits if item.passed and item.edit.id != odd)


def test_a_line_that_answers_for_the_rows_of_other_causes_is_out_and_they_have_their_turn_again():
    colours = ("red", "blue", "green")

    def answer(text: str, row: Example) -> str:
        if "always say mauve" in text:
            return "mauve"
        wanted = colours[number_of(row) % 3]
        return wanted if f"say {wanted}" in text else "none"

    bench, _, _ = bench_of(answer, lambda number: (f"what is {number}", colours[number % 3]), size=30)
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        by_word = {found.cluster.wanted[0]: key for key, found in proposals.items()}
        edits = [line("always say mauve", by_word["red"]), *(line(f"say {word}", by_word[word]) for word in colours)]
        return await screen(bench, Candidates(champion=seed, base=base, proposals=proposals, edits=edits), 1)

    poison, *cures = asyncio.run(go()).edits
    assert not poison.passed and len(poison.broke) >= 3
    assert all(cure.passed and len(cure.mended) == MOST_ROWS for cure in cures)


def test_blocks_cover_all_rows_once_in_order():
    bench, _, _ = bench_of(lambda text, row: "right", world, size=65)
    parts = blocks(bench.val)
    assert [row for part in parts for row in part] == list(bench.val)
    assert len(parts) == 4 and all(len(part) >= 8 for part in parts)
    assert len(blocks(bench.val[:10])) == 2


def test_a_loser_is_dropped_early_and_a_winner_runs_to_the_end():
    def answer(text: str, row: Example) -> str:
        return "wrong" if "poison" in text else "right"

    bench, _, target = bench_of(answer, world, size=40)
    seed = seed_prompt()
    purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)

    async def go() -> tuple[Race, Race]:
        incumbent = await bench.evaluator.evaluate(seed, bench.val, purpose)
        poisoned = seed_prompt("poison")
        return await race(bench, poisoned, seed, incumbent, purpose), await race(
            bench, seed_prompt("fine"), seed, incumbent, purpose
        )

    lost, won = asyncio.run(go())
    assert lost.partial and len(lost.evaluation.results) == 10 and lost.gain == -1.0
    assert not won.partial and len(won.evaluation.results) == 40 and won.gain == 0.0


def test_asking_again_leaves_a_race_the_rows_to_come():
    def answer(text: str, row: Example) -> str:
        return "wrong" if "unlucky" in text and "Thank" not in text else "right"

    bench, _, _ = bench_of(answer, world, size=40)
    seed, unlucky = seed_prompt(), seed_prompt("unlucky")
    purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)

    async def go() -> Race:
        incumbent = await bench.evaluator.evaluate(seed, bench.val, purpose)
        bench.plan.limits[Phase.SEARCH] = len(bench.plan.asked[Phase.SEARCH]) + 45
        return await race(bench, unlucky, seed, incumbent, purpose)

    asyncio.run(go())
    assert len(bench.plan.asked[Phase.SEARCH]) <= bench.plan.limits[Phase.SEARCH]


def test_a_study_separates_a_good_edit_from_a_bad_one_and_stays_within_its_share():
    def answer(text: str, row: Example) -> str:
        number = int(row.inputs["q"].split()[-1])
        if "poison" in text and number % 2:
            return "wrong"
        return "right" if "cure" in text or number % 2 else "wrong"

    bench, events, _ = bench_of(answer, world, size=40, calls=1500)
    seed = seed_prompt()
    items = [
        passing("cure", "x"),
        passing("poison", "y"),
    ]

    async def go() -> Found:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, purpose))
        return await search(bench, champion, space(seed, items), items, 1, champion.mean)

    before = bench.plan.left(Phase.SEARCH)
    found = asyncio.run(go())
    assert found.best.mean == 1.0
    assert "cure" in found.best.prompt.text and "poison" not in found.best.prompt.text
    assert before - bench.plan.left(Phase.SEARCH) <= 40 + int(before * ROUND_SHARE)
    assert len([event for event in events if isinstance(event, TrialEnded)]) == found.trials
