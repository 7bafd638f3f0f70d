"""`gate`, the gate of `eval`, and `check`: exit codes through the real command line, and the files that they write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from optimizer.dataset import Split
from optimizer.events import Decided, Event, ResultKnown, RunEnded
from optimizer.outcome import Verdict
from optimizer.readers.versions import save_version
from optimizer.ship import provenance
from optimizer.testing.faults import Fault, Seen, refuse
from optimizer.testing.server import running_server
from tests import sample_run
from tests.cli_case import cli, ended, make_workspace, process
from tests.sample_run import SEED, WINNER

EVIL = "::error file=x::\n` @octocat <b>\x1b"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def happened(
    *, verdict: Verdict = Verdict.GAIN_SHOWN, broken: int = 0, lost: int = 0, price: float | None = 0.001
) -> Iterator[Event]:
    """A complete run whose winner breaks or loses some of its four test rows."""
    rows = sample_run.evalset()
    test = rows.split(Split.TEST)
    other = {row.id: sample_run.result(WINNER, row, False) for row in test[:broken]}
    other |= {row.id: sample_run.failed(WINNER, row) for row in test[broken : broken + lost]}
    for event in sample_run.events(rows):
        if isinstance(event, RunEnded):
            yield RunEnded(outcome=replace(event.outcome, verdict=verdict, broken=(EVIL,) if broken else ()))
        elif isinstance(event, ResultKnown):
            result = event.result
            if event.split is Split.TEST and result.candidate == WINNER.fingerprint:
                result = other.get(result.example, result)
            if result.completion is not None and result.candidate == WINNER.fingerprint:
                result = replace(result, completion=replace(result.completion, cost=price))
            yield replace(event, result=result)
        else:
            yield event


def written(root: Path) -> None:
    """Both versions as a run writes them."""
    save_version(SEED, None, root / "prompts")
    save_version(WINNER, provenance(SEED, WINNER, sample_run.outcome(), sample_run.RUN), root / "prompts")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A workspace with a run, made once for each kind of run: the gate writes nothing into it."""
    known: dict[str, Path] = {}

    def workspace(**run: Any) -> Path:
        if repr(run) not in known:
            known[repr(run)] = tmp_path_factory.mktemp("kept")
            sample_run.write(known[repr(run)], happened(**run))
        return known[repr(run)]

    return workspace


@pytest.mark.parametrize(
    ("run", "flags", "code", "says"),
    [
        ({}, "", 0, "GATE PASSED"),
        ({}, "--min-score 1 --require-gain --max-regressions 0 --max-cost-increase 0", 0, "mean score 100.0%"),
        ({"broken": 1}, "--min-score 0.8", 3, "mean score 75.0% on 4 test rows"),
        ({"broken": 1}, "--min-score 0.75", 0, "might fail it"),
        # The old prompt passed one of the four test rows, the first.
        ({"broken": 1}, "--max-regressions 0", 3, "1 of 4 test rows passed with the old prompt"),
        ({"broken": 1}, "--max-regressions 1", 0, "at most 1 may"),
        ({"lost": 1}, "--min-score 0.7", 3, "errors"),
        ({"lost": 1}, "--min-score 0.7 --max-errors 1", 0, "between 75.0% and 100.0%"),
        ({"lost": 1}, "--min-score 0.8 --max-errors 1", 3, "cannot say  min-score"),
        ({"lost": 1}, "--max-regressions 0 --max-errors 1", 3, "cannot say  max-regressions"),
        ({"price": 0.0011}, "--max-cost-increase 5", 3, "+10.0% in US dollars"),
        ({"price": None}, "--max-cost-increase 5", 0, "+0.0% in tokens, since no price is known"),
        ({"verdict": Verdict.NOT_SHOWN}, "--require-gain", 4, "NOT SHOWN"),
        ({"verdict": Verdict.NOT_SHOWN}, "", 0, "NOT SHOWN"),
        ({"verdict": Verdict.NOT_SHOWN, "broken": 1}, "--require-gain --min-score 0.9", 3, "failed      gain"),
        ({"verdict": Verdict.WORSE}, "", 4, "WORSE"),
        ({"verdict": Verdict.BLOCKED}, "--min-score 0.1", 3, "BLOCKED"),
        ({}, "--min-score 1.5", 2, "--min-score"),
        ({}, "--min-score nan", 2, "--min-score"),
        ({}, "--max-cost-increase inf", 2, "not a finite number"),
        ({}, "--max-regressions -1", 2, "--max-regressions"),
        ({}, "--junit nowhere/j.xml", 2, "no such folder"),
        ({}, "--junit runs", 2, "not a file"),
        ({}, "--junit same.xml --comment ./same.xml", 2, "the same file"),
        ({}, "nope", 2, "no run 'nope'"),
        ({}, "triage@v2", 2, "no prompt 'triage'"),
    ],
)
def test_exit_codes(kept, monkeypatch, run, flags, code, says):
    monkeypatch.chdir(kept(**run))
    done = cli("gate", *flags.split())
    assert done.code == code, done
    told = " ".join((done.out + done.err).split())
    assert " ".join(says.split()) in told
    if code in (3, 4):
        assert done.out.startswith("GATE FAILED") and "error: gate failed: " in done.err


