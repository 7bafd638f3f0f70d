"""What chance, errors and the end of the reserve must not do to the prices of lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from optimizer.attribute import Cause, Known, Priced, attribute
from optimizer.attribute.asking import Desk
from optimizer.attribute.dropping import KEEP, Dropping
from optimizer.attribute.posterior import OTHERS, Seen
from optimizer.attribute.pricing import pool_of
from optimizer.attribute.rows import Ground
from optimizer.attribute.run import Run
from optimizer.attribute.survey import SEED, survey
from optimizer.choice import checked
from optimizer.dataset import Example
from optimizer.edits import Edit, Op, added_demo, apply
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Bench
from optimizer.events import Decided, RunEnded
from optimizer.loop import Ends, Finished, baseline, finish, price
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.prompt import Demo, Prompt, build
from optimizer.results import CallError, Result
from optimizer.search.study import Champion
from optimizer.tokens import prompt_tokens
from tests.test_attribute import RULE, SEARCH, cause, kind_of, luck, obeys, result, rules, with_lines
from tests.worlds import FunctionTarget, bench_of, seed_prompt


@pytest.mark.parametrize("lines", [1, 2])
def test_rows_that_the_first_prompt_got_wrong_by_chance_speak_for_no_line(lines):
    """They are the line's own rows because of these very answers; any other prompt gets most of them right."""

    def idle(number: int) -> Priced:
        def coin(text: str, example: Example) -> str:
            return str(example.expected) if luck(str(number), text, example.id) < 0.8 else "no idea"

        bench, _, _ = bench_of(coin, kind_of, calls=2000, size=80)
        start = seed_prompt()
        texts = [f"Note {number}-{line}." for line in range(lines)]
        winner = with_lines(start, texts)

        async def run() -> Priced:
            before = await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
            val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
            failed = [row.id for row in bench.train if not before.results[row.id].passed]
            luckless = Cause(label="luck", members=len(failed), shown=frozenset(failed[:3]))
            return await attribute(bench, start, Champion(prompt=winner, val=val), dict.fromkeys(texts, luckless))

        return asyncio.run(run())

    found = [worth for number in range(8) for one in [idle(number)] for worth in (*one.lines, *one.dropped)]
    assert len(found) == 8 * lines
    assert sum(worth.label != "not measurable" for worth in found) <= 1


def scene(
    lines: Sequence[str],
    *,
    seed: Prompt | None = None,
    answer: Callable[[str, Example], str] = obeys,
    reserve: int = 400,
) -> tuple[Run, FunctionTarget]:
    """The pricing of a prompt with these lines at the end of it, before anything is asked."""
    bench, _, target = bench_of(answer, kind_of, calls=2000)
    bench.plan.limits[Phase.ATTRIBUTION] = reserve
    start = seed or seed_prompt()
    winner = with_lines(start, lines)

    async def known() -> Champion:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        return Champion(prompt=winner, val=await bench.evaluator.evaluate(winner, bench.val, SEARCH))

    desk = Desk(bench=bench)
    found = survey(desk, start, asyncio.run(known()), {}, Known(first=start))
    run = Run(desk=desk, survey=found, prompt=winner)
    desk.found = {line: found.removal(winner, [line]) for line, one in found.lines.items() if one.change != SEED}
    return run, target


def dropping_of(run: Run, *, gone: Sequence[str] = ()) -> Dropping:
    return Dropping(
        desk=run.desk,
        survey=run.survey,
        whole=run.prompt,
        pool=pool_of(run.desk),
        priced=dict(run.desk.found),
        gone=list(gone),
    )


def ids(run: Run) -> dict[str, str]:
    return {changed.text: line for line, changed in run.survey.lines.items()}


ALPHA, BETA = RULE.format("alpha"), RULE.format("beta")


def test_a_second_asking_that_ends_in_an_error_confirms_nothing():
    def breaks(text: str, example: Example) -> str:
        if "Thank" in text:
            raise ModelError(ErrorKind.EMPTY, "cut off")
        return obeys(text, example)

    run, _ = scene([ALPHA, BETA], answer=breaks)
    removal = run.desk.found[ids(run)[ALPHA]]
    rows = removal.rows(*removal.home)[:4]
    asyncio.run(run.desk.look([(removal, rows)]))
    asyncio.run(run.desk.look_again([removal]))
    assert [(seen.value, seen.again) for seen in removal.seen.values()] == [(1.0, 0)] * 4


def test_rows_that_ended_in_errors_cast_no_doubt_on_a_line():
    run, _ = scene([ALPHA, BETA])
    removal = run.desk.found[ids(run)[ALPHA]]
    removal.seen = {row.id: Seen(raw=0.0, value=0.0) for row in removal.rows(OTHERS)}
    removal.asked = {row.id for stratum in removal.strata for row in stratum.rows}
    assert not removal.is_tried
    removal.seen[removal.rows(*removal.home)[0].id] = Seen(raw=0.0, value=0.0)
    assert removal.is_tried


