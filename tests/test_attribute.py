"""What lines are worth, in worlds whose truth is known."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from random import Random

import pytest

from optimizer.attribute import Cause, Priced, attribute
from optimizer.attribute.asking import Desk
from optimizer.attribute.posterior import (
    CENTRE,
    CLUSTER,
    NAMED,
    OTHERS,
    Pool,
    Posterior,
    Seen,
    Tally,
    pooled,
    posterior,
    raw_worth,
)
from optimizer.attribute.removal import Removal
from optimizer.attribute.rows import Ground, in_turn
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade, Decided, Event, LinePriced
from optimizer.outcome import LineWorth, Phase
from optimizer.prompt import Prompt
from optimizer.results import Completion, Result, Score
from optimizer.search.study import Champion
from tests.worlds import bench_of, seed_prompt

KINDS = ("alpha", "beta", "gamma", "delta", "omega")
"""What rows are about; each wants an answer of its own, and the model knows none of them."""
RULE = "Answer {0}-code to {0}."
SEARCH = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)


def kind_of(number: int) -> tuple[str, str]:
    """A fifth of the rows are of each kind."""
    kind = KINDS[number % len(KINDS)]
    return f"{kind} {number}", f"{kind}-code"


def luck(*parts: str) -> float:
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def obeys(text: str, example: Example, adherence: float = 1.0) -> str:
    """Follows the rule of the row's kind where the prompt states it, most of the time; the last one that it states."""
    kind = str(example.inputs["q"]).split()[0]
    stated = [line for line in text.split("\n") if line.endswith(f" to {kind}.") or line.endswith(" to all.")]
    if not stated or luck(text, example.id) > adherence:
        return "no idea"
    return stated[-1].split()[1]


def unsteady(adherence: float) -> Callable[[str, Example], str]:
    return lambda text, example: obeys(text, example, adherence)


def with_lines(seed: Prompt, lines: Sequence[str]) -> Prompt:
    return apply(seed, [Edit(op=Op.ADD_LINE, after=END, text=line) for line in lines])


def cause(bench: Bench, kind: str, shown: int = 2) -> Cause:
    """A line that was proposed for the failures of one kind, two of which its proposer saw."""
    rows = [row.id for row in bench.train if str(row.inputs["q"]).startswith(kind)]
    return Cause(label=f"{kind} is wrong", members=len(rows), shown=frozenset(rows[:shown]))


def priced(
    lines: Mapping[str, str],
    answer: Callable[[str, Example], str] = obeys,
    *,
    reserve: int = 450,
    seed: Prompt | None = None,
    shown: int = 2,
) -> tuple[Priced, Bench, list[Event], Prompt]:
    """Price a prompt with these lines: text -> the kind that it was proposed for."""
    bench, events, _ = bench_of(answer, kind_of, calls=2000)
    bench.plan.limits[Phase.ATTRIBUTION] = reserve
    start = seed or seed_prompt()
    winner = with_lines(start, list(lines))
    causes = {text: cause(bench, kind, shown) for text, kind in lines.items()}

    async def run() -> Priced:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        return await attribute(bench, start, Champion(prompt=winner, val=val), causes)

    return asyncio.run(run()), bench, events, winner


def by_text(found: Sequence[LineWorth]) -> dict[str, LineWorth]:
    return {worth.text: worth for worth in found}


def rules(*kinds: str) -> dict[str, str]:
    return {RULE.format(kind): kind for kind in kinds}


@pytest.mark.parametrize("adherence", [1.0, 0.9])
def test_a_true_rule_is_worth_its_share_of_the_rows_and_a_platitude_goes(adherence):
    result, bench, events, winner = priced({**rules("alpha", "beta"), "Be careful.": "alpha"}, unsteady(adherence))
    lines = by_text(result.lines)
    assert set(lines) == set(rules("alpha", "beta"))
    assert all(worth.label == "earns" for worth in lines.values())
    assert all(worth.worth == pytest.approx(0.2 * adherence, abs=0.06) for worth in lines.values())
    assert all(low <= 0.2 * adherence <= high for worth in lines.values() for low, high in [worth.ci or (0.0, 0.0)])
    assert [worth.text for worth in result.dropped] == ["Be careful."]
    assert "Be careful." not in result.winner.prompt.text
    assert result.winner.val.candidate == result.winner.prompt.fingerprint
    told = [event.worth for event in events if isinstance(event, LinePriced)]
    assert tuple(told) == result.lines
    drops = [
        event.decided if isinstance(event, LinePriced) else event for event in events if isinstance(event, Decided)
    ]
    assert [event.figures["without"] for event in drops] == [result.winner.prompt.fingerprint]
    assert winner.fingerprint != result.winner.prompt.fingerprint