def test_the_process_ends_with_the_code(workspace):
    sample_run.write(workspace, happened(verdict=Verdict.NOT_SHOWN))
    assert ended(process("gate", "--require-gain", cwd=workspace)).code == 4


def test_a_run_that_has_not_ended_never_passes(workspace):
    sample_run.write(workspace, sample_run.until(RunEnded, sample_run.events()))
    done = cli("gate", "--min-score", "0")
    assert done.code == 3 and "cannot say  finished" in done.out and "interrupted" in done.out
    assert cli("gate", "--require-gain", "--json").json["verdict"] is None


def test_a_damaged_run_is_a_fault_of_the_storage(workspace):
    sample_run.write(workspace, happened())
    (workspace / "runs" / sample_run.RUN / "run.sqlite").write_bytes(b"no database at all" * 100)
    assert cli("gate", sample_run.RUN).code == 7


def test_json_has_every_figure(workspace):
    sample_run.write(workspace, happened(broken=1, lost=1))
    done = cli("gate", "--min-score", "0.9", "--max-regressions", "0", "--max-errors", "1", "--json")
    facts = done.json
    assert (facts["passed"], facts["exit_code"], done.code) == (False, 3, 3)
    assert (facts["verdict"], facts["prompt"], facts["old"], facts["on"]) == (
        "GAIN SHOWN",
        "triage@v2",
        "triage@v1",
        "test",
    )
    checks = {one["name"]: one for one in facts["checks"]}
    assert checks["min-score"]["figure"] == pytest.approx(2 / 3) and checks["min-score"]["bounds"] == [0.5, 0.75]
    assert checks["min-score"]["status"] == "failed" and checks["errors"]["figure"] == 1
    assert facts["rows"] == {"total": 4, "failed": 1, "unscored": 1}
    assert len(facts["regressions"]) == 1 and facts["errors"][0]["kind"] == "timeout"
    assert facts["gain"]["ci"] == [0.2, 0.95]


def test_a_version_is_judged_by_its_run(workspace):
    sample_run.write(workspace, happened())
    written(workspace)
    for target in ("triage@v2", "triage", "prompts/triage/v2.yaml"):
        facts = cli("gate", target, "--json").json
        assert (facts["passed"], facts["run"], facts["prompt"]) == (True, sample_run.RUN, "triage@v2")
    first = cli("gate", "triage@v1")
    assert first.code == 2 and "no run made it" in first.err and "optimizer eval" in first.err
    assert "did you mean 'triage'" in cli("gate", "triag@v2").err


