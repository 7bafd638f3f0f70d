"""docs/tutorial.md: every command of it runs, and prints what stands there."""

from __future__ import annotations

import csv
import re
import shutil

import pytest

from scripts import command_pages, transcripts

PAGE = command_pages.TUTORIAL.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="the tutorial ends in a merge, which needs git")
def test_the_tutorial_prints_what_it_says():
    assert command_pages.tutorial() == PAGE, "run: make command-pages"


def test_the_tutorial_takes_the_whole_way():
    shown = transcripts.commands(PAGE)
    ours = {line.split()[1] for line in shown if line.startswith("optimizer ")}
    assert {"check", "eval", "run", "diff", "failures", "case", "compare", "gate", "apply", "log"} <= ours
    assert "GAIN SHOWN" in PAGE and "stand-in" in PAGE
    # The check in CI that is meant to fail.
    assert re.findall(r"\(exit code (\d+)\)", PAGE) == ["3"]


@pytest.mark.parametrize(
    ("prose", "printed"),
    [
        ("33 wrong answers are two causes", r"^   33  label: .*(?:\n.*){2}why it fails(?:.*\n){5}(?!   +\d)"),
        ("with 19 test rows", r"^ok  evals/notes\.yaml: .*, 19 test; "),
        ("Three rows are still wrong", r"^ val    84\.2%, 16 of 19 rows pass"),
        ("and the two lines with", r"^notes@v1 -> notes@v2  2 added, 0 replaced, 0 removed$"),
        ("Here there are none", r"^no such row$"),
    ],
)
def test_what_the_tutorial_says_of_a_page_stands_on_it(prose, printed):
    assert prose in PAGE
    assert re.search(printed, PAGE, re.MULTILINE)


def test_the_spreadsheet_is_what_the_tutorial_says_of_it():
    with (command_pages.TUTORIAL.with_suffix("") / "notes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = sum(row["answer"] != row["right"] for row in rows)
    assert f"That is {len(rows)} notes, {wrong} of them answered wrongly." in PAGE
    assert len({row["id"] for row in rows}) == len({row["note"] for row in rows}) == len(rows)
