import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from optimizer.dataset import Split
from optimizer.edits import without_line
from optimizer.errors import ProviderError
from optimizer.events import (
    CallSent,
    CandidateMade,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    LinePriced,
    ResultKnown,
    RunEnded,
)
from optimizer.outcome import Outcome, Phase, Role, Verdict
from optimizer.prompt import Prompt
from optimizer.report.screen import one_minute
from optimizer.report.sheet import fold
from optimizer.report.summary import summary
from optimizer.report.wording import interval, money, percent, points, probability, spell
from optimizer.store import RunReader
from tests.sample_run import (
    ADDED,
    RUN,
    SEED,
    WINNER,
    begin,
    emit,
    evalset,
    events,
    failed,
    meta,
    outcome,
    result,
    until,
    worth,
    write,
)

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC.*")


def shown(root: Path, width: int = 80, color: bool = False) -> str:
    with RunReader(root, RUN) as reader:
        return TIME.sub("TIME", one_minute(reader, width, color).plain)


def facts(root: Path) -> dict[str, Any]:
    with RunReader(root, RUN) as reader:
        return summary(reader)


def test_the_facts_of_a_complete_run(tmp_path):
    write(tmp_path, events())
    told = facts(tmp_path)
    assert json.loads(json.dumps(told)) == told
    compared = {"n": 4, "baseline": 0.25, "winner": 1.0, "gain": 0.75, "ci": [0.2, 0.95], "p": 0.0156, "discordant": 3}
    compared["groups"] = None
    assert told["run"] == RUN and told["status"] == "complete" and told["verdict"] == "GAIN SHOWN"
    assert told["test"] == {**compared, "look": 1}
    assert told["val"] == {**compared, "look": None, "optimistic": True}
    assert told["calls"] == {
        "task": 3,
        "mutator": 1,
        "judge": 0,
        "cached": 1,
        "by_phase": {"search": 3, "test": 1, "attribution": 0},
        "total": 4,
        "failed": 1,
        "lost": 0,
    }
    assert told["tokens"] == 129 and told["usd"] == pytest.approx(0.003)
    assert {name: told["prompt"][name] for name in ("name", "version", "path", "text")} == {
        "name": "triage",
        "version": 2,
        "path": "prompts/triage/v2.yaml",
        "text": "Sort the ticket.\nAnswer in one word.\nDates are day first.\n{{ ticket }}",
    }
    line = told["lines"][1]
    assert (line["id"], line["text"], line["worth"], line["label"], line["cluster"], line["tokens"]) == (
        "L4",
        "Dates are day first.",
        0.25,
        "earns",
        "date read as US order",
        4,
    )
    assert line["ci"] == [0.15, 0.35]
    assert [(found["id"], found["label"], found["before"], found["after"]) for found in told["clusters"]] == [
        ("c0000a1", "date read as US order", 3, 0),
        ("c0000b2", "too long an answer", 1, 0),
    ]
    assert told["fixed"] == ["r2", "r5"] and told["broken"] == [] and told["errors"] == []
    assert told["flips"]["train"] == {"rows": 4, "fixed": ["r0", "r3", "r6", "r9"], "broken": []}
    assert told["next"] == [
        "optimizer diff triage@v1 triage@v2",
        f"optimizer failures {RUN}",
        f"optimizer apply {RUN} --file FILE --key KEY",
    ]
    assert told["stand_in"] is False


