"""What a gate writes for others: JUnit XML, Markdown, workflow commands. None of it obeys the text that it quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from optimizer.dataset import Split
from optimizer.gate import Answer, Evidence, Gate, Limits, Row, judge
from optimizer.gate.github import MOST, commands, outputs
from optimizer.gate.junit import junit
from optimizer.gate.markdown import code, markdown
from optimizer.outcome import Verdict
from optimizer.prompt import build
from optimizer.readers.versions import save_version
from optimizer.terminal import defused
from tests import sample_run
from tests.test_gate import LOST, RIGHT, WRONG, evidence

HOSTILE = [
    "plain",
    "",
    "\x00\x08\x1b[31m\x7f\x9b\ufffe\uffff\ud83d \u202e\u2028",
    "]]><!-- <script>alert(1)</script> &amp; \"'",
    "a ` b `` c ``` @octocat #1 https://evil.example www.evil.example",
    "```\n# heading\n| a | b |\n- [x](javascript:0) ![i](http://evil.example/x.png)",
    "` @everyone",
    "`",
    "::error file=x,line=1::fake",
    "\n::set-output name=passed::true\n##[add-path]/evil",
    "100% %0A::stop-commands::x %25, a:b",
    "<details><img src=x onerror=1></details> $x$ \\` \\",
]


def hostile(text: str) -> Gate:
    """A gate in which every text of others is this one."""
    wrong = Answer(score=0.0, passed=False, reasons=(text, text))
    lost = Answer(score=None, passed=False, error="timeout", message=text)
    rows = [
        Row(id=text, split=Split.TEST, before=RIGHT, after=wrong),
        Row(id=text, split=Split.TEST, before=RIGHT, after=lost),
        Row(id=text, split=Split.TEST, before=None, after=None),
    ]
    line = replace(sample_run.worth("L4", text, -0.2, text), label="hurts", broken=(text,), with_line=text)
    found = replace(
        evidence(verdict=Verdict.BLOCKED),
        subject=text,
        prompt=text,
        old=text,
        model=text,
        reason=text,
        rows=tuple(rows),
        lines=(line,),
    )
    return judge(found, Limits(min_score=0.9, max_regressions=0))


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_is_valid_for_any_text(text):
    written = junit(hostile(text))
    root = ET.fromstring(written.encode())
    rows, gate = root.findall("testsuite")
    assert [[child.tag for child in case] for case in rows] == [["failure"], ["error"], ["skipped"]]
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\ufffe\uffff]", written)
    assert gate.findall("testcase[@name='protected']/failure")


def test_junit_reads_back_what_was_judged():
    found = replace(
        evidence("rwe."),
        rows=tuple(
            Row(id=name, split=split, before=before, after=after)
            for name, split, before, after in [
                ("a", Split.TRAIN, None, replace(RIGHT, seconds=1.25)),
                ("b", Split.TRAIN, RIGHT, WRONG),
                ("c", Split.VAL, None, LOST),
                ("d", Split.VAL, None, None),
            ]
        ),
    )
    root = ET.fromstring(junit(judge(found, Limits(min_score=0.6))).encode())
    counts = [[suite.get(key) for key in ("tests", "failures", "errors", "skipped")] for suite in root]
    assert [suite.get("name") for suite in root] == ["triage@v2 on train", "triage@v2 on val", "gate"]
    assert counts == [["2", "1", "0", "0"], ["2", "0", "1", "1"], ["5", "0", "2", "0"]]
    assert [root.get(key) for key in ("tests", "failures", "errors", "time")] == ["9", "1", "3", "1.250"]
    failure, error = root.find(".//failure"), root.find(".//testsuite[2]//error")
    assert failure is not None and failure.text == "exact: expected 'a'"
    assert "passed with the old prompt" in (failure.get("message") or "")
    assert error is not None and (error.get("type"), error.get("message")) == ("timeout", "no answer in 60 s")
    cases = {case.get("name"): [child.tag for child in case] for case in root.findall("testsuite[3]/testcase")}
    assert cases["min-score"] == ["error"] and cases["finished"] == ["system-out"]


ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped"},
    "properties": set[str](),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
    "system-out": set[str](),
}
"""Elements and attributes that the schema of Jenkins' xUnit plugin knows."""