@pytest.mark.parametrize("reserve", [0, 5, 17, 40, 90, 200])
def test_the_reserve_is_never_overdrawn(reserve):
    _, bench, *_ = priced({**rules(*KINDS), "Be careful.": "alpha"}, unsteady(0.8), reserve=reserve)
    assert len(bench.plan.asked[Phase.ATTRIBUTION]) <= reserve


def test_where_the_reserve_ends_lines_have_no_worth_and_stay():
    result, _, _, winner = priced(rules(*KINDS), reserve=6)
    assert result.winner.prompt.fingerprint == winner.fingerprint
    unknown = [worth for worth in result.lines if worth.worth is None]
    assert len(result.lines) == len(KINDS)
    assert unknown and all(worth.label == "not measurable" and worth.ci is None for worth in unknown)


def test_rows_that_the_proposer_saw_never_judge_its_line():
    lines = rules("alpha", "beta")
    bench, events, target = bench_of(obeys, kind_of, calls=2000)
    start = seed_prompt()
    winner = with_lines(start, list(lines))
    causes = {text: cause(bench, kind, 4) for text, kind in lines.items()}

    async def run() -> None:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        await attribute(bench, start, Champion(prompt=winner, val=val), causes)

    asyncio.run(run())
    for text in lines:
        part = with_lines(start, [other for other in lines if other != text])
        asked = {row for candidate, row in target.calls if candidate == part.fingerprint}
        assert asked and not asked & causes[text].shown


def test_a_rule_of_few_rows_stays_where_its_own_rows_show_that_it_works():
    def rare(number: int) -> tuple[str, str]:
        return (f"omega {number}", "omega-code") if number % 20 == 0 else (f"alpha {number}", "alpha-code")

    bench, _, _ = bench_of(unsteady(0.9), rare, calls=2000)
    start = seed_prompt()
    winner = with_lines(start, [RULE.format("alpha"), RULE.format("omega")])
    shown = frozenset(row.id for row in bench.train if str(row.inputs["q"]).startswith("alpha"))
    causes = {
        RULE.format("alpha"): Cause(label="alpha", members=38, shown=frozenset(sorted(shown)[:4])),
        RULE.format("omega"): Cause(label="omega", members=2, shown=frozenset(["t000"])),
    }

    async def run() -> Priced:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        return await attribute(bench, start, Champion(prompt=winner, val=val), causes)

    result = asyncio.run(run())
    assert by_text(result.lines).keys() == {RULE.format("alpha"), RULE.format("omega")}


def test_of_two_lines_that_say_the_same_one_goes_and_the_other_has_the_price_of_both():
    twice = {RULE.format("alpha"): "alpha", "Say alpha-code to alpha.": "alpha", **rules("beta")}
    result, *_ = priced(twice, unsteady(0.9))
    kept = [worth for worth in result.lines if "alpha" in worth.text]
    assert len(kept) == 1
    assert kept[0].label == "earns"
    assert kept[0].worth == pytest.approx(0.18, abs=0.06)
    assert len(result.dropped) == 1


def test_a_line_that_hurts_goes_and_no_longer_hides_what_another_is_worth():
    # The later line wins: the wrong one makes the right one look useless.
    result, *_ = priced({**rules("alpha", "beta"), "Answer beta-code to alpha.": "alpha"}, unsteady(0.9))
    assert [worth.text for worth in result.dropped] == ["Answer beta-code to alpha."]
    assert all(worth.label == "earns" for worth in result.lines)


def test_a_line_of_the_seed_that_hurts_goes_too():
    def stubborn(text: str, example: Example) -> str:
        kind = str(example.inputs["q"]).split()[0]
        if kind == "alpha" and "Always say beta-code to alpha." in text:
            return "beta-code" if luck(text, example.id) < 0.9 else "no idea"
        return obeys(text, example, 0.9)

    start = seed_prompt("Answer the question.\nAlways say beta-code to alpha.")
    result, *_ = priced(rules("alpha", "beta", "gamma"), stubborn, seed=start)
    gone = [worth for worth in result.lines if worth.change == "removed"]
    assert [worth.text for worth in gone] == ["Always say beta-code to alpha."]
    assert gone[0].worth is not None and gone[0].worth > 0
    assert "Always say" not in result.winner.prompt.text
    assert {worth.text for worth in result.lines} >= set(rules("alpha", "beta", "gamma"))