def test_the_screen_of_a_complete_run(tmp_path):
    write(tmp_path, events())
    assert (
        shown(tmp_path, 80).splitlines()
        == f"""\
{RUN}  triage@v1 -> triage@v2
openai/gpt-4o-mini  TIME

GAIN SHOWN  on 4 rows that the search never saw

 test   25.0% -> 100.0%  +75.0 points [+20.0, +95.0], 4 rows, p=0.016, 3 differ
 val    25.0% -> 100.0%  +75.0 points [+20.0, +95.0], 4 rows, optimistic
 rows   fixed 2, broken 0 (on test), errors 0
 prompt 3 -> 4 lines, 40 prompt tokens a call
 price  $1.00 for 1,000 calls
 calls  4 sent: search 3, test 1; task 3, mutator 1; 1 saved; 1 failed
 cost   $0.003 paid, $0.001 saved; 129 tokens paid, 43 saved

why it failed: train rows that fail for each cause, when it was found -> now
    3 ->    0  fixed   date read as US order
    1 ->    0  fixed   too long an answer

what each line bought: score with it - without it on train and val, optimistic
 ~ L2    Answer in one word.
         +5.0 [-5.0, +15.0] not measurable, for: too long an answer
 + L4    Dates are day first.
         +25.0 [+15.0, +35.0] earns with L2, for: date read as US order

next
  optimizer diff triage@v1 triage@v2
  optimizer failures {RUN}
  optimizer apply {RUN} --file FILE --key KEY""".splitlines()
    )


@pytest.mark.parametrize("width", [10, 60, 61, 80, 100, 110, 120, 200, 500])
@pytest.mark.parametrize("stand_in", [False, True])
def test_no_line_is_wider_than_the_terminal_but_for_commands(tmp_path, width, stand_in):
    long = "a line " * 40 + "日本語" * 30 + "x" * 150
    happened = [
        *until(RunEnded, events()),
        LinePriced(worth=worth("L4", long, 0.25, long)),
        RunEnded(outcome=replace(outcome(), reason=long, lines=(worth("L4", long, 0.25, long),))),
    ]
    write(tmp_path, happened, about=meta(stand_in=stand_in))
    page = shown(tmp_path, width)
    room = min(max(width, 60), 200)
    over = [line for line in page.splitlines() if cell_len(line) > room and "optimizer " not in line]
    assert over == []
    assert f"  optimizer diff triage@v1 {RUN}" in page.splitlines()
    assert not any(line.endswith(" ") for line in page.splitlines())


def test_wide_screens_put_a_line_and_its_price_in_one_row(tmp_path):
    write(tmp_path, events())
    told = r"\+ L4 +Dates are day first\. +\+25\.0 \[\+15\.0, \+35\.0\] earns with L2 +for: date read"
    assert re.search(told, shown(tmp_path, 120))


def test_every_figure_of_a_stand_in_says_so(tmp_path):
    write(tmp_path, events(cost=None), about=meta(stand_in=True, model="offline"))
    for width in (60, 80, 120):
        body = shown(tmp_path, width).partition("\nnext\n")[0]
        paragraphs = re.sub(r"\n {7,}", " ", body).splitlines()
        silent = [line for line in paragraphs[3:] if re.search(r"\d", line) and "stand-in" not in line]
        # A line's own text comes before its price and is no figure.
        assert [line for line in silent if not re.match(r" [~+-] L\d", line)] == []
    assert "offline (stand-in, no real model)" in shown(tmp_path)
    assert facts(tmp_path)["stand_in"] is True


def test_lines_of_the_users_own_are_told_whatever_became_of_them(tmp_path):
    mine = ["Say please.", ADDED.text, "Unheard."]
    judged = [
        EditJudged(round=1, edit=replace(ADDED, text=mine[0]), outcome="screened out", reason="mended 0 of 3"),
        EditJudged(round=1, edit=replace(ADDED, source="user"), outcome="passed", reason="mended 3 of 3"),
    ]
    write(
        tmp_path,
        [*until(RunEnded, events()), *judged, RunEnded(outcome=outcome())],
        about=replace(meta(), search={"lines": mine}),
    )
    told = facts(tmp_path)["tries"]
    assert [(found["text"], found["outcome"], found["kept"]) for found in told] == [
        (mine[0], "screened out", False),
        (mine[1], "passed", True),
        (mine[2], None, False),
    ]
    page = shown(tmp_path).partition("lines of your own\n")[2].splitlines()
    assert [line.strip() for line in page[:6]] == [
        "Say please.",
        "screened out: mended 0 of 3",
        "+       Dates are day first.",
        "passed the screen: mended 3 of 3; in the winner",
        "Unheard.",
        "not tried: there was nothing to try it on",
    ]


