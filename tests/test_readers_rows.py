"""Rows: what is kept, and what is said of files that are wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from optimizer.config import DataSpec
from optimizer.dataset import Split
from optimizer.errors import DataError
from optimizer.readers.base import Caps
from optimizer.readers.rows import Ledger, load_examples

GOOD = '{"question": "a", "expected": "b"}\n'


def write(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> DataSpec:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DataSpec(path=path)


def jsonl(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def problems(spec: DataSpec, **caps: int) -> list[str]:
    """Problems as `name:line field: problem (fix)`, without the folder."""
    with pytest.raises(DataError) as caught:
        load_examples(spec, Caps(**caps))
    return [str(problem).replace(f"{spec.path.parent}{os.sep}", "") for problem in caught.value.problems]


def test_a_plain_file_gives_examples_in_file_order(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "question": "Who?", "expected": "Bob", "tags": ["name", "short"], "group": "g", "split": "test"},
        {"id": 7, "question": "What?", "expected": "A dog", "tags": "name, long"},
        {"question": "Why?", "expected": None},
    ]
    examples, ledger = load_examples(write(tmp_path, jsonl(*rows)))
    assert [row.id for row in examples[:2]] == ["x", "7"]
    assert len(examples[2].id) == 12
    assert examples[0].inputs == {"question": "Who?"}
    assert examples[0].tags == ("name", "short")
    assert examples[1].tags == ("name", "long")
    assert (examples[0].group, examples[1].group) == ("g", None)
    assert examples[1].source == f"{tmp_path}{os.sep}rows.jsonl:2"
    assert ledger.splits == {"x": Split.TEST}
    assert (ledger.read, ledger.kept, ledger.fields) == (3, 3, ("question",))


def test_an_inputs_object_holds_the_inputs_and_the_rest_is_reported(tmp_path: Path) -> None:
    spec = write(tmp_path, jsonl({"inputs": {"a": 1, "b": [2]}, "expected": "x", "note": "n"}))
    examples, ledger = load_examples(spec)
    assert examples[0].inputs == {"a": 1, "b": [2]}
    assert any("note" in warning for warning in ledger.warnings)


def test_configured_fields_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, jsonl({"q": "a", "group": "red", "label": "b", "part": "val", "extra": 1})).path
    spec = DataSpec(path=path, inputs=("q", "group"), expected="label", split="part")
    examples, ledger = load_examples(spec)
    assert examples[0].inputs == {"q": "a", "group": "red"}
    assert (examples[0].expected, examples[0].group) == ("b", "red")
    assert ledger.splits == {examples[0].id: Split.VAL}


@pytest.mark.parametrize("value", ["012", "no", "2024-01-01", "1e3", " padded ", "true", "🧑‍🚀 é é \u2028 \r\n"])
def test_text_stays_text_to_the_byte(tmp_path: Path, value: str) -> None:
    examples, _ = load_examples(write(tmp_path, jsonl({"question": value, "expected": value})))
    assert examples[0].inputs == {"question": value}
    assert examples[0].expected == value


def test_the_id_is_a_hash_of_the_content_and_no_row_number(tmp_path: Path) -> None:
    one, two = {"question": "a", "expected": "b"}, {"question": "c", "expected": "d"}
    first, _ = load_examples(write(tmp_path, jsonl(one, two)))
    second, _ = load_examples(write(tmp_path, jsonl(two, one)))
    assert {row.id for row in first} == {row.id for row in second}


def test_rows_that_repeat_are_left_out_with_a_warning(tmp_path: Path) -> None:
    examples, ledger = load_examples(write(tmp_path, GOOD * 3 + jsonl({"question": "c", "expected": "d"})))
    assert len(examples) == 2
    assert [skip.reason for skip in ledger.skipped] == ["the same row as on line 1"] * 2
    assert (ledger.read, ledger.kept) == (4, 2)
    assert any("repeat" in warning for warning in ledger.warnings)


def test_a_repeat_that_names_a_split_gives_it_to_the_row_that_is_kept(tmp_path: Path) -> None:
    examples, ledger = load_examples(write(tmp_path, jsonl({"q": "a"}, {"q": "a", "split": "val"})))
    assert ledger.splits == {examples[0].id: Split.VAL}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "rows.jsonl: no examples in the file (add rows)"),
        (b"\n \n\t\n", "rows.jsonl: no examples in the file (add rows)"),
        (GOOD + '{"question": "b", "exp', "rows.jsonl:2: not JSON: Unterminated string starting at (column 19)"),
        (GOOD + '{"question": "b",}\n', "rows.jsonl:2: not JSON: "),
        ('[\n{"question": "a"}\n]\n', "rows.jsonl:1: this is JSON, not JSONL"),
        ('[{"question": "a"}]\n', "rows.jsonl:1: this is JSON, not JSONL"),
        ('{\n"question": "a"\n}\n', "rows.jsonl:1: this is JSON, not JSONL"),
        (GOOD + "[1, 2]\n", "rows.jsonl:2: the row is a list, not an object"),
        ("3\n", "rows.jsonl:1: the row is a number, not an object"),
        (GOOD + "null\n", "rows.jsonl:2: the row is null, not an object"),
        ('{"question": "a", "question": "b"}', "rows.jsonl:1: question: duplicate key (keep one of the two)"),
        ('{"question": NaN}', "rows.jsonl:1: question: NaN is not a finite number"),
        ('{"q": {"x": [1, -Infinity]}}', "rows.jsonl:1: q.x[1]: -Infinity is not a finite number"),
        ('{"question": 1e999}', "rows.jsonl:1: question: 1e999 is not a finite number"),
        ('{"question": ' + "9" * 5000 + "}", "rows.jsonl:1: question: not a finite number: 5000 characters long"),
        ('{"question": 0.' + "9" * 5000 + "}", "rows.jsonl:1: question: not a finite number: 5002 characters long"),
        ('{"question": "\\ud800"}', "rows.jsonl:1: question: half a surrogate pair"),
        ('{"\\udc00": "a"}', "rows.jsonl:1: half a surrogate pair in a key"),
        ('{"question": ' + "[" * 100_000, "rows.jsonl:1: nested deeper than 64"),
        ('{"question": ' + "[" * 100 + "]" * 100 + "}", "nested deeper than 64"),
        (
            GOOD.encode() + b'{"question": "it\x92s"}',
            "rows.jsonl:2: byte 0x92 at byte 17 is not UTF-8 (looks like cp1252)",
        ),
        (b'{"question": "\x81"}', "rows.jsonl:1: byte 0x81 at byte 15 is not UTF-8 (looks like latin-1)"),
        (GOOD.encode("utf-16"), "rows.jsonl:1: the file is UTF-16, not UTF-8 (re-save it as UTF-8)"),
        (GOOD.encode("utf-16-le"), "rows.jsonl:1: the file is UTF-16"),
        (GOOD.encode("utf-32"), "rows.jsonl:1: the file is UTF-32"),
        ('{"question": "  \\n\\t "}', "rows.jsonl:1: question: the input is blank"),
        ('{"question": null}', "rows.jsonl:1: question: the input is blank"),
        ('{"expected": "a"}', "rows.jsonl:1: the row has no input"),
        ('{"question": "a", "tags": [1]}', "rows.jsonl:1: tags: neither a list of texts nor comma text"),
        ('{"question": "a", "id": 1.5}', "rows.jsonl:1: id: must be text, not a number"),
        ('{"question": "a", "id": true}', "rows.jsonl:1: id: must be text, not true or false"),
        ('{"question": "a", "id": "a\\u0000b"}', "rows.jsonl:1: id: is blank, too long, or holds control characters"),
        ('{"question": "a", "group": ["x"]}', "rows.jsonl:1: group: must be text, not a list"),
        (
            '{"question": "a", "split": "Train"}',
            "split: no split 'Train' (did you mean 'train'? use train, val or test)",
        ),
        ('{"question": "a", "split": "validation"}', "use train, val or test"),
        ('{"question": "a", "split": "dev"}', "did you mean 'val'?"),
        ('{"question": "a", "split": ["train", "test"]}', "rows.jsonl:1: split: one row in several splits"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    (only,) = problems(write(tmp_path, content))
    assert said in only
    assert only.endswith(")")


def test_every_problem_is_told_at_once_in_line_order(tmp_path: Path) -> None:
    content = '{"question": NaN}\n' + GOOD + "[]\n{bad\n" + '{"question": "c", "split": "tests"}\n'
    told = problems(write(tmp_path, content))
    assert [problem.split(":")[1] for problem in told] == ["1", "3", "4", "5"]


def test_the_message_shows_twenty_problems_and_counts_the_rest(tmp_path: Path) -> None:
    rows = "".join(f'{{"field {number}": NaN}}\n' for number in range(25))
    with pytest.raises(DataError) as caught:
        load_examples(write(tmp_path, rows))
    assert len(caught.value.problems) == 25
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("... and 5 more")


def test_one_problem_on_many_lines_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_examples(write(tmp_path, "[1]\n" * 25))
    assert len(caught.value.problems) == 25
    first, rest = str(caught.value).splitlines()
    assert "rows.jsonl:1: the row is a list" in first
    assert "rows.jsonl: the same on 24 more lines: 2, 3, 4, " in rest and rest.endswith(", 21, ...")


def test_reading_stops_after_too_many_problems(tmp_path: Path) -> None:
    assert len(problems(write(tmp_path, "[1]\n" * 5000), problems=50)) == 50


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"id": "a", "q": "1"}, {"id": "b", "q": "2"}, {"id": "a", "q": "3"}],
            "rows.jsonl:3: id: the id 'a' stands on line 1 too",
        ),
        (
            [{"q": "1", "expected": "x"}, {"q": "2", "expected": "x"}, {"q": "1", "expected": "y"}],
            "rows.jsonl:3: expected: the same input as on line 1, with another expected",
        ),
        (
            [{"q": "1", "expected": "x"}, {"q": "2", "expected": 3}],
            "rows.jsonl:2: expected: a number here, text on line 1",
        ),
        (
            [{"q": "1"}, {"q": ["2"]}, {"q": ["3"]}],
            "rows.jsonl:2: q: a list here, and in 1 more rows, text on line 1",
        ),
        ([{"q": 1}, {"q": True}], "rows.jsonl:2: q: true or false here, a number on line 1"),
        (
            [{"q": "1", "expected": "x"}, {"q": "2"}],
            "rows.jsonl:2: expected: missing, and other rows have it (write null where there is no target; fields",
        ),
        (
            [{"q": "1", "expected": "x"}, {"q": "2", "Expected": "x"}, {"q": "3", "expected": "x"}],
            "rows.jsonl:2: expected: missing, and other rows have it (did you mean 'Expected'? fields here: ",
        ),
        (
            [{"question": "1"}, {"question": "2"}, {"Question": "3"}],
            "rows.jsonl:3: question: missing, and other rows have it (did you mean 'Question'? fields here: Question)",
        ),
        ([{"q": "1", "Expected": "x"}], "rows.jsonl: expected: no row has this field (did you mean 'Expected'? "),
        (
            [{"q": "1", "split": "train"}, {"q": "1", "split": "test"}],
            "rows.jsonl:2: split: the same row as on line 1 in two splits: train and test",
        ),
    ],
)
def test_rows_that_do_not_fit_each_other_are_named_with_both_lines(
    tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    (only,) = problems(write(tmp_path, jsonl(*rows)))
    assert said in only


def test_whole_and_broken_numbers_are_one_type_and_null_fits_each(tmp_path: Path) -> None:
    rows = [{"q": 1, "expected": None}, {"q": 2.5, "expected": 3}, {"q": None, "r": "x", "expected": 4.5}]
    examples, _ = load_examples(write(tmp_path, jsonl(*rows)))
    assert [row.expected for row in examples] == [None, 3, 4.5]


def test_a_configured_field_that_is_nowhere_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, jsonl({"question": "a", "answer": "b"})).path
    (told,) = problems(DataSpec(path=path, expected="anwser"))
    assert "anwser: no row has this field (did you mean 'answer'? fields: answer, question)" in told
    (told,) = problems(DataSpec(path=path, inputs=("Question",)))
    assert "rows.jsonl:1: Question: missing (did you mean 'question'? fields here: answer, question)" in told


def test_a_byte_order_mark_and_crlf_are_no_matter(tmp_path: Path) -> None:
    examples, _ = load_examples(write(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() * 1))
    assert examples[0].inputs == {"question": "a"}


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    target = write(tmp_path, GOOD, "real.jsonl").path
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    assert load_examples(DataSpec(path=link))[1].kept == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://host/rows.jsonl", "a URL, not a file"),
        ("s3://bucket/rows.csv", "a URL, not a file"),
        ("folder.jsonl", "a folder, not a file"),
        ("pipe.jsonl", "not a regular file"),
        ("rows.jsonl.zip", "an archive, not a file of text (unpack it first)"),
        ("row.jsonl", "no such file (did you mean 'rows.jsonl'? "),
        ("rows", "the file name has no ending"),
        ("rows.jsonl/x.jsonl", "cannot be read: Not a directory"),
        ("nul\0.jsonl", "cannot be read"),
        ("x" * 5000 + ".jsonl", "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_of_rows_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    write(tmp_path, GOOD)
    path = Path(name) if "://" in name else tmp_path / name
    with pytest.raises(DataError) as caught:
        load_examples(DataSpec(path=path))
    assert said in str(caught.value)


def test_an_archive_is_refused_whatever_format_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"PK\x03\x04", "rows.zip").path
    (told,) = problems(DataSpec(path=path, format="jsonl"))
    assert "an archive" in told


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    (told,) = problems(DataSpec(path=write(tmp_path, GOOD).path, format="jsnl"))
    assert "unknown format 'jsnl' (did you mean 'jsonl'? known: jsonl, json, csv)" in told


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        ({"file_bytes": 10}, "more than the cap of 10"),
        ({"line_bytes": 20}, "rows.jsonl:1: a line of more than 20 bytes"),
        ({"rows": 2}, "rows.jsonl:3: more than 2 rows"),
    ],
)
def test_caps_end_the_reading(tmp_path: Path, caps: dict[str, int], said: str) -> None:
    rows = [{"question": str(number), "expected": "x"} for number in range(5)]
    (told,) = problems(write(tmp_path, jsonl(*rows)), **caps)
    assert said in told


def test_a_huge_sparse_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    (told,) = problems(DataSpec(path=path))
    assert "1,073,741,824 bytes, more than the cap of 268,435,456" in told


def ledger(folder: Path, *rows: Any) -> Ledger:
    return load_examples(write(folder, jsonl(*rows)))[1]


def test_warnings_name_what_makes_a_comparison_idle(tmp_path: Path) -> None:
    rows = [{"q": str(number), "expected": "x"} for number in range(3)]
    told = " | ".join(ledger(tmp_path, *rows).warnings)
    assert "too few" in told
    assert "every row has the same 'expected'" in told
    assert "no row has 'expected'" in " | ".join(ledger(tmp_path, {"q": "a"}).warnings)


def test_a_key_in_a_row_is_told_of_but_not_shown(tmp_path: Path) -> None:
    secret = "sk-" + "a1B2" * 8
    told = " | ".join(ledger(tmp_path, {"q": "a"}, {"q": f"use {secret}"}).warnings)
    assert "line 2 holds what looks like a key" in told
    assert secret not in told


def test_a_message_is_one_plain_line_whatever_a_field_is_called(tmp_path: Path) -> None:
    (told,) = problems(write(tmp_path, jsonl({"a\n\x1b]52;c;x\x07\u202e": float("nan")})))
    assert "a\\n\\x1b]52;c;x\\x07\\u202e: NaN is not a finite number" in told
    (told,) = problems(write(tmp_path, jsonl({"x" * 10_000: float("nan")})))
    assert len(told) < 400