def test_lines_that_only_work_together_are_told_as_one():
    def needs_both(text: str, example: Example) -> str:
        kind = str(example.inputs["q"]).split()[0]
        if kind == "alpha":
            return "alpha-code" if "Codes exist." in text and "Use them for alpha." in text else "no idea"
        return obeys(text, example)

    lines = {"Codes exist.": "alpha", "Use them for alpha.": "alpha", **rules("beta")}
    result, *_ = priced(lines, needs_both)
    found = by_text(result.lines)
    pair = found["Codes exist."], found["Use them for alpha."]
    assert (pair[0].with_line, pair[1].with_line) == (pair[1].id, pair[0].id)
    assert pair[0].worth == pytest.approx(pair[1].worth or 0.0, abs=0.03)
    assert found[RULE.format("beta")].with_line == ""


def test_a_model_that_draws_anew_makes_no_line_earn():
    def coin(text: str, example: Example) -> str:
        return str(example.expected) if luck("coin", text, example.id) < 0.5 else "no idea"

    wrong = 0
    for number in range(8):
        lines = {f"Note {number}-{line}.": kind for line, kind in enumerate(KINDS)}
        result, *_ = priced(lines, coin)
        wrong += sum(worth.label != "not measurable" for worth in (*result.lines, *result.dropped))
    assert wrong <= 2  # of 40


def test_errors_judge_nothing():
    def breaks(text: str, example: Example) -> str:
        if RULE.format("alpha") not in text and example.id.endswith("5"):
            raise ModelError(ErrorKind.EMPTY, "cut off")
        return obeys(text, example)

    result, bench, *_ = priced(rules("alpha", "beta"), breaks)
    found = by_text(result.lines)[RULE.format("alpha")]
    assert found.label == "earns"
    assert not {row for row in (*found.fixed, *found.broken) if row.endswith("5")}


def test_the_same_pricing_again_asks_for_nothing_and_tells_the_same():
    lines = {**rules("alpha", "beta"), "Be careful.": "alpha"}
    first, bench, events, winner = priced(lines, unsteady(0.9))
    fresh, more_events, target = bench_of(unsteady(0.9), kind_of, calls=2000)
    fresh.evaluator.known.update(bench.evaluator.known)
    start = seed_prompt()
    causes = {text: cause(fresh, kind) for text, kind in lines.items()}

    async def run() -> Priced:
        await fresh.evaluator.evaluate(start, (*fresh.val, *fresh.train), SEARCH)
        val = await fresh.evaluator.evaluate(winner, fresh.val, SEARCH)
        return await attribute(fresh, start, Champion(prompt=winner, val=val), causes)

    assert asyncio.run(run()) == first
    assert target.calls == []
    made = [event.prompt.fingerprint for event in events if isinstance(event, CandidateMade)]
    assert made == [event.prompt.fingerprint for event in more_events if isinstance(event, CandidateMade)]


# The posterior


def tally(stratum: str, share: float, up: int, down: int, same: int, *, again: int = 2, size: float = 1.0) -> Tally:
    seen = [Seen(raw=size, value=size, again=again)] * up + [Seen(raw=-size, value=-size, again=again)] * down
    return Tally(stratum=stratum, share=share, seen=(*seen, *[Seen(raw=0.0, value=0.0)] * same))


POOL = Pool(chance=(0.09, 0.01, 0.002))


@pytest.mark.parametrize(
    ("own", "rest", "label"),
    [
        ((4, 0, 0), (0, 0, 24), "earns"),
        ((0, 4, 0), (0, 0, 24), "hurts"),
        ((0, 0, 6), (0, 0, 24), "not measurable"),
        ((1, 0, 5), (0, 0, 24), "not measurable"),
        ((0, 0, 0), (1, 0, 40), "not measurable"),
        ((4, 0, 0), (0, 9, 3), "hurts"),
    ],
)
def test_a_label_says_that_the_interval_leaves_out_zero(own, rest, label):
    found = posterior([tally(CLUSTER, 0.1, *own), tally(OTHERS, 0.9, *rest)], POOL)
    low, high = found.interval
    assert found.label == label
    assert (low > 0) is (label == "earns")
    assert (high < 0) is (label == "hurts")
    assert -1 <= low <= found.mean <= high <= 1