@pytest.mark.parametrize("text", HOSTILE[:3])
def test_junit_keeps_to_the_common_part_of_its_dialects(text):
    root = ET.fromstring(junit(hostile(text)).encode())
    assert {(one.tag, key) for one in root.iter() for key in one.keys() if key not in ALLOWED[one.tag]} == set()
    assert all(re.fullmatch(r"\d+\.\d{3}", one.get("time", "0.000")) for one in root.iter())
    assert all({*suite.keys()} >= {"name", "tests", "failures", "errors"} for suite in root.iter("testsuite"))


def outside_code(text: str) -> str:
    """Markdown with its code spans taken out, by the rule of CommonMark: a fence ends at the next of its length."""
    left, at = "", 0
    while (start := re.compile("`+").search(text, at)) is not None:
        end = re.compile(f"(?<!`)`{{{len(start[0])}}}(?!`)").search(text, start.end())
        left += text[at : start.start()]
        if end is None:
            left, at = left + start[0], start.end()
        else:
            at = end.end()
    return left + text[at:]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_says_hostile_text_in_code_alone(text):
    written = markdown(hostile(text))
    assert written.startswith("<!-- optimizer gate -->\n### Prompt gate: failed\n")
    for line in written.splitlines()[2:]:
        assert re.match(r"(#### [A-Z]|- |Score on |\*\*BLOCKED\*\* |$)", line)
        rest = outside_code(line)
        assert not set("`@<>|$[]!\\") - set("<>[]") & set(rest.replace(" -> ", ""))
        assert not re.search(r"<|https?:|www|#\d|octocat|everyone|script|\]\(", rest.replace(" -> ", ""))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_cannot_be_closed_from_inside(text):
    assert outside_code(code(text)) == ""
    assert "\n" not in code(text)


def test_markdown_fits_into_a_comment():
    long = "` @x " * 2000
    rows = tuple(
        Row(
            id=f"{n}{long}",
            split=Split.TEST,
            before=RIGHT,
            after=LOST if n % 3 == 0 else Answer(score=0.0, passed=False, reasons=(long,) * 9),
        )
        for n in range(300)
    )
    lines = tuple(sample_run.worth(f"L{n}", long, 0.1, long) for n in range(60))
    written = markdown(judge(replace(evidence(), rows=rows, lines=lines, reason=long), Limits(max_regressions=0)))
    assert len(written) < 65_536
    assert "... and 180 more" in written and "... and 40 more" in written


def test_the_comment_tells_verdict_score_lines_and_rows():
    found = replace(evidence("wwer", "rwrr"), lines=sample_run.outcome().lines, stand_in=True)
    written = markdown(judge(found, Limits(min_score=0.9, max_errors=2)))
    for told in (
        "**GAIN SHOWN** `triage@v1` -> `triage@v2`",
        "25.0% -> **100.0%**, +75.0 points, 95% interval [+20.0, +95.0] (stand-in)",
        "- `+ Dates are day first.`: +25.0 points [+15.0, +35.0], earns with `L2`; fixed 1 row, broke 0; for `date",
        "#### Broken rows: they passed with the old prompt\n\n- `row-0`: `exact: expected 'a'`",
        "#### Other rows that fail\n\n- `row-1`",
        "#### Errors: these rows have no score\n\n- `row-2`: `timeout: no answer in 60 s`",
        "- **failed** min-score: mean score 33.3%",
    ):
        assert told in written


COMMAND = re.compile(r"::(error|warning) ((?:\w+=[^,:]*,)*\w+=[^,:]*)::([^\r\n]*)")


