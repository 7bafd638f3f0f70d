"""docs/commands/ is what the command line says of itself, and its examples print what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import command_pages, transcripts


def test_the_pages_are_what_is_made_from_the_commands():
    paths = [*command_pages.PAGES.glob("*.md"), *command_pages.CONCEPTS.glob("*.md")]
    there = {path: path.read_text(encoding="utf-8") for path in paths}
    stale = [path.name for path, text in command_pages.written().items() if there.pop(path, "") != text]
    assert (stale, list(there)) == ([], []), "run: make command-pages"


@pytest.mark.parametrize("command", [*command_pages.commands()], ids=lambda one: one.page)
def test_every_page_shows_its_command_at_work(command):
    page = (command_pages.PAGES / command.page).read_text(encoding="utf-8")
    shown = transcripts.commands(page)
    assert any(line.startswith(" ".join(("optimizer", *command.path))) for line in shown)
    assert re.findall(r"\(exit code [125-7]\)", page) == []


def test_a_new_command_gets_a_page_with_an_example():
    case = next(one for one in command_pages.commands() if one.path == ("case",))
    export = next(one for one in command_pages.commands() if one.path == ("export",))
    assert "$ optimizer case direct-01\n" in command_pages.guess(case)
    assert re.search(r"\$ optimizer export \w+\n", command_pages.guess(export))


def test_a_transcript_is_replaced_by_what_is_printed(tmp_path):
    (tmp_path / "notes.txt").write_text("one\ntwo\n", encoding="utf-8")
    page = "Before\n\n```console\n$ cat notes.txt\nold\n\n$ head -n 1 \\\n    notes.txt\n$ false\n```\n\nafter\n"
    assert transcripts.commands(page) == ["cat notes.txt", "head -n 1 \\\n    notes.txt", "false"]
    made = transcripts.played(page, tmp_path)
    assert made == (
        "Before\n\n```console\n$ cat notes.txt\none\ntwo\n\n$ head -n 1 \\\n    notes.txt\none\n\n$ false\n"
        "(exit code 1)\n```\n\nafter\n"
    )
    assert transcripts.played(made, tmp_path) == made


def test_a_fault_is_shown_with_its_exit_code(tmp_path):
    made = transcripts.played("```console\n$ optimizer show\n```\n", tmp_path)
    assert re.fullmatch(r"```console\n\$ optimizer show\nerror: [^\n]+\n\(exit code 2\)\n```\n", made)


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("offline  2026-11-21 13:10 UTC, 12 s\n", "offline  2026-01-31 12:00 UTC, 1 s\n"),
        ("at 2026-11-21 13:10\n", "at 2026-01-31 12:00\n"),
        ('"started": "2026-11-21T13:10:04Z"\n', '"started": "2026-01-31T12:00:00Z"\n'),
        ("    54 + 5 tokens, $0.00, 0.02 s\n", "    54 + 5 tokens, $0.00, 0.00 s\n"),
        ("wrote FOLDER/app.yaml   \n\n\n", "wrote app.yaml\n"),
        ("", ""),
    ],
)
def test_what_changes_from_run_to_run_is_constant(printed, plain):
    folder = Path("a", "folder").absolute()
    assert transcripts.plain(printed.replace("FOLDER", str(folder)), folder) == plain