def test_worth_counts_by_the_share_of_the_stratum():
    small = posterior([tally(CLUSTER, 0.05, 9, 0, 1), tally(OTHERS, 0.95, 0, 0, 40)], POOL)
    large = posterior([tally(CLUSTER, 0.5, 9, 0, 1), tally(OTHERS, 0.5, 0, 0, 40)], POOL)
    assert small.mean == pytest.approx(0.045, abs=0.006)
    assert large.mean == pytest.approx(0.45, abs=0.06)


def test_a_part_of_a_score_counts_as_large_as_it_is():
    found = posterior([tally(CLUSTER, 0.5, 8, 0, 0, size=0.25)], POOL)
    assert found.mean == pytest.approx(0.125, abs=0.02)


def test_few_rows_are_drawn_towards_what_lines_do_to_their_clusters():
    many = [tally(CLUSTER, 0.1, 9, 0, 1) for _ in range(6)]
    pool = pooled(many)
    up, down, same = pool.centre[CLUSTER]
    assert up + down + same == pytest.approx(sum(CENTRE[CLUSTER]))
    assert up > same > down
    one = [tally(CLUSTER, 0.1, 1, 0, 0)]
    assert posterior(one, pool).mean > posterior(one, POOL).mean


def test_chance_is_learnt_from_rows_that_no_line_aims_at():
    calm, wild = pooled([tally(OTHERS, 1.0, 0, 0, 60)]), pooled([tally(OTHERS, 1.0, 15, 15, 30, again=0)])
    assert calm.chance[0] < 0.02 < 0.2 < wild.chance[0]
    assert all(first > second for first, second in zip(calm.chance, calm.chance[1:], strict=False))


def test_a_row_asked_again_counts_for_more_than_one_that_was_not():
    rest = tally(OTHERS, 0.9, 0, 0, 24)
    once = posterior([tally(CLUSTER, 0.1, 2, 0, 2, again=0), rest], POOL)
    thrice = posterior([tally(CLUSTER, 0.1, 2, 0, 2, again=2), rest], POOL)
    assert thrice.earns > once.earns > 0.5


def test_the_raw_worth_is_the_stratified_mean():
    assert raw_worth([tally(CLUSTER, 0.2, 3, 0, 1), tally(OTHERS, 0.8, 0, 1, 7)]) == pytest.approx(0.2 * 0.75 - 0.1)
    assert raw_worth([tally(CLUSTER, 0.2, 3, 0, 1), tally(OTHERS, 0.8, 0, 0, 0)]) is None
    assert raw_worth([]) is None


def test_the_interval_covers_lines_of_all_sizes():
    """Lines drawn from what the posterior assumes: its 95% intervals hold the truth about so often."""
    rng = Random(5)
    held = 0
    for _ in range(400):
        live = rng.random() < 0.6
        weights = [rng.gammavariate(0.5, 1.0) for _ in range(3)]
        shares = [weight / sum(weights) for weight in weights] if live else [0.002, 0.002, 0.996]
        rows = [rng.choices((1, -1, 0), shares)[0] for _ in range(8)]
        own = tally(CLUSTER, 0.1, rows.count(1), rows.count(-1), rows.count(0))
        truth = 0.1 * (shares[0] - shares[1]) + rng.gauss(0.0, 0.004)
        low, high = posterior([own], POOL).interval
        held += low <= truth <= high
    assert 0.91 <= held / 400 <= 0.99


def test_a_posterior_of_nothing_is_flat_at_zero():
    found = posterior([], POOL)
    assert found.mean == 0.0
    assert found.label == "not measurable"
    assert isinstance(found, Posterior) and found.earns == pytest.approx(0.5)


# Strata


def result(row: str, got: str, wanted: str, *, metric: str = "label") -> Result:
    right = got == wanted
    score = Score(metric=metric, value=float(right), passed=right, place="label", wanted=wanted, got=got)
    return Result(example=row, candidate="p", completion=Completion(text=got), scores=(score,))


def ground() -> Ground:
    rows = tuple(Example(id=f"r{number}", inputs={"q": str(number)}, expected="") for number in range(12))
    wanted = ["Heron", "Heron", "Heron", "Ember", "Ember", "Basil", "Basil", "Basil", "Coral", "Coral", "Dune", "Dune"]
    said = ["Heron", "Heron", "Heron", "Heron", "Ember", "Basil", "Basil", "Basil", "Coral", "Coral", "Dune", "Dune"]
    return Ground(
        rows=rows,
        before={row.id: result(row.id, "General", want) for row, want in zip(rows, wanted, strict=True)},
        after={row.id: result(row.id, got, want) for row, got, want in zip(rows, said, wanted, strict=True)},
    )