def test_an_unknown_price_is_said_and_never_zero(tmp_path):
    write(tmp_path, events(cost=None))
    assert facts(tmp_path)["usd"] is None
    page = shown(tmp_path)
    assert " price  unknown\n" in page and "price of what was paid unknown" in page and "$0.00 paid" not in page


@pytest.mark.parametrize("kind", [CallSent, ResultKnown, ClustersFound, LinePriced, RunEnded])
def test_a_run_that_stopped_anywhere_has_facts_and_a_screen(tmp_path, kind):
    write(tmp_path, until(kind, events()))
    told = facts(tmp_path)
    assert told["status"] == "interrupted" and told["verdict"] is None and told["test"] is None
    assert told["next"][0] == f"optimizer run evals/triage.yaml --resume --run-id {RUN}"
    page = shown(tmp_path)
    assert "INTERRUPTED  no verdict; it can be resumed" in page and "GAIN" not in page


def test_a_run_on_its_way_shows_its_champion_so_far(tmp_path):
    write(tmp_path, until(LinePriced, events()))
    told = facts(tmp_path)
    assert told["prompt"]["text"] == WINNER.text and told["prompt"]["version"] is None
    assert (told["val"]["baseline"], told["val"]["winner"], told["val"]["n"]) == (0.25, 1.0, 4)
    assert told["val"]["ci"] is not None and told["fixed"] == ["r1", "r4", "r7"]
    assert told["clusters"][0]["after"] == 0


def test_a_dropped_line_is_out_of_the_champion_so_far(tmp_path):
    without = replace(SEED, version=None)
    happened = [
        *until(LinePriced, events()),
        CandidateMade(prompt=without, round=0, origin="without L4", parent=WINNER.fingerprint),
        Decided(kind="drop line", round=0, reason="L4 earns nothing", figures={"without": without.fingerprint}),
    ]
    write(tmp_path, happened)
    assert facts(tmp_path)["prompt"]["text"] == SEED.text


def test_a_winner_that_is_the_seed_makes_no_claim(tmp_path):
    kept = Outcome(
        verdict=Verdict.NOT_SHOWN,
        reason="no edit made the prompt better on val",
        test=None,
        val=None,
        seed=SEED.fingerprint,
        winner=SEED.fingerprint,
    )
    write(tmp_path, [*until(CandidateMade, list(events())[1:]), RunEnded(outcome=kept)])
    told = facts(tmp_path)
    assert told["test"] is None and told["val"]["gain"] == 0 and told["val"]["ci"] is None
    assert told["prompt"]["path"] == "prompts/triage/v1.yaml" and told["prompt"]["version"] == 1
    assert told["next"] == [f"optimizer failures {RUN}"]
    page = shown(tmp_path)
    assert "NOT SHOWN  no edit made" in page and "still sealed" in page and "apply" not in page
    assert "    3 ->    3  open    date read as US order" in page


def test_errors_are_counted_and_named_and_are_no_failures(tmp_path):
    rows = evalset()
    happened = list(until(ResultKnown, events()))
    for row in rows.split(Split.VAL):
        found = failed(SEED, row)
        happened.append(ResultKnown(result=found, split=Split.VAL, phase=Phase.SEARCH, round=0))
    write(tmp_path, happened)
    told = facts(tmp_path)
    assert told["val"] is None and len(told["errors"]) == 4
    assert told["errors"][0] == {
        "example": "r1",
        "split": "val",
        "candidate": "seed",
        "kind": "timeout",
        "message": "no answer in 60 s",
    }
    assert "errors: r1 (seed, timeout), r10 (seed, timeout)" in shown(tmp_path, 120)