def test_a_version_without_its_run_is_not_judged(workspace):
    written(workspace)
    done = cli("gate", "triage@v2")
    assert done.code == 2 and "which made it, is not here" in done.err


def test_a_version_that_was_edited_since_never_passes(workspace):
    sample_run.write(workspace, happened())
    written(workspace)
    path = workspace / "prompts/triage/v2.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("day first", "month first"), encoding="utf-8")
    done = cli("gate", "triage@v2")
    assert done.code == 3 and "failed      measured" in done.out


def test_a_run_that_kept_its_seed_is_judged_on_val(workspace):
    outcome = replace(sample_run.outcome(Verdict.NOT_SHOWN), test=None, lines=(), winner=SEED.fingerprint)
    events = [event for event in sample_run.events() if not isinstance(event, Decided)]
    sample_run.write(
        workspace, [RunEnded(outcome=outcome) if isinstance(event, RunEnded) else event for event in events]
    )
    facts = cli("gate", "--min-score", "0.3", "--max-regressions", "0", "--json").json
    status = {one["name"]: one["status"] for one in facts["checks"]}
    assert (facts["on"], facts["score"], facts["prompt"]) == ("val", 0.25, "triage@v1")
    assert status["min-score"] == "failed" and status["max-regressions"] == "passed"
    assert facts["optimistic"] is False