def names(found: Ground, texts: Sequence[str], shown: frozenset[str], barred: frozenset[str]) -> dict[str, list[str]]:
    cut = found.cut(texts, [(shown, frozenset())], barred)
    return {stratum.name: [row.id for row in stratum.rows] for stratum in cut.strata}


def test_strata_are_the_cluster_then_rows_that_a_line_names():
    found = names(ground(), ["If it is a bird, answer Heron."], frozenset({"r0", "r1"}), frozenset({"r0", "r1"}))
    assert found["cluster"] == ["r2"]
    assert found["failed"] == ["r3"]
    assert found["named"] == []
    assert len(found["others"]) == 8


def test_shares_count_the_rows_that_may_not_judge():
    cut = ground().cut(["Answer Heron."], [(frozenset({"r0", "r1"}), frozenset())], frozenset({"r0", "r1"}))
    assert [stratum.share for stratum in cut.strata] == pytest.approx([3 / 12, 1 / 12, 0.0, 8 / 12])


def test_a_line_without_a_cause_has_the_rows_that_it_names_or_those_that_changed():
    nothing: frozenset[str] = frozenset()
    assert names(ground(), ["Answer Basil."], nothing, nothing)["named"] == ["r5", "r6", "r7"]
    assert names(ground(), ["Be careful."], nothing, nothing)["cluster"] == [
        f"r{number}" for number in range(12) if number != 3
    ]


def test_rows_come_in_an_order_that_no_outcome_decides():
    rows = ground().rows
    order = in_turn(rows, 7, {"r4"})
    assert order[0].id == "r4"
    assert order == in_turn(tuple(reversed(rows)), 7, {"r4"})
    assert [row.id for row in order] != [row.id for row in in_turn(rows, 8, {"r4"})]
    assert sorted(row.id for row in order) == sorted(row.id for row in rows)


def test_the_loser_is_asked_again_and_a_row_counts_where_it_loses_each_time():
    bench, _, target = bench_of(unsteady(0.7), kind_of, calls=4000)
    start = seed_prompt()
    whole = with_lines(start, [*rules(*KINDS), "Be careful."])
    part = with_lines(start, list(rules(*KINDS)))
    desk = Desk(bench=bench)
    cut = Ground(rows=bench.val, before={}, after={}).cut((), (), ())
    removal = Removal(lines=("L9",), whole=whole, part=part, strata=cut.strata)

    async def run() -> None:
        await desk.look([(removal, bench.val)])
        await desk.look_again([removal])

    asyncio.run(run())
    raw = sum(seen.raw != 0 for seen in removal.seen.values())
    kept = sum(seen.value != 0 for seen in removal.seen.values())
    assert raw >= 8
    assert kept <= raw / 3
    assert all(seen.again == 0 for seen in removal.seen.values() if seen.raw == 0)
    assert NAMED not in {stratum.name for stratum in cut.strata if stratum.rows}


@pytest.mark.parametrize(("mended", "stays"), [(4, True), (2, False)])
def test_a_line_stays_where_rows_that_it_mended_are_lost_without_it(mended, stays):
    """No row beside those that its proposer saw speaks for it: unlucky rows of val, all of them."""

    def unlucky(text: str, example: Example) -> str:
        omega = str(example.inputs["q"]).startswith("omega")
        return "no idea" if omega and example.id.startswith("v") else obeys(text, example)

    bench, _, _ = bench_of(unlucky, kind_of, calls=2000)
    start = seed_prompt()
    lines = [RULE.format("alpha"), RULE.format("omega")]
    winner = with_lines(start, lines)
    rows = [row.id for row in bench.train if str(row.inputs["q"]).startswith("omega")]
    causes = {
        lines[0]: cause(bench, "alpha"),
        lines[1]: Cause(label="omega", members=len(rows), shown=frozenset(rows), mended=frozenset(rows[:mended])),
    }

    async def run() -> Priced:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        return await attribute(bench, start, Champion(prompt=winner, val=val), causes)

    result = asyncio.run(run())
    assert (lines[1] in result.winner.prompt.text) is stays
    assert by_text((*result.lines, *result.dropped))[lines[1]].label != "earns"