def test_a_drop_that_only_errors_speak_for_is_not_made():
    def breaks(text: str, example: Example) -> str:
        if RULE.format("gamma") in text and "About alpha-code" not in text and "About beta-code" not in text:
            raise ModelError(ErrorKind.EMPTY, "cut off")
        return obeys(text, example)

    idle = ["About alpha-code, be careful.", "About beta-code, be careful."]
    run, _ = scene([*rules("alpha", "beta", "gamma"), *idle], answer=breaks)
    lines = [ids(run)[text] for text in idle]
    for line in lines:
        alone = run.desk.found[line]
        alone.seen = {row.id: Seen(raw=0.0, value=0.0) for row in alone.rows(*alone.home)}
        alone.asked = set(alone.seen)
    asyncio.run(run.drop(KEEP))
    assert run.prompt.fingerprint == run.survey.without(run.prompt, []).fingerprint
    assert run.dropped == []


@pytest.mark.parametrize(("value", "goes"), [(0.0, False), (-1.0, True)])
def test_a_line_of_the_seed_goes_only_where_it_hurts(value, goes):
    def answer(text: str, example: Example) -> str:
        hurt = value < 0 and "Say beta-code to alpha." in text and str(example.inputs["q"]).startswith("alpha")
        return "beta-code" if hurt else obeys(text, example)

    start = seed_prompt("Answer the question.\nSay beta-code to alpha.")
    run, _ = scene([*rules("gamma", "delta"), ALPHA], seed=start, answer=answer)
    line = ids(run)["Say beta-code to alpha."]
    removal = run.survey.removal(run.prompt, [line])
    removal.seen = {row.id: Seen(raw=value, value=value, again=2) for row in removal.rows(*removal.home)}
    removal.asked = set(removal.seen)
    run.desk.found = {line: removal}
    asyncio.run(run.drop(KEEP))
    assert (run.dropped == [line]) is goes


def test_a_line_that_is_missed_comes_back_where_the_reserve_ends():
    run, target = scene([RULE.format("gamma"), ALPHA, BETA], reserve=0)
    line = ids(run)[ALPHA]
    dropping = dropping_of(run, gone=[line, ids(run)[BETA]])
    removal = run.survey.removal(run.prompt, dropping.gone)
    removal.seen = {row: Seen(raw=1.0, value=1.0, again=2) for row in run.survey.own(line)}
    before = len(target.calls)
    asyncio.run(dropping._restore(removal, line))
    assert dropping.gone == [ids(run)[BETA]]
    assert len(target.calls) == before


def test_no_line_comes_back_into_a_prompt_that_would_be_too_long():
    run, _ = scene([ALPHA, BETA])
    line = ids(run)[ALPHA]
    run.desk.bench = replace(run.desk.bench, max_tokens=prompt_tokens(run.survey.without(run.prompt, [line])))
    dropping = dropping_of(run, gone=[line])
    removal = run.survey.removal(run.prompt, [line])
    removal.seen = {row.id: Seen(raw=1.0, value=1.0, again=2) for row in removal.rows(*removal.home)}
    asyncio.run(dropping._restore(removal, line))
    assert dropping.gone == [line]


def test_a_line_priced_beside_one_that_came_back_is_held_against_the_prompt_that_is_left():
    run, _ = scene([*rules("gamma"), ALPHA, BETA])
    first, second = ids(run)[ALPHA], ids(run)[BETA]
    dropping = dropping_of(run)
    beside = replace(run.desk.found[second], part=run.survey.part(run.prompt, [first, second]))
    dropping.priced[second] = beside
    run.desk.found = dropping.priced
    asyncio.run(run._without(dropping))
    left = run.survey.without(run.prompt, [second])
    assert run.desk.found[second].part.fingerprint == left.fingerprint


def test_lines_of_a_seed_without_a_variable_may_all_be_left_out_to_see():
    start = build("seed", [("user", "Say beta-code.\nSay gamma-code.")])
    run, _ = scene([], seed=start)
    lines = list(run.survey.lines)
    assert len(lines) == 2
    assert not run.desk.fits(run.survey.without(run.prompt, lines))


def test_a_locked_line_of_the_seed_is_never_left_out():
    start = seed_prompt("Answer the question.\nSay beta-code to alpha. <!-- keep -->\nBe brief.")
    run, _ = scene([ALPHA], seed=start)
    assert set(ids(run)) == {ALPHA, "Answer the question.", "Be brief."}