def test_reports_are_written_whole_and_the_page_is_still_there(workspace, monkeypatch):
    sample_run.write(workspace, happened(broken=1))
    written(workspace)
    for name in ("j.xml", "c.md"):
        (workspace / name).write_text("old", encoding="utf-8")
    done = cli("gate", "triage@v2", "--min-score", "0.9", "--junit", "j.xml", "--comment", "c.md")
    assert done.code == 3 and "GATE FAILED" in done.out and "wrote j.xml" in done.err
    root = ET.parse(workspace / "j.xml").getroot()
    assert [(suite.get("name"), suite.get("failures")) for suite in root] == [("triage@v2 on test", "1"), ("gate", "1")]
    comment = (workspace / "c.md").read_text(encoding="utf-8")
    assert "### Prompt gate: failed" in comment and "Broken rows" in comment
    assert sorted(path.name for path in workspace.iterdir()) == ["c.md", "j.xml", "prompts", "runs"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is refused to root")
def test_a_report_that_cannot_be_written_is_a_fault_of_the_storage(workspace):
    sample_run.write(workspace, happened())
    (workspace / "locked").mkdir(mode=0o500)
    assert cli("gate", "--junit", "locked/j.xml").code == 7


def test_a_full_disk_is_a_fault_of_the_storage(workspace, monkeypatch):
    sample_run.write(workspace, happened())

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("optimizer.readers.atomic.replace", full)
    done = cli("gate", "--junit", "j.xml")
    assert done.code == 7 and "j.xml: cannot be written: No space left on device" in done.err


@pytest.fixture
def actions(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step of GitHub Actions: the files that the runner makes for it."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace))
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        (workspace / name).write_text("before\n", encoding="utf-8")
        monkeypatch.setenv(name, str(workspace / name))
    return workspace


def test_github_gets_annotations_summary_and_outputs(actions):
    sample_run.write(actions, happened(broken=1))
    written(actions)
    done = cli("gate", "triage@v2", "--min-score", "0.9", "--github")
    commands = [line for line in done.out.splitlines() if line.startswith("::")]
    assert done.code == 3 and len(commands) == 1
    assert commands[0].startswith("::error file=prompts/triage/v2.yaml,title=optimizer gate::min-score failed: mean")
    summary = (actions / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    assert summary.startswith("before\n<!-- optimizer gate -->\n### Prompt gate: failed")
    outputs = (actions / "GITHUB_OUTPUT").read_text(encoding="utf-8")
    told = "before\npassed=false\nexit-code=3\nverdict=GAIN SHOWN\nscore=0.7500\ngain=0.7500\n"
    assert outputs == told
    aside = cli("gate", "triage@v2", "--min-score", "0.9", "--github", "--json")
    assert aside.json["passed"] is False and aside.err.startswith("::error file=")


def test_without_a_runner_github_is_no_fault(workspace):
    sample_run.write(workspace, happened())
    assert cli("gate", "--github").code == 0


def test_hostile_rows_command_no_runner(actions):
    """Ids and reasons of rows stand in the page, the error line and JSON: in none of them is a command of theirs."""
    rows = sample_run.evalset()
    evil = replace(sample_run.outcome(Verdict.BLOCKED), broken=(EVIL,), reason=f"##[add-path]/evil {EVIL}")
    happened = [RunEnded(outcome=evil) if isinstance(event, RunEnded) else event for event in sample_run.events(rows)]
    sample_run.write(actions, happened, rows=rows)
    for flags in ((), ("--json",), ("--github",)):
        done = cli("gate", *flags)
        lines = [line.strip() for line in (done.out + done.err).splitlines()]
        assert done.code == 3 and "add-path" in done.out
        own = "::error file=prompts/triage/v2.yaml,title=optimizer gate::protected failed: BLOCKED: ## [add-path]"
        assert not [line for line in lines if line.startswith("::") and not line.startswith(own)]
        assert not [line for line in lines if "##[" in line]
    assert cli("gate", "--json").json["reason"] == evil.reason


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("starter"))


@pytest.fixture
def inside(starter: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(starter)
    return starter


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ("--min-score 0.9", 3),
        ("--min-score 0", 0),
        ("--max-errors 0", 0),
        ("--prompt example@v2 --min-score 0.9", 0),
        ("--min-score 2", 2),
        ("--junit nowhere/j.xml", 2),
        ("", 0),
    ],
)
def test_eval_is_a_gate_where_one_is_asked_for(inside, flags, code):
    done = cli("eval", "evals/example.yaml", *flags.split())
    assert done.code == code, done
    assert ("GATE" in done.out) == (bool(flags) and code != 2)
    if "--min-score 0.9" in flags:
        assert "min-score" in done.out and "train and val rows" in done.out and "stand-in" in done.out


def test_eval_tells_its_gate_as_json(inside):
    done = cli("eval", "evals/example.yaml", "--min-score", "0.9", "--json")
    assert done.code == 3 and done.json["gate"]["exit_code"] == 3 and done.json["gate"]["eval"] == "example"
    assert "gate" not in cli("eval", "evals/example.yaml", "--json").json


def test_eval_writes_reports_of_its_rows(inside):
    done = cli("eval", "evals/example.yaml", "--min-score", "0.9", "--junit", "e.xml", "--comment", "e.md")
    assert done.code == 3
    train, val, gate = ET.parse("e.xml").getroot()
    rows = cli("eval", "evals/example.yaml", "--json").json["splits"]
    assert [int(suite.get("tests", "")) for suite in (train, val)] == [rows["train"]["n"], rows["val"]["n"]]
    assert [case.get("name") for case in gate.findall("testcase")] == ["errors", "min-score"]
    comment = Path("e.md").read_text(encoding="utf-8")
    assert "Other rows that fail" in comment and "(stand-in, no real model)" in comment


def test_the_demo_run_passes_its_gate(inside):
    facts = cli("gate", "first", "--min-score", "0.8", "--require-gain", "--max-regressions", "0", "--json").json
    assert facts["passed"] is True and facts["stand_in"] is True
    assert cli("gate", "first", "--json").json["score"] == cli("show", "first", "--json").json["test"]["winner"]


def test_check_reads_everything_and_writes_nothing(inside):
    before = sorted(path for path in inside.rglob("*") if path.is_file())
    done = cli("check")
    assert done.code == 0
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "ok  evals/example.yaml",
        "ok  prompts/example/v1.yaml",
        "ok  prompts/example/v2.yaml",
    ]
    assert sorted(path for path in inside.rglob("*") if path.is_file()) == before
    assert [one["kind"] for one in cli("check", "--json").json] == ["eval", "prompt", "prompt"]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("evals/bad.yaml", "prompt: nowhere.yaml\ndata: rows.jsonl\n", "evals/bad.yaml"),
        ("evals/bad.yaml", "prompts: [1]\n", "evals/bad.yaml:1"),
        ("prompts/bad/v1.yaml", "messages: 3\n", "prompts/bad/v1.yaml:1: messages:"),
        ("prompts/bad/v1.yaml", "messages: [\n", "prompts/bad/v1.yaml"),
        ("prompts/bad/v1.yaml", "", "prompts/bad/v1.yaml"),
    ],
)
def test_check_says_what_is_wrong_and_where(tmp_path, monkeypatch, file, text, says):
    monkeypatch.chdir(tmp_path)
    cli("init")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    done = cli("check")
    assert done.code == 2 and says in done.err and "ok  prompts/example/v1.yaml" in done.out
    assert cli("check", "prompts/example/v1.yaml").code == 0
    wrong = [one for one in cli("check", "--json").json if not one["ok"]]
    assert [one["file"] for one in wrong] == [file] and wrong[0]["problems"]


