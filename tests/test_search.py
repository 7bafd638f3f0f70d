"""Screens, spaces and races on worlds with known truth."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from optimizer.cluster import cluster
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Purpose, by_id
from optimizer.events import EditJudged, TrialEnded
from optimizer.metrics.base import MetricContext
from optimizer.mutate.propose import proposals_for
from optimizer.outcome import Phase
from optimizer.results import Score
from optimizer.search.race import Race, blocks, race
from optimizer.search.screen import PLACEBO, Candidates, Screened, screen
from optimizer.search.space import sampler_seed, space
from optimizer.search.study import Champion, Found, search
from tests.worlds import FunctionTarget, bench_of, seed_prompt


def line(text: str, cluster_id: str = "c") -> Edit:
    return Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster_id, source="llm")


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


def screened(answer, texts: list[str]) -> tuple[dict[str, Screened], FunctionTarget]:
    """Screen lines on the one cluster that a world has."""
    bench, events, target = bench_of(answer, world, size=20)
    seed = seed_prompt()

    async def go() -> tuple[Screened, ...]:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
        base = await bench.evaluator.evaluate(seed, bench.train, purpose)
        clusters = cluster(by_id(bench.train), base)
        proposals = proposals_for(seed, clusters, base, by_id(bench.train), {})
        wanted = Candidates(
            champion=seed,
            base=base,
            proposals=proposals,
            edits=[line(text, next(iter(proposals))) for text in texts],
            rows=bench.train,
        )
        return await screen(bench, wanted, 1)

    found = {item.edit.text or "": item for item in asyncio.run(go())}
    assert [event.edit.text for event in events if isinstance(event, EditJudged)] == texts
    return found, target


def test_an_edit_that_mends_passes_and_one_that_does_nothing_does_not():
    found, _ = screened(lambda text, row: "right" if "cure" in text else "wrong", ["cure", "noise"])
    assert found["cure"].passed and found["cure"].mended == found["cure"].tried == 8
    assert not found["noise"].passed
    assert found["noise"].tried == 4, "what mends none of the first rows is tried on no more"


def test_a_line_that_only_draws_again_does_not_beat_the_placebo():
    # Any change of the prompt mends these rows: they failed by chance.
    def drawn_again(text: str, row: Example) -> str:
        return "wrong" if text == seed_prompt().text else "right"

    found, _ = screened(drawn_again, ["be careful"])
    assert found["be careful"].mended == 8
    assert found["be careful"].placebo == 8
    assert not found["be careful"].passed
    assert "a placebo mended 8" in found["be careful"].told


def test_the_placebo_is_asked_only_where_an_edit_looks_good():
    _, target = screened(lambda text, row: "wrong", ["noise", "more noise"])
    _, asked = screened(lambda text, row: "right" if "cure" in text else "wrong", ["cure", "noise"])
    assert len(target.calls) == 20 + 2 * 4
    assert len(asked.calls) == 20 + 8 + 4 + 8
    assert PLACEBO.slot == f"+{PLACEBO.id}"


def test_a_row_that_fails_for_two_causes_is_mended_only_where_this_cause_is_gone():
    # Every output lacks the right word and breaks the format; the cure of one cause leaves the other as it is.
    bench, _, _ = bench_of(lambda text, row: text, world, size=12)
    bench.evaluator.metrics = (Holds(word="cure", place="text"), Holds(word="json", place="format"))
    seed = seed_prompt()

    async def go() -> tuple[Screened, ...]:
        base = await bench.evaluator.evaluate(
            seed, bench.train, Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
        )
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        edits = [line("cure", cause) for cause in proposals]
        wanted = Candidates(champion=seed, base=base, proposals=proposals, edits=edits, rows=bench.train)
        return await screen(bench, wanted, 1)

    found = {item.edit.cluster: (item.mended, item.tried) for item in asyncio.run(go())}
    assert sorted(found.values()) == [(0, 4), (8, 8)]


def test_an_edit_must_mend_more_rows_than_it_makes_worse():
    item = Screened(edit=line("x"), mended=3, tried=4, worsened=("a", "b", "c"))
    assert not item.passed
    assert Screened(edit=line("x"), mended=4, tried=4, worsened=("a",)).rate == 0.75


def test_choices_begin_with_the_bundle_and_every_choice_is_a_prompt():
    items = [Screened(edit=line(name, slot), mended=4, tried=4) for name, slot in ("ax", "bx", "cy", "dz")]
    made = space(seed_prompt(), items)
    assert [slot.id for slot in made.slots] == ["+x", "+y", "+z"]
    first = list(made.first_choices())
    assert first[0] == made.bundle
    assert first[1] == {**made.keep_all, "+x": made.slots[0].edits[0].id}
    assert made.candidate(made.keep_all).fingerprint == seed_prompt().fingerprint
    assert len({made.candidate(choices).fingerprint for choices in first}) == len(first)
    assert sampler_seed(0, 1) != sampler_seed(0, 2) and sampler_seed(3, 1) == sampler_seed(3, 1)


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
        return await race(bench, poisoned, incumbent, purpose), await race(
            bench, seed_prompt("fine"), incumbent, purpose
        )

    lost, won = asyncio.run(go())
    assert lost.partial and len(lost.evaluation.results) == 10 and lost.gain == -1.0
    assert not won.partial and len(won.evaluation.results) == 40 and won.gain == 0.0


def test_an_edit_that_breaks_rows_with_errors_does_not_pass_for_the_best():
    def answer(text: str, row: Example) -> str:
        number = int(row.inputs["q"].split()[-1])
        if "hush" in text and number % 2:
            raise ModelError(ErrorKind.CUT_OFF, "cut off")
        return "right" if number % 2 == 0 or ("cure" in text and number % 3) else "wrong"

    bench, _, _ = bench_of(answer, world, size=40)
    seed = seed_prompt()
    items = [Screened(edit=line(text, "x"), mended=4, tried=4) for text in ("hush", "cure")]

    async def go() -> Found:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, purpose))
        return await search(bench, champion, space(seed, items), 1, champion.mean)

    found = asyncio.run(go())
    assert "cure" in found.best.prompt.text and "hush" not in found.best.prompt.text


def test_a_study_separates_a_good_edit_from_a_bad_one_and_stays_within_its_share():
    def answer(text: str, row: Example) -> str:
        number = int(row.inputs["q"].split()[-1])
        if "poison" in text and number % 2:
            return "wrong"
        return "right" if "cure" in text or number % 2 else "wrong"

    bench, events, _ = bench_of(answer, world, size=40, calls=1500)
    seed = seed_prompt()
    items = [
        Screened(edit=line("cure", "x"), mended=4, tried=4),
        Screened(edit=line("poison", "y"), mended=4, tried=4),
    ]

    async def go() -> Found:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, purpose))
        return await search(bench, champion, space(seed, items), 1, champion.mean)

    before = bench.plan.left(Phase.SEARCH)
    found = asyncio.run(go())
    assert found.best.mean == 1.0
    assert "cure" in found.best.prompt.text and "poison" not in found.best.prompt.text
    assert before - bench.plan.left(Phase.SEARCH) <= 40 + (before - 40) // 2
    assert len([event for event in events if isinstance(event, TrialEnded)]) == found.trials