def test_an_error_is_no_change_of_a_row():
    rows = tuple(Example(id=f"r{number}", inputs={}, expected="") for number in range(4))
    fault = CallError(kind=ErrorKind.EMPTY, message="cut off", status=None, attempts=1)
    after = {row.id: result(row.id, "Heron", "Heron") for row in rows}
    broken = {**after, "r0": Result(example="r0", candidate="p", error=fault), "r1": result("r1", "Ember", "Heron")}
    cut = Ground(rows=rows, before=after, after=broken).cut(["Be careful."], [], ())
    assert {stratum.name: [row.id for row in stratum.rows] for stratum in cut.strata}["cluster"] == ["r1"]


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("reserve", [0, 7, 33, 120])
def test_the_reserve_holds_with_repeats_demos_and_a_check_that_is_held_back(repeats, reserve):
    bench, _, _ = bench_of(obeys, kind_of, calls=4000)
    bench.evaluator.repeats = repeats
    bench.plan.limits[Phase.ATTRIBUTION], bench.plan.kept = reserve + 8, 8
    demos = [Demo(inputs=row.inputs, output=str(row.expected), row=row.id) for row in bench.train[:2]]
    start = apply(seed_prompt("Answer.\nBe brief."), [added_demo(demos[0], cluster="c")])
    gone = [Edit(op=Op.REMOVE_DEMO, target="D1"), Edit(op=Op.REMOVE_LINE, target="L2")]
    winner = apply(with_lines(start, [ALPHA, BETA, "Be careful."]), [*gone, added_demo(demos[1], cluster="c")])

    async def go() -> Priced:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        return await attribute(bench, start, Champion(prompt=winner, val=val), {})

    found = asyncio.run(go())
    assert len(bench.plan.asked[Phase.ATTRIBUTION]) <= reserve
    assert {worth.id for worth in (*found.lines, *found.dropped)} == {"L4", "L5", "L6", "D1", "D2", "L2"}
    shown = {row.id for row in bench.train[:2]}
    assert not shown & {row for worth in found.lines if worth.id[0] == "D" for row in (*worth.fixed, *worth.broken)}


def test_where_every_line_goes_the_run_ends_with_the_seed_and_the_test_rows_stay_sealed():
    bench, events, target = bench_of(lambda text, example: "no idea", kind_of, calls=2000)
    start = seed_prompt()
    winner = with_lines(start, ["About alpha-code, be careful.", "Be kind."])

    async def go() -> Finished:
        state = await baseline(bench, start)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        state = replace(state, champion=Champion(prompt=winner, val=val))
        priced = await price(bench, state)
        assert priced.lines == ()
        return await finish(bench, ends, state, await checked(bench, state, priced, ()))

    def shipped(prompt: Prompt, outcome: Outcome) -> Decided:
        raise AssertionError("nothing changed")

    ends = Ends(look=lambda before, after: 1, ship=shipped)
    done = asyncio.run(go())
    assert done.winner.fingerprint == start.fingerprint
    assert done.outcome.test is None
    assert done.outcome.verdict in (Verdict.NOT_SHOWN, Verdict.TOO_SMALL)
    assert "none of its lines earned" in done.outcome.reason
    assert not {row for _, row in target.calls} & {row.id for row in bench.test}
    assert isinstance(events[-1], RunEnded)


def test_a_line_that_breaks_rows_which_share_nothing_with_it_is_found():
    """It aims at alpha and mends it; what it does to omega is seen in the screening of the rest alone."""

    def shouts(text: str, example: Example) -> str:
        kind = str(example.inputs["q"]).split()[0]
        if "In capitals: alpha-code." in text and kind in ("alpha", "omega"):
            return "alpha-code" if kind == "alpha" else "NO IDEA"
        return obeys(text, example)

    bench, _, _ = bench_of(shouts, kind_of, calls=2000)
    start = seed_prompt("Answer the question.\nAnswer omega-code to omega.")
    text = "In capitals: alpha-code."
    winner = with_lines(start, [*rules("beta", "gamma", "delta"), text])
    causes = {one: cause(bench, kind) for one, kind in {**rules("beta", "gamma", "delta"), text: "alpha"}.items()}

    async def go() -> Priced:
        await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
        val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
        return await attribute(bench, start, Champion(prompt=winner, val=val), causes)

    found = asyncio.run(go())
    (worth,) = (worth for worth in (*found.lines, *found.dropped) if worth.text == text)
    assert worth.broken and {bench_row(bench, row) for row in worth.broken} == {"omega"}
    assert worth.label == "not measurable", worth


def bench_row(bench: Bench, row: str) -> str:
    return next(str(one.inputs["q"]).split()[0] for one in (*bench.val, *bench.train) if one.id == row)