def test_nothing_to_check_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("check")
    assert done.code == 2 and "nothing to check" in done.err


def test_rows_that_the_provider_refuses_are_errors_all_the_way(tmp_path, monkeypatch):
    """Over HTTP: what the server refused is what JUnit calls errors, and the score says what it could be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    assert cli("init").code == 0
    notes = [json.loads(line) for line in Path("evals/example.jsonl").read_text(encoding="utf-8").splitlines()]
    cursed = {row["note"] for row in notes[:6]}

    def script(seen: Seen) -> Fault | None:
        return refuse(400) if seen.body["messages"][-1]["content"] in cursed else None

    flags = ["--min-score", "0.1", "--max-errors", "20", "--junit", "j.xml", "--json"]
    with running_server(faults=script, key="right") as server:
        model = ["--model", "openai/offline:perfect", "--base-url", server.base_url]
        done = cli("eval", "evals/example.yaml", *model, *flags)
        assert cli("eval", "evals/example.yaml", *model, "--min-score", "0").code == 3, "six of 14 are too many"
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        refused = cli("eval", "evals/example.yaml", *model, *flags, "--param", "temperature=1")
    lost = [error for split in done.json["splits"].values() for error in split["errors"]]
    gate = {one["name"]: one for one in done.json["gate"]["checks"]}
    assert 0 < len(lost) == gate["errors"]["figure"] == done.json["gate"]["rows"]["unscored"]
    assert done.code == 3 and gate["min-score"]["status"] == "cannot say"
    assert gate["min-score"]["bounds"] == pytest.approx([0, len(lost) / 14])
    found = ET.parse("j.xml").getroot().findall("testsuite/testcase/error[@type='bad_request']")
    assert len(found) == len(lost)
    assert refused.code == 6 and not refused.out


def test_a_budget_that_is_too_small_is_no_failed_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    assert cli("eval", "evals/example.yaml", "--min-score", "0.5", "--budget-calls", "3", "--junit", "j.xml").code == 5
    assert not Path("j.xml").exists()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_page_keeps_to_its_width(kept, monkeypatch, columns):
    monkeypatch.chdir(kept(broken=1, lost=1))
    monkeypatch.setenv("COLUMNS", str(columns))
    flags = "--min-score 0.9 --max-regressions 0 --max-cost-increase 0 --max-errors 1 --require-gain"
    lines = cli("gate", *flags.split()).out.splitlines()
    assert max(map(len, lines)) <= columns and "\x1b" not in "".join(lines)
    assert any(line.startswith(" broken ") for line in lines) and any(line.startswith(" errors ") for line in lines)
