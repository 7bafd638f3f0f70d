"""What people say of rows: kept, told, honoured by the next run, and scored anew without a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import DataError, StoreError
from optimizer.readers.config import load_config
from optimizer.readers.evalset import load_eval_set
from optimizer.readers.marks import Kind, Mark, add_mark, marks_path, read_marks, standing
from optimizer.store import RunReader
from tests.cli_case import cli, make_workspace

EVAL = Path("evals/example.yaml")
MARKS = Path("evals/example.marks.jsonl")
OTHER = {"positive": "negative", "negative": "positive"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def workspace(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    MARKS.unlink(missing_ok=True)
    return made


def mark(row: str, kind: str, *more: object) -> Any:
    done = cli("mark", row, kind, "because", "--by", "Ann", *more, "--json")
    assert done.code == 0, done.err
    return done.json


def fixed_train_row() -> str:
    return str(cli("failures", "--json").json["clusters"][0]["fixed"][0])


def test_a_right_label_scores_stored_answers_anew_without_a_call(workspace: Path) -> None:
    row = fixed_train_row()
    before = cli("case", row, "--json").json
    calls = cli("show", "--json").json["calls"]["total"]
    assert before["winner"]["passed"]
    told = mark(row, "wrong-label", "--expected", OTHER[before["expected"]])
    assert (told["by"], told["reason"], told["expected"]) == ("Ann", "because", OTHER[before["expected"]])
    after = cli("case", row, "--json").json
    assert not after["winner"]["passed"] and after["winner"]["scores"][0]["wanted"] == OTHER[before["expected"]]
    assert after["expected"] == OTHER[before["expected"]] and after["marks"][0]["by"] == "Ann"
    shown = cli("show", "--json").json
    assert shown["marks"]["relabelled"] == [row] and shown["calls"]["total"] == calls
    assert row not in shown["flips"]["train"]["fixed"]
    fates = {one["id"]: one["fate"] for one in cli("compare", "--json").json["rows"]}
    assert fates[row] == "same"
    assert row in cli("failures", "--json").json["marks"]["relabelled"]
    # The run itself is as it was.
    with RunReader(workspace, "first") as reader:
        stored = reader.example(row)
        assert stored is not None and stored.example.expected == before["expected"]


def test_a_row_that_is_set_aside_is_in_no_figure_and_the_verdict_stays(workspace: Path) -> None:
    before = cli("show", "--json").json
    row = before["fixed"][0]
    assert mark(row, "wrong-label")["version"] is None
    after = cli("show", "--json").json
    assert (after["test"]["n"], before["test"]["n"]) == (5, 6) and row not in after["fixed"]
    assert after["verdict"] == before["verdict"] and after["test"]["look"] == before["test"]["look"]
    assert after["marks"]["as_run"]["test"]["n"] == 6 and after["marks"]["set_aside"] == [row]
    page = " ".join(cli("show").out.split())
    assert f"1 row set aside ({row}) since the run" in page and "by the labels of the run" in page
    facts = cli("compare", "--json").json
    assert facts["splits"]["test"]["n"] == 5 and row not in [one["id"] for one in facts["rows"]]
    assert cli("case", row, "--json").json["set_aside"] is True
    assert "Set aside: in no figure" in cli("case", row).out


def test_undo_takes_back_all_but_notes(workspace: Path) -> None:
    before = cli("show", "--json").json
    row = fixed_train_row()
    mark(row, "wrong-label")
    mark(row, "regression")
    mark(row, "note")
    mark(row, "undo")
    facts = cli("marks", "--json").json
    assert [one["kind"] for one in facts["marks"]] == ["wrong-label", "regression", "note", "undo"]
    assert facts["set_aside"] == facts["regressions"] == []
    after = cli("show", "--json").json
    assert {key: after[key] for key in ("test", "val", "clusters", "flips")} == {
        key: before[key] for key in ("test", "val", "clusters", "flips")
    }


def test_undo_where_nothing_holds_is_refused(workspace: Path) -> None:
    row = fixed_train_row()
    mark(row, "note")
    done = cli("mark", row, "undo", "a slip")
    assert done.code == 2 and f"no mark of '{row}' holds" in done.err
    assert [one["kind"] for one in cli("marks", "--json").json["marks"]] == ["note"]


def test_the_next_run_has_the_rows_as_marked(workspace: Path) -> None:
    rows_of = cli("failures", "--json").json["clusters"][0]["fixed"]
    row = next(one for one in rows_of if cli("case", one, "--json").json["expected"] == "positive")
    other, third = [one for one in rows_of if one != row][:2]
    mark(row, "wrong-label", "--expected", "negative")
    mark(other, "wrong-label")
    mark(third, "regression")
    config = load_config(EVAL)
    evalset, ledger = load_eval_set(config, write=False)
    rows = {one.id: one for one in evalset.examples}
    assert rows[row].expected == "negative" and other not in rows and ledger.kept == len(rows) + 1
    assert any("1 relabelled, 1 set aside" in warning for warning in ledger.warnings)
    from optimizer.intake import take_in

    loaded = take_in(config, write=False)
    assert loaded.protected == {third} and loaded.meta().search["protect"] == [third]
    with RunReader(workspace, "first") as reader:
        ((before,),) = reader.query("SELECT hash FROM examples WHERE id = ?", row)
    assert loaded.meta().rows[row].split()[1] != before


def test_a_row_that_was_edited_since_is_left_alone(workspace: Path) -> None:
    row = fixed_train_row()
    mark(row, "wrong-label")
    lines = MARKS.read_text(encoding="utf-8")
    MARKS.write_text(lines.replace(json.loads(lines)["content"], "0" * 12), encoding="utf-8")
    evalset, ledger = load_eval_set(load_config(EVAL), write=False)
    assert row in {one.id for one in evalset.examples}
    assert any(f"row {row} was edited since it was marked" in warning for warning in ledger.warnings)
    shown = cli("show", "--json").json
    assert shown["marks"]["stale"] == [row] and shown["marks"]["set_aside"] == []


def test_where_the_metrics_are_gone_a_new_label_is_in_no_figure(workspace: Path) -> None:
    row = fixed_train_row()
    mark(row, "wrong-label", "--expected", OTHER[cli("case", row, "--json").json["expected"]])
    text = EVAL.read_text(encoding="utf-8")
    try:
        EVAL.write_text(text.replace("metrics:", "metrics:\n  - length: {max: 900}"), encoding="utf-8")
        shown = cli("show", "--json").json
    finally:
        EVAL.write_text(text, encoding="utf-8")
    assert shown["marks"]["unscored"] == shown["marks"]["set_aside"] == [row]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["note-2x", "note", "x"], "no row 'note-2x'"),
        (["note-02", "wrong-lable", "x"], "did you mean 'wrong-label'?"),
        (["note-02", "note", "  "], "a mark has a reason"),
        (["note-02", "note", "x", "--expected", "y"], "--expected goes with wrong-label"),
        (["note-02", "note", "x", "--run", "firts"], "did you mean first?"),
        (["note-02", "wrong-label", "x", "--expected", "neutral"], "neutral"),
    ],
)
def test_a_wrong_mark_is_told_and_not_kept(workspace: Path, arguments: list[str], told: str) -> None:
    done = cli("mark", *arguments)
    assert done.code == 2 and told in done.err, done.err
    assert not MARKS.exists()


def test_marks_are_listed_with_who_and_why(workspace: Path) -> None:
    assert cli("marks", "--json").json["marks"] == []
    mark("note-02", "regression")
    page = cli("marks").out
    assert "note-02  regression by Ann" in page and "because" in page and "protected" in page


MARK = Mark(row="r1", kind=Kind.NOTE, by="Ann", reason='\u202ehostile\n"x"', at="2026-11-21T10:15:00Z")


def test_the_file_only_grows_and_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = marks_path(tmp_path / "x.yaml")
    assert path.name == "x.marks.jsonl" and read_marks(path) == ()
    add_mark(path, MARK)
    first = path.read_bytes()
    path.write_bytes(first[:-1])
    add_mark(path, MARK)
    assert path.read_bytes() == first * 2 and read_marks(path) == (MARK, MARK)


def test_later_marks_take_the_place_of_earlier_ones() -> None:
    marks = [
        Mark(row=row, kind=kind, by="", reason="", at="", relabelled=value is not None, expected=value)
        for row, kind, value in (
            ("a", Kind.WRONG_LABEL, "1"),
            ("a", Kind.WRONG_LABEL, "2"),
            ("b", Kind.REGRESSION, None),
            ("c", Kind.REGRESSION, None),
            ("c", Kind.UNDO, None),
        )
    ]
    holds = standing(marks)
    assert {row: mark.expected for row, mark in holds.labels.items()} == {"a": "2"}
    assert holds.regressions == ("b",)


@pytest.mark.parametrize(
    "line", ["x", "[]", '{"row": "a"}', '{"at":"","row":"a","content":"","kind":"odd","by":"","reason":""}']
)
def test_a_line_that_is_no_mark_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.marks.jsonl"
    add_mark(path, MARK)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"x\.marks\.jsonl:2: .*not a mark"):
        read_marks(path)


def test_a_folder_that_refuses_is_a_fault_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        add_mark(tmp_path / "gone" / "x.marks.jsonl", MARK)