def parsed(command: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message, as the runner reads them."""
    match = COMMAND.fullmatch(command)
    assert match is not None, command
    said = dict(part.split("=", 1) for part in match[2].split(","))
    for code_, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        said = {name: value.replace(code_, sign) for name, value in said.items()}
    message = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    return match[1], said, message


@pytest.mark.parametrize("text", HOSTILE)
def test_a_workflow_command_is_one_line_and_says_what_it_should(text, tmp_path):
    for command in commands(hostile(text), tmp_path):
        level, said, message = parsed(command)
        assert level == "error" and said["title"] == "optimizer gate" and set(said) <= {"file", "line", "title"}
        assert "\n" not in message and "\r" not in message
    assert set(outputs(hostile(text)).splitlines()) == {
        "passed=false",
        "exit-code=3",
        "verdict=BLOCKED",
        "score=0.0000",
        "gain=0.7500",
    }


def bad(found: Evidence, **broken: tuple[str, ...]) -> Evidence:
    lines = (
        replace(sample_run.worth("L2", "Answer in one word.", -0.05, "too long"), broken=broken.get("L2", ())),
        replace(sample_run.worth("L4", "Dates are day first.", 0.25, "dates"), broken=broken.get("L4", ())),
    )
    return replace(found, lines=lines)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with both versions, in a folder of its own, with a sign in its name that has to be escaped."""
    folder = tmp_path / "app, one%"
    for prompt in (sample_run.SEED, sample_run.WINNER):
        save_version(prompt, None, folder / "prompts")
    monkeypatch.chdir(folder)
    return tmp_path


def test_annotations_stand_on_the_lines_that_broke_rows(checkout):
    found = replace(bad(evidence(), L4=("r7", "r9")), path="prompts/triage/v2.yaml", seed_path="prompts/triage/v1.yaml")
    (command,) = commands(judge(found, Limits()), checkout)
    level, said, message = parsed(command)
    assert (level, said["file"]) == ("warning", "app, one%/prompts/triage/v2.yaml")
    line = int(said["line"])
    text = Path("prompts/triage/v2.yaml").read_text(encoding="utf-8").splitlines()
    assert text[line - 1].strip() == "Dates are day first."
    assert message == (
        "added line L4: +25.0 points [+15.0, +35.0], earns; fixed 1 row, broke 2: r7, r9 | Dates are day first."
    ).replace("earns;", "earns;")


def test_a_failed_gate_is_an_error_on_the_file_and_its_lines(checkout):
    found = replace(
        bad(evidence("wwww"), L2=("r1",)), path="prompts/triage/v2.yaml", seed_path="prompts/triage/v1.yaml"
    )
    told = [parsed(command) for command in commands(judge(found, Limits(min_score=0.9)), checkout)]
    assert [(level, said.get("line")) for level, said, _ in told] == [("error", None), ("error", "5")]
    assert told[0][2].startswith("min-score failed: mean score 0.0%")


def test_lines_of_a_winner_in_no_file_point_at_what_they_took_the_place_of(checkout):
    found = replace(bad(evidence(), L2=("r1",), L4=("r2",)), path="", seed_path="prompts/triage/v1.yaml")
    told = [parsed(command)[1] for command in commands(judge(found, Limits()), checkout)]
    assert [(said["file"].rpartition("/")[2], said.get("line")) for said in told] == [
        ("v1.yaml", "5"),
        ("v1.yaml", None),
    ]


def test_a_prompt_outside_the_checkout_has_no_file(checkout, tmp_path_factory):
    found = replace(bad(evidence(), L4=("r7",)), path="prompts/triage/v2.yaml")
    (command,) = commands(judge(found, Limits()), tmp_path_factory.mktemp("elsewhere"))
    assert set(parsed(command)[1]) == {"title"}


def test_annotations_are_limited_in_number(tmp_path):
    lines = tuple(replace(sample_run.worth(f"L{n}", f"line {n}", 0.1, "x"), broken=("r1",)) for n in range(40))
    found = commands(judge(replace(evidence(), lines=lines), Limits()), tmp_path)
    assert len(found) == MOST and found[-1].endswith("::... and 31 more: see the summary")


def test_a_file_of_hundreds_of_lines_is_searched_quickly_enough(tmp_path):
    texts = [f"line {n} says something" for n in range(400)]
    prompt = build("long", [("system", "\n".join(texts)), ("user", "{{ x }}")], version=1)
    save_version(prompt, None, tmp_path)
    lines = tuple(replace(sample_run.worth(f"L{n}", texts[n - 1], 0.1, "x"), broken=("r1",)) for n in (1, 200, 400))
    found = replace(evidence(), lines=lines, path=str(tmp_path / "long" / "v1.yaml"))
    told = [parsed(command)[1]["line"] for command in commands(judge(found, Limits()), tmp_path)]
    assert told == ["4", "203", "403"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", ": :error::x"),
        ("a\n \t::set-output name=a::b", "a\n \t: :set-output name=a::b"),
        ("x ##[add-path]y", "x ## [add-path]y"),
        ("std::vector a::b", "std::vector a::b"),
        ("\u2003::x", "\u2003: :x"),
    ],
)
def test_words_in_a_log_are_no_commands(text, shown):
    assert defused(text) == shown