def test_clusters_that_were_not_run_again_say_so(tmp_path):
    happened = [
        event
        for event in events()
        if not (isinstance(event, ResultKnown) and event.result.candidate == WINNER.fingerprint)
        or event.result.example == "r0"
    ]
    write(tmp_path, happened)
    found = facts(tmp_path)["clusters"][0]
    assert (found["before"], found["after"], found["still_failing"], found["unknown"]) == (3, None, 0, 2)
    assert "    3 ->    ?  open    date read as US order\n               2 rows without a score" in shown(tmp_path)


def test_calls_that_were_lost_are_counted_and_told_apart(tmp_path):
    write(tmp_path, [*until(RunEnded, events()), CallSent(call="z", key="z", role=Role.TASK, phase=Phase.TEST)])
    told = facts(tmp_path)
    assert told["calls"]["total"] == 5 and told["lost"] == {"calls": 1, "tokens": 43, "usd": pytest.approx(0.001)}
    assert told["tokens"] == 129
    assert "1 without an end" in shown(tmp_path, 120)


def test_calls_of_a_run_that_goes_on_are_under_way(tmp_path):
    writer = begin(tmp_path)
    asyncio.run(
        emit(writer, [*until(RunEnded, events()), CallSent(call="z", key="z", role=Role.TASK, phase=Phase.TEST)])
    )
    assert "; 1 under way\n" in shown(tmp_path, 120)
    writer.close()


def test_a_look_is_told_from_the_second_on(tmp_path):
    for look, want in ((1, False), (2, True)):
        found = outcome()
        assert found.test is not None
        folder = tmp_path / str(look)
        write(
            folder, [*until(RunEnded, events()), RunEnded(outcome=replace(found, test=replace(found.test, look=look)))]
        )
        assert (f"look {look} at these rows" in shown(folder, 120)) is want


def test_the_mark_of_the_stand_in_is_quiet(tmp_path):
    write(tmp_path, events(), about=meta(stand_in=True))
    with RunReader(tmp_path, RUN) as reader:
        page = one_minute(reader, 100, True)
    marks = [span for span in page.spans if page.plain[span.start : span.end] == "(stand-in)"]
    assert len(marks) > 5 and {str(span.style) for span in marks} == {"dim"}


def test_hostile_text_does_not_reach_the_screen(tmp_path):
    hostile = "\x1b]0;owned\x07\u202e<script>[red]"
    happened = [
        *until(RunEnded, events()),
        RunEnded(outcome=replace(outcome(), reason=hostile, lines=(worth("L4", hostile, 0.1, hostile),))),
    ]
    write(tmp_path, happened, about=meta(model=f"openai/{hostile}"))
    for width in (60, 120):
        for color in (False, True):
            page = shown(tmp_path, width, color)
            assert not set("\x1b\x07\u202e") & set(page)
    assert r"\x1b]0;owned\x07\u202e<script>[red]" in shown(tmp_path, 200)


def test_colour_is_in_the_styles_and_nowhere_else(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        plain, colored = one_minute(reader, 80), one_minute(reader, 80, True)
    assert plain.plain == colored.plain and not plain.spans
    assert any("green" in str(span.style) for span in colored.spans)


def test_a_failed_run_tells_its_error(tmp_path):
    writer = begin(tmp_path)
    asyncio.run(emit(writer, until(RunEnded, events())))
    writer.close(ProviderError("key rejected by host example.org"))
    assert facts(tmp_path)["failure"] == "key rejected by host example.org"
    assert "FAILED  key rejected by host example.org" in shown(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (percent(None), "unknown"),
        (percent(0.7166), "71.7%"),
        (points(-0.0001), "+0.0"),
        (points(-0.117), "-11.7"),
        (interval((-0.039, 0.194)), "[-3.9, +19.4]"),
        (interval(None), ""),
        (probability(0.00001), "p<0.001"),
        (probability(None), ""),
        (money(None), "unknown"),
        (money(0), "$0.00"),
        (money(3.124), "$3.12"),
        (money(0.00123), "$0.0012"),
        (money(0.0000123), "$1.2e-05"),
        (spell(42), "42 s"),
        (spell(1320), "22 min"),
        (spell(11160), "3.1 h"),
    ],
)
def test_figures_as_people_read_them(text, wanted):
    assert text == wanted


