"""Files of rows that are wrong: refused before the first request, with the place and what to do about it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from optimizer.testing.server import FakeServer
from tests.input_case import CSV, ROWS, Files, data, jsonl, prompt_file, refused, rows, settings, write

AT_13 = "evals/x.jsonl:13: "
IMAGE = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]


def row(**fields: object) -> dict[str, object]:
    return {"id": "q", "question": "Who?", "expected": "Bob 1", **fields}


def number(field: str, value: str) -> str:
    return json.dumps(row(**{field: "VALUE"})).replace('"VALUE"', value) + "\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"evals/x.jsonl": None}, "evals/x.jsonl: no such file (check the path)"),
        ({"evals/x.jsonl": ""}, "evals/x.jsonl: no examples in the file (add rows)"),
        ({"evals/x.jsonl": "\n \n\t\n"}, "evals/x.jsonl: no examples in the file (add rows)"),
        ({"evals/x.jsonl": None, "evals/x.jsonl/y": ""}, "evals/x.jsonl: a folder, not a file (name a file in it)"),
        (settings("x.jsonl", "y.jsonl"), "evals/y.jsonl: no such file (did you mean 'x.jsonl'? check the path)"),
        (settings("x.jsonl", "https://host/x.jsonl"), "evals/x.yaml:2: data.path: a URL, not a file (download it"),
        (data("x.zip", b"PK\3\4"), "evals/x.zip: an archive, not a file of text (unpack it first)"),
        (data("x.jsonl.gz", b"\x1f\x8b"), "evals/x.jsonl.gz: an archive, not a file of text (unpack it first)"),
        (data("x.parquet", b"PAR1"), "no reader for the ending '.parquet' (use .jsonl, .ndjson, .json, .csv, .tsv,"),
        (data("rows", ROWS), "evals/rows: the file name has no ending (use .jsonl"),
    ],
)
def test_what_is_no_file_of_rows(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert told in refused(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (ROWS.encode("utf-16"), "evals/x.jsonl:1: the file is UTF-16, not UTF-8 (re-save it as UTF-8)"),
        (ROWS.encode("utf-16-be"), "evals/x.jsonl:1: the file is UTF-16, not UTF-8 (re-save it as UTF-8)"),
        (ROWS.encode("utf-32"), "evals/x.jsonl:1: the file is UTF-32, not UTF-8 (re-save it as UTF-8)"),
        (
            ROWS.encode() + b'{"question": "it\x92s", "expected": "x"}\n',
            AT_13 + "byte 0x92 at byte 17 is not UTF-8 (looks like cp1252) (re-save it as UTF-8)",
        ),
        (
            ROWS.encode() + b'{"question": "\x81\xe9", "expected": "x"}\n',
            AT_13 + "byte 0x81 at byte 15 is not UTF-8 (looks like latin-1) (re-save it as UTF-8)",
        ),
        (ROWS.encode() + b'{"question": "\xed\xa0\x80", "expected": "x"}\n', AT_13 + "byte 0xed at byte 15 is not UTF"),
        (ROWS.encode() + b'{"question": "\\ud800", "expected": "x"}\n', AT_13 + "question: half a surrogate pair"),
        (ROWS.encode() + b'{"question": "x", "\\udc00": "x"}\n', AT_13 + "half a surrogate pair in a key"),
    ],
)
def test_bytes_that_are_not_utf_8(tmp_path: Path, endpoint: FakeServer, raw: bytes, told: str) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": raw})
    err = refused(tmp_path, endpoint)
    assert told in err and "\ufffd" not in err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (rows('{"id": "q", "question": "x'), AT_13 + "not JSON: Unterminated string starting at (column 25)"),
        (rows('{"id": "q", "question": "x",}\n'), AT_13 + "not JSON: "),
        ({"evals/x.jsonl": ROWS.replace("}\n", "},\n")}, "evals/x.jsonl:1: not JSON: a comma behind the row (column "),
        (
            {"evals/x.jsonl": json.dumps([json.loads(line) for line in ROWS.splitlines()])},
            "evals/x.jsonl:1: this is JSON, not JSONL (one object a line, or name it .json with a list of them)",
        ),
        ({"evals/x.jsonl": json.dumps(json.loads(ROWS.splitlines()[0]), indent=1)}, "evals/x.jsonl:1: this is JSON,"),
        (rows([1, 2]), AT_13 + 'the row is a list, not an object (write {"field": value, ...})'),
        (rows("7\n"), AT_13 + "the row is a number, not an object"),
        (rows("null\n"), AT_13 + "the row is null, not an object"),
        (rows('{"id": "q", "question": "a", "question": "b"}\n'), AT_13 + "question: duplicate key (keep one of the"),
        (rows('{"id": "q", "question": "a\tb"}\n'), AT_13 + "not JSON: Invalid control character"),
        (rows("{'question': 'a'}\n"), AT_13 + "not JSON: "),
        (rows(number("question", "True")), AT_13 + "not JSON: "),
        (rows("[" * 100_000 + "\n"), AT_13 + "nested deeper than 64 (flatten it)"),
        (rows('{"question": ' + "[" * 99 + "]" * 99 + "}\n"), AT_13 + "question[0][0]...: nested deeper than 64"),
        (data("x.json", "{}"), "evals/x.json:1: the file holds one object, not a list of rows (write [{...}, {...}])"),
        (data("x.json", ROWS), "evals/x.json:1: this is JSONL, not JSON (name it .jsonl, or set `format: jsonl`)"),
        (data("x.json", '[{"question": "a"},]'), "evals/x.json:1: a comma behind the last row (column 19) (take it"),
        (
            data("x.json", '[{"question": "a"}'),
            "evals/x.json:1: not JSON: neither `,` nor `]` behind a row (column 19)",
        ),
        (data("x.json", '[{"question": "a"}]\nx'), "evals/x.json:2: text behind the end of the list (column 1) (take"),
        (data("x.json", '[\n{"question": NaN}]'), "evals/x.json:2: question: NaN is not a finite number (use null"),
        (data("x.json", "[]"), "evals/x.json: no examples in the file (add rows)"),
    ],
)
def test_rows_that_are_not_json(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert told in refused(tmp_path, endpoint)


@pytest.mark.parametrize("field", ["question", "expected"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "0." + "9" * 5000])
def test_numbers_that_are_none(tmp_path: Path, endpoint: FakeServer, field: str, value: str) -> None:
    write(tmp_path, endpoint, rows(number(field, value)))
    told = refused(tmp_path, endpoint)
    assert f"{AT_13}{field}: " in told and "not a finite number" in told


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (rows(row(expected=7)), AT_13 + "expected: a number here, text on line 1 (give the field one type in all"),
        (rows(row(question=["a"])), AT_13 + "question: a list here, text on line 1 (give the field one type"),
        (
            rows({"id": "q", "expected": "x"}),
            AT_13 + "the row has no input (give it a text, or take the row out; fields",
        ),
        (rows(row(question=None)), AT_13 + "question: the input is blank (give it a text, or take the row out)"),
        (rows(row(question=" \t\u2003")), AT_13 + "question: the input is blank (give it a text, or take the row out)"),
        (
            rows({"id": "q", "Question": "x", "expected": "x"}),
            AT_13
            + "question: missing, and other rows have it (did you mean 'Question'? fields here: Question, expected",
        ),
        (
            rows({"id": "q", "question": "x"}),
            AT_13 + "expected: missing, and other rows have it (write null where there is no target; fields here: id,",
        ),
        (rows(row(expected=None)), AT_13 + "expected: is missing, and contains compares with it"),
        (
            {"evals/x.jsonl": ROWS.replace('"expected"', '"Expected"')},
            "evals/x.jsonl: expected: no row has this field (did you mean 'Expected'? fields: Expected, id, question)",
        ),
        (rows(row(id="r3")), AT_13 + "id: the id 'r3' stands on line 4 too (give each row its own)"),
        (rows(row(id=["r3"])), AT_13 + "id: must be text, not a list (write it in quotes)"),
        (rows(row(id="a\nb")), AT_13 + "id: is blank, too long, or holds control characters (use at most 200 plain"),
        (
            rows(row(question="Who is number 3?")),
            AT_13 + "expected: the same input as on line 4, with another expected",
        ),
        (rows(row(split="dev")), AT_13 + "split: no split 'dev' (did you mean 'val'? use train, val or test)"),
        (rows(row(split=["train", "test"])), AT_13 + "split: one row in several splits (choose one)"),
        (
            rows(row(split="train"), row(id="q2", split="test")),
            "evals/x.jsonl:14: split: the same row as on line 13 in two splits: train and test (keep one)",
        ),
        (rows(row(tags=7)), AT_13 + 'tags: neither a list of texts nor comma text (write ["a", "b"])'),
        (rows(row(group=1.5)), AT_13 + "group: must be text, not a number (write it in quotes)"),
        ({"evals/x.jsonl": jsonl(*[row(id=str(n), question=[n, *IMAGE]) for n in range(12)])}, "'image_url', and only"),
        ({"evals/x.jsonl": jsonl(row(), row(id="p", question="y"))}, "split: no row is in test (add rows or groups"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert told in refused(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CSV + f"q,{'x' * 1_000_001},y\n", "evals/x.csv:14: a cell of more than 1,000,000 characters (shorten it)"),
        (CSV + 'q,"a\nb"\nq2,a,b,c\n', "evals/x.csv:14: 2 cells, and the header has 3 (quote cells that hold the"),
        (CSV + 'q,"a\nb"\nq2,a,b,c\n', "evals/x.csv:16: 4 cells, and the header has 3 (quote cells that hold the"),
        ("id,question,question\na,b,c\n", "evals/x.csv:1: question: 2 columns have this name (give each its own)"),
        ("id,question,\na,b,c\n", "evals/x.csv:1: a column without a name (name every column)"),
        (CSV + "q,a\0b,c\n", "evals/x.csv:14: question: a NUL character (take it out)"),
        (CSV + 'q,"a\nb,c\n', "evals/x.csv:14: a quote is opened here and never closed (close it)"),
        (CSV + 'q,"a"b,c\n', "evals/x.csv:14: not CSV: , expected behind"),
        (CSV.replace("\n", "\r"), "evals/x.csv:1: a line end that is a lone CR (re-save with LF or CRLF line ends)"),
        ("id,question,expected\n", "evals/x.csv: no examples in the file (add rows)"),
        ("Bob,r1\nTim,r2\n" + CSV.split("\n", 1)[1], "evals/x.csv:3: 3 cells, and the header has 2"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, endpoint: FakeServer, text: str, told: str) -> None:
    write(tmp_path, endpoint, data("x.csv", text))
    assert told in refused(tmp_path, endpoint)


def test_up_to_twenty_faults_are_told_at_once(tmp_path: Path, endpoint: FakeServer) -> None:
    lines = [json.dumps({"id": f"q{n}", f"f{n}": 0}).replace(": 0", ": NaN") + "\n" for n in range(60)]
    write(tmp_path, endpoint, {"evals/x.jsonl": "".join(lines)})
    told = refused(tmp_path, endpoint).splitlines()
    assert len(told) == 21 and told[0].startswith("error: evals/x.jsonl:1: f0: NaN")
    assert told[19].startswith("       evals/x.jsonl:20: f19: NaN") and told[20] == "       ... and 40 more"


def test_the_same_fault_on_many_lines_is_told_once(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, rows(*['{"question": NaN}\n'] * 3, *['{"question": "a", "question": "b"}\n'] * 4))
    told = refused(tmp_path, endpoint)
    assert "evals/x.jsonl: the same on 2 more lines: 14, 15\n" in told
    assert "evals/x.jsonl: the same on 3 more lines: 17, 18, 19\n" in told


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("x.jsonl", "evals/x.jsonl: cannot be read: Too many levels of symbolic links (check the path and its"),
        ("nowhere", "evals/x.jsonl: a link that leads nowhere (mend the link)"),
        ("/dev/zero", "evals/x.jsonl: not a regular file (write the rows to a file first)"),
        ("../evals", "evals/x.jsonl: a folder, not a file (name a file in it)"),
    ],
)
def test_links_that_lead_to_no_file(tmp_path: Path, endpoint: FakeServer, target: str, told: str) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": None})
    (tmp_path / "evals" / "x.jsonl").symlink_to(target)
    assert told in refused(tmp_path, endpoint)


def test_a_pipe_is_not_waited_for(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": None})
    os.mkfifo(tmp_path / "evals" / "x.jsonl")
    assert "evals/x.jsonl: not a regular file (write the rows to a file first)" in refused(tmp_path, endpoint)


@pytest.mark.parametrize("verb", ["run", "eval", "check"])
def test_every_command_that_reads_rows_refuses_them(tmp_path: Path, endpoint: FakeServer, verb: str) -> None:
    write(tmp_path, endpoint, {**rows(row(expected=7)), **prompt_file("c.txt", "Answer: {{ question }}\n")})
    assert AT_13 + "expected: a number here" in refused(tmp_path, endpoint, verb, "evals/x.yaml")
    assert not (tmp_path / "runs").exists() and not (tmp_path / "evals" / "x.splits.json").exists()
