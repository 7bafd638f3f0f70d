"""What a run may end with: protected rows, a limit of size, a wish beside the score. Over many simulated runs."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from optimizer.attribute import Priced
from optimizer.choice import checked, settled, shortened, unpriced
from optimizer.config import Prefer
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.errors import BudgetExceeded, ErrorKind, ModelError
from optimizer.evaluator import Bench, Purpose, fits
from optimizer.events import Decided, Event
from optimizer.loop import Ends, Finished, run
from optimizer.mutate.base import Proposal
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.plan import plan_for
from optimizer.prompt import Demo, Prompt
from optimizer.round import RunState
from optimizer.search.study import Champion
from optimizer.tokens import prompt_tokens
from tests.worlds import Chatter, bench_of, seed_prompt

SIZE = 24


def kept(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory")


ENDS = Ends(look=lambda seed, winner: 1, ship=kept)


def question(number: int) -> tuple[str, str]:
    return f"what is it {number}", "right"


def luck(*parts: object) -> float:
    return int.from_bytes(hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:4], "big") / 2**32


def lines_that_mend_and_break(seed: int, *, breaks: float = 0.06, errors: float = 0.0) -> Callable[[str, Example], str]:
    """Every line mends a third of the rows and breaks some; which ones, only the line decides."""

    def answer(text: str, example: Example) -> str:
        right = luck(seed, "seed", example.id) < 0.5
        for line in text.split("\n"):
            if line.startswith("Note"):
                drawn = luck(seed, line, example.id)
                right = drawn < 0.35 or (right and drawn < 1 - breaks)
                if luck(seed, "error", line, example.id) < errors:
                    raise ModelError(ErrorKind.TIMEOUT, "no answer within 60 s")
        return "right" if right else "wrong"

    return answer


def simulated(
    answer: Callable[[str, Example], str], seed: int, **limits: object
) -> tuple[Bench, list[Event], Finished]:
    bench, events, _ = bench_of(answer, question, size=SIZE, calls=700, seed=seed)
    limited = replace(bench, **limits)  # type: ignore[arg-type]
    proposers = Proposers(mutators=(Chatter(),), asks_model=False)
    return limited, events, asyncio.run(run(limited, seed_prompt(), proposers, ENDS))


def passes(answer: Callable[[str, Example], str], prompt: Prompt, row: Example) -> bool:
    try:
        return answer(prompt.text, row) == str(row.expected)
    except ModelError:
        return False


def truly_broken(bench: Bench, answer: Callable[[str, Example], str], winner: Prompt) -> set[str]:
    """By the world itself, not by what the run recorded."""
    rows = [row for row in (*bench.train, *bench.val, *bench.test) if row.id in bench.protected]
    return {row.id for row in rows if passes(answer, seed_prompt(), row) and not passes(answer, winner, row)}


def test_no_protected_row_breaks_in_an_accepted_prompt_without_blocked() -> None:
    verdicts = []
    for seed in range(40):
        rng = random.Random(seed)
        answer = lines_that_mend_and_break(seed, errors=0.01 if seed % 4 == 0 else 0.0)
        names = [f"{split}{number:03}" for split in "tvs" for number in range(SIZE)]
        guarded = frozenset(rng.sample(names, rng.choice([1, 4, 12, 40])))
        bench, _, finished = simulated(answer, seed, protected=guarded)
        outcome, fell = finished.outcome, truly_broken(bench, answer, finished.winner)
        assert bool(fell) is (outcome.verdict is Verdict.BLOCKED), seed
        assert set(outcome.broken) <= fell
        if fell:
            assert all(row in outcome.reason for row in outcome.broken[:10])
            sealed = {row[0] for row in outcome.broken} & {"t", "v"}
            assert (outcome.test is None) is bool(sealed), "what breaks before the test is not tested"
            assert outcome.test is not None or not bench.plan.asked[Phase.TEST]
        verdicts.append((outcome.verdict is Verdict.BLOCKED, finished.winner.fingerprint != seed_prompt().fingerprint))
    # The worlds are not vacuous: some runs are blocked, others ship a prompt that protects what it should.
    assert sum(blocked for blocked, _ in verdicts) >= 3
    assert sum(changed and not blocked for blocked, changed in verdicts) >= 10


def test_the_check_stays_within_the_plan() -> None:
    answer = lines_that_mend_and_break(3, breaks=0.0)
    bench, _, _ = bench_of(answer, question, size=SIZE)
    guarded = frozenset(row.id for row in (*bench.train, *bench.val))
    plan = plan_for(calls=400, train=SIZE, val=SIZE, test=SIZE, protected=len(guarded))
    bench.evaluator.plan = plan
    limited = replace(bench, protected=guarded)
    finished = asyncio.run(run(limited, seed_prompt(), Proposers(mutators=(Chatter(),), asks_model=False), ENDS))
    assert finished.outcome.verdict is not Verdict.BLOCKED and finished.outcome.protected > 0
    for phase in Phase:
        assert len(plan.asked[phase]) <= plan.limits[phase]


def test_no_run_with_a_limit_ends_with_a_longer_prompt() -> None:
    changed = 0
    for seed in range(16):
        limit = prompt_tokens(seed_prompt()) + (0, 4, 7, 13)[seed % 4]
        _, _, finished = simulated(lines_that_mend_and_break(seed, breaks=0.0), seed, max_tokens=limit)
        assert fits(finished.winner, limit)
        changed += finished.winner.fingerprint != seed_prompt().fingerprint
    assert changed >= 4


def test_what_does_not_fit_says_so() -> None:
    limit = prompt_tokens(seed_prompt())
    _, _, finished = simulated(lines_that_mend_and_break(1, breaks=0.0), 1, max_tokens=limit)
    assert finished.winner.fingerprint == seed_prompt().fingerprint and finished.outcome.test is None


CURE = "Be right."
SPARE = "Mind the last three questions as well, please, and take your time with each of them."


def cured(text: str, example: Example) -> str:
    """The cure mends all rows but three, one of them in val; the spare line mends these."""
    last = int(example.id[1:]) >= (59 if example.id[0] == "v" else 57)
    return "right" if (SPARE in text if last else CURE in text) else "wrong"


def of_lines(*lines: str) -> Prompt:
    return apply(seed_prompt(), [Edit(op=Op.ADD_LINE, after=END, text=line, cluster="c") for line in lines])


def found(bench: Bench, prompt: Prompt) -> Champion:
    purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)
    return Champion(prompt=prompt, val=asyncio.run(bench.evaluator.evaluate(prompt, bench.val, purpose)))


def state_of(bench: Bench, champion: Prompt, *others: Prompt) -> RunState:
    purpose = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
    train = asyncio.run(bench.evaluator.evaluate(seed_prompt(), bench.train, purpose))
    baseline = found(bench, seed_prompt())
    scored = tuple(found(bench, prompt) for prompt in others)
    return RunState(seed=seed_prompt(), baseline=baseline, champion=found(bench, champion), train=train, scored=scored)


@pytest.mark.parametrize(
    ("limits", "want"),
    [
        ({}, (CURE, SPARE)),
        ({"prefer": Prefer.SHORTER}, (CURE,)),
        ({"prefer": Prefer.CHEAPER}, (CURE,)),
        ({"max_tokens": prompt_tokens(of_lines(CURE))}, (CURE,)),
        ({"max_tokens": prompt_tokens(of_lines(CURE)) - 1}, ()),
        ({"protected": frozenset({"v001"})}, (CURE, SPARE)),
    ],
)
def test_the_run_goes_on_with_what_may_be_and_is_wanted(limits: Mapping[str, Any], want: tuple[str, ...]) -> None:
    bench = replace(bench_of(cured, question, size=60, calls=2000)[0], **limits)
    state = state_of(bench, of_lines(CURE, SPARE), of_lines(CURE))
    settled_on = asyncio.run(settled(bench, state))
    assert settled_on.champion.prompt.fingerprint == of_lines(*want).fingerprint
    assert (settled_on.refused == "") is (len(want) == 2)
    if "max_tokens" in limits:
        assert f"tokens, and max_tokens is {limits['max_tokens']}" in settled_on.refused


def test_a_candidate_that_breaks_a_protected_val_row_ends_no_run() -> None:
    def answer(text: str, example: Example) -> str:
        if example.id == "v059":
            return "wrong" if SPARE in text else "right"
        return "right" if CURE in text else "wrong"

    bench = replace(bench_of(answer, question, size=60, calls=2000)[0], protected=frozenset({"v059"}))
    state = asyncio.run(settled(bench, state_of(bench, of_lines(CURE, SPARE), of_lines(CURE))))
    assert state.champion.prompt.fingerprint == of_lines(CURE).fingerprint
    assert state.refused == "the best prompt breaks protected val rows: v059"


def test_a_line_that_pricing_could_do_without_goes_where_shorter_is_wanted() -> None:
    bench = replace(bench_of(cured, question, size=60, calls=2000)[0], prefer=Prefer.SHORTER)
    state = state_of(bench, of_lines(CURE, SPARE))
    lines = unpriced(state, state.champion).lines
    prices = tuple(replace(line, worth=0.5, label="earns") for line in lines)
    priced = Priced(winner=state.champion, lines=prices, scored=(found(bench, of_lines(CURE)),))
    ended = asyncio.run(shortened(bench, state, priced))
    assert ended.winner.prompt.fingerprint == of_lines(CURE).fingerprint and ended.lines == prices[:1]
    assert asyncio.run(shortened(replace(bench, prefer=None), state, priced)) is priced


def test_what_was_taken_away_returns_where_a_protected_train_row_needs_it() -> None:
    def answer(text: str, example: Example) -> str:
        if example.id == "t003":
            return "right" if CURE not in text or SPARE in text else "wrong"
        return cured(text, example)

    bench = replace(bench_of(answer, question, size=60, calls=2000)[0], protected=frozenset({"t003", "v001", "s001"}))
    state = state_of(bench, of_lines(CURE, SPARE))
    short = Priced(winner=found(bench, of_lines(CURE)), lines=())
    alone = asyncio.run(checked(bench, state, short, ()))
    assert (alone.broken, alone.held, alone.priced) == (("t003",), 1, short)
    ended = asyncio.run(checked(bench, state, short, (state.champion,)))
    assert ended.broken == () and ended.priced.winner is state.champion
    assert [line.text for line in ended.priced.lines] == [CURE, SPARE]


def test_the_front_of_a_run_is_told() -> None:
    _, events, finished = simulated(lines_that_mend_and_break(2), 2)
    (told,) = [event for event in events if isinstance(event, Decided) and event.kind == "front"]
    points = told.figures["points"]
    assert [one["tokens"] for one in points] == sorted(one["tokens"] for one in points)
    assert [one["val"] for one in points] == sorted(one["val"] for one in points)
    assert finished.winner.fingerprint in [one["candidate"] for one in points] and len(points) > 1


class Rationed:
    """A proposer that has no budget left from the second round on."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        if CURE in proposal.prompt.text:
            raise BudgetExceeded("budget of 90 calls is used up but for 80 for the test; raise budget.calls")
        return (Edit(op=Op.ADD_LINE, after=END, text=CURE, cluster=proposal.cluster.id, source="llm"),)