@pytest.mark.parametrize(
    ("text", "cells", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("  indented  twice", 40, ["  indented  twice"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a abcdefghij b", 4, ["a", "abcd", "efgh", "ij b"]),
        ("日本語日本", 4, ["日本", "語日", "本"]),
        ("", 5, [""]),
    ],
)
def test_text_is_folded_between_words(text, cells, lines):
    assert fold(text, cells) == lines


def ended_with(**changes: Any) -> list[Event]:
    return [*until(RunEnded, events()), RunEnded(outcome=replace(outcome(), **changes))]


def test_protected_rows_that_broke_are_told(tmp_path):
    write(tmp_path, ended_with(verdict=Verdict.BLOCKED, reason="1 protected row fell", protected=3, broken=("r2",)))
    told = facts(tmp_path)
    assert told["protected"] == {"passed": 3, "broken": ["r2"]}
    assert f"optimizer case r2 {RUN}" in told["next"]
    page = shown(tmp_path, 100)
    assert "BLOCKED  1 protected row fell" in page
    assert " guard  2 of 3 protected rows that passed with the seed still pass\n" in page


def test_without_protected_rows_nothing_is_said_of_them(tmp_path):
    write(tmp_path, events())
    assert facts(tmp_path)["protected"] == {"passed": 0, "broken": []}
    assert "guard" not in shown(tmp_path)


def with_front(*others: Prompt, usd: float | None = None) -> list[Event]:
    points = [
        {"candidate": prompt.fingerprint, "tokens": tokens, "val": val, "usd": usd}
        for prompt, tokens, val in zip((SEED, *others, WINNER), (12, 18, 25), (0.25, 0.75, 1.0), strict=False)
    ]
    made: list[Event] = []
    for prompt in others:
        made.append(CandidateMade(prompt=prompt, round=1, origin="trial 2", parent=SEED.fingerprint))
        for number, row in enumerate(evalset().split(Split.VAL)):
            found = result(prompt, row, number > 0)
            made.append(ResultKnown(result=found, split=Split.VAL, phase=Phase.SEARCH, round=1))
    front = Decided(kind="front", round=1, reason="the front", figures={"prefer": None, "points": points})
    return [*until(RunEnded, events()), *made, front, RunEnded(outcome=outcome())]


SHORT = without_line(SEED, WINNER, "L4")


def test_the_front_is_told_against_the_winner(tmp_path):
    write(tmp_path, with_front(SHORT, usd=0.002))
    seed, short, best = facts(tmp_path)["front"]
    assert (seed["is"], short["is"], best["is"]) == ("seed", "", "winner")
    assert (short["tokens"], short["val"], short["gain"], len(short["broken"])) == (18, 0.75, -0.25, 1)
    assert short["lacks"] == [{"id": "L4", "text": "Dates are day first."}] and short["other"] == []
    assert [line["id"] for line in seed["lacks"]] == ["L4"] and [line["id"] for line in seed["other"]] == ["L2"]
    for width in (60, 100):
        page = shown(tmp_path, width)
        assert all(cell_len(line) <= width for line in page.splitlines())
        assert "18   75.0%       $2.00  -25.0 points" in page
    assert "-25.0 points, fixes 0, breaks 1; without L4\n" in shown(tmp_path, 120)
    assert "the seed: -75.0 points, fixes 0, breaks 3; without L4; with other L2\n" in shown(tmp_path, 120)


def test_a_front_of_seed_and_winner_is_no_choice(tmp_path):
    write(tmp_path, [*until(RunEnded, events())][:-1])
    assert facts(tmp_path)["front"] == []
    alone = tmp_path / "alone"
    write(alone, with_front())
    assert len(facts(alone)["front"]) == 2
    assert "size against score" not in shown(alone)
