"""Whoever reviews a run has seven questions. `show` and one further command answer them: the transcript is the proof.

The demo is run, both commands are typed, and what they print is compared with docs/seven-questions.txt. Each answer
is looked for in the transcript as a person would, and compared with what the run itself holds. Write the file anew
with `UPDATE_TRANSCRIPT=1 pytest tests/test_seven_questions.py`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli_case import PACKAGE, cli, inside

TRANSCRIPT = PACKAGE / "docs" / "seven-questions.txt"
RUN = "demo"
COMMANDS = (("show", RUN), ("diff", RUN))
CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC(, \d+ (?:s|min))?")
QUESTIONS = """\
Seven questions about a run, and where `optimizer show` and `optimizer diff` answer them.

  Why did it fail?            show: "why it failed", rows of each cause, when found and now
  What changed?               diff: every line that came, went or changed, with the reason
  What did each line buy?     show: "what each line bought", points with their interval
  What broke?                 show: "rows", those that passed before and fail now
  What did it cost?           show: "calls" and "cost" of the run, "prompt" and "price" of each call
  Is it real?                 show: the verdict, "test" with interval and p on rows never seen
  How is it shipped?          show: "next", the command that puts it into a config file

The figures are those of the demo's offline stand-in, and say so.
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(PACKAGE / "evals", folder / "evals")
    (folder / "prompts" / "romeo-bob").mkdir(parents=True)
    shutil.copy(PACKAGE / "prompts/romeo-bob/v1.yaml", folder / "prompts/romeo-bob/v1.yaml")
    with inside(folder):
        assert cli("run", "evals/romeo-bob.yaml", "--run-id", RUN).code == 0
    return folder


@pytest.fixture(scope="module")
def printed(workspace: Path) -> Mapping[str, str]:
    """Command -> what it prints, on 80 columns, with a clock that stands still."""
    with inside(workspace), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        return {" ".join(words): CLOCK.sub("2026-01-01 00:00 UTC, 2 s", cli(*words).out) for words in COMMANDS}


@pytest.fixture(scope="module")
def facts(workspace: Path) -> dict[str, Any]:
    with inside(workspace):
        found: dict[str, Any] = cli("show", RUN, "--json").json
        return found


def test_the_transcript_is_what_the_commands_print(printed: Mapping[str, str]) -> None:
    shown = [f"$ optimizer {command}\n{text}" for command, text in printed.items()]
    transcript = "\n".join([QUESTIONS, *shown])
    if os.environ.get("UPDATE_TRANSCRIPT"):
        TRANSCRIPT.write_text(transcript, encoding="utf-8")
    assert TRANSCRIPT.read_text(encoding="utf-8") == transcript


def after(page: str, heading: str) -> str:
    """What stands under a heading, on one line."""
    _, found, rest = page.partition(f"\n{heading}")
    assert found, heading
    return " ".join(rest.split("\n\n")[0].split())


def fact(page: str, label: str) -> str:
    """What stands beside a label, its further lines too."""
    found = re.search(rf"^ {label} +(.*(?:\n {{8}}.*)*)", page, re.MULTILINE)
    assert found, label
    return " ".join(found[1].split())


def test_why_it_failed(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    told = after(printed["show demo"], "why it failed")
    for cause in facts["clusters"]:
        assert re.search(
            rf"\b{cause['found']} -> {cause['now']} {cause['stage']} {re.escape(cause['label'][:30])}", told
        )


def test_what_changed(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    page = " ".join(printed["diff demo"].split())
    for line in facts["lines"]:
        assert f"+ {line['id']} {line['text']} why: {line['cluster']}" in page


def test_what_each_line_bought(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    told = after(printed["show demo"], "what each line bought")
    for line in facts["lines"]:
        assert line["text"] in told and f"{100 * line['worth']:+.1f} [{100 * line['ci'][0]:+.1f}," in told
        assert line["label"] in told
    page = " ".join(printed["diff demo"].split())
    assert all(f"fixed by it: {len(line['fixed'])}:" in page for line in facts["lines"] if line["fixed"])


def test_what_broke(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    told = fact(printed["show demo"], "rows")
    assert told.startswith(f"fixed {len(facts['fixed'])}, broken {len(facts['broken'])} (on test)")
    assert all(row in told for row in facts["broken"][:5])
    assert re.search(r"val +fixed \d+, broken \d+ of 40 rows", printed["diff demo"])


def test_what_it_cost(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    page = printed["show demo"]
    assert fact(page, "calls").startswith(f"{facts['calls']['total']} sent")
    assert f"{facts['tokens']:,} tokens" in fact(page, "cost") and "paid" in fact(page, "cost")
    assert "prompt tokens a call" in fact(page, "prompt") and "for 1,000 calls" in fact(page, "price")


def test_whether_it_is_real(printed: Mapping[str, str], facts: dict[str, Any]) -> None:
    page, test = printed["show demo"], facts["test"]
    assert f"\n{facts['verdict']}  on {test['n']} rows that the search never saw" in page
    told = fact(page, "test")
    assert told.startswith(f"{test['baseline']:.1%} -> {test['winner']:.1%} {100 * test['gain']:+.1f} points [")
    assert f"{test['discordant']} differ" in told and "p<0.001" in told
    assert "optimistic" in fact(page, "val") and "stand-in" in told


def test_how_it_is_shipped(printed: Mapping[str, str], facts: dict[str, Any], workspace: Path) -> None:
    told = after(printed["show demo"], "next")
    (command,) = [step for step in facts["next"] if step.startswith("optimizer apply")]
    assert command in told
    config = workspace / "app.yaml"
    config.write_text("llm:\n  system: old\n", encoding="utf-8")
    words = command.replace("FILE", "app.yaml").replace("KEY", "llm.system").split()[1:]
    with inside(workspace):
        done = cli(*words)
    assert done.code == 0, done.err
    assert facts["lines"][0]["text"] in config.read_text(encoding="utf-8")