def test_where_the_budget_ends_the_rounds_the_best_so_far_is_tested() -> None:
    bench, events, _ = bench_of(cured, question, size=60, calls=2000)
    released: list[bool] = []
    ends = replace(ENDS, release=lambda: released.append(True))
    finished = asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Rationed(),), asks_model=True), ends))
    assert CURE in finished.winner.text and finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert finished.outcome.reason.endswith("; the budget ended the search early: a larger one searches further")
    assert released == [True]
    stops = [event.reason for event in events if isinstance(event, Decided) and event.kind == "stop"]
    assert stops == ["the budget ended the search: budget of 90 calls is used up but for 80 for the test"]


def test_where_the_budget_ends_before_anything_better_was_found_the_run_stops() -> None:
    class Poor:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            raise BudgetExceeded("budget of 3 calls is used up; raise budget.calls and resume to go on")

    bench, _, _ = bench_of(cured, question, size=60, calls=2000)
    with pytest.raises(BudgetExceeded, match="resume to go on"):
        asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Poor(),), asks_model=True), ENDS))


def test_where_the_budget_ends_the_prices_the_winner_is_tested_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broke(*_: object) -> None:
        raise BudgetExceeded("budget of 1 usd reached at 0.9; raise budget.usd and resume to go on")

    monkeypatch.setattr("optimizer.loop.attribute", broke)
    bench, events, _ = bench_of(cured, question, size=60, calls=2000)
    proposers = Proposers(mutators=(), asks_model=False, tries=(CURE,))
    finished = asyncio.run(run(bench, seed_prompt(), proposers, ENDS))
    (line,) = finished.outcome.lines
    assert (line.text, line.worth, line.label) == (CURE, None, "not measurable")
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert any(isinstance(event, Decided) and "ended the pricing of lines" in event.reason for event in events)


def test_a_protected_row_that_the_seed_shows_as_a_demo_is_left_out():
    bench, _, _ = bench_of(lambda text, row: "right" if "Note 1." in text else "wrong", question, size=SIZE)
    bench = replace(bench, protected=frozenset({"t001", "v001"}))
    demos = tuple(Demo(id=f"D{n}", inputs={"q": "q"}, output="right", row=row) for n, row in ((1, "t001"), (2, "v001")))
    seed = replace(seed_prompt(), demos=demos, last_demo=2)
    finished = asyncio.run(run(bench, seed, Proposers(mutators=(Chatter(),), asks_model=False), ENDS))
    assert "Note 1." in finished.winner.text
    assert (finished.outcome.protected, finished.outcome.broken) == (0, ())
