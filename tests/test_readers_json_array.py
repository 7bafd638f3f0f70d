"""JSON lists of rows: lines, columns and caps."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.errors import DataError
from optimizer.readers.base import CAPS, Findings, RawRow
from optimizer.readers.json_array import Rows


def rows(folder: Path, text: str) -> list[RawRow]:
    path = folder / "rows.json"
    path.write_bytes(text.encode())
    found = Findings(path)
    read = list(Rows().read(path, CAPS, found))
    found.check()
    return read


def test_rows_have_the_line_on_which_their_object_starts(tmp_path: Path) -> None:
    text = '\ufeff\n[\n  {"a": 1,\n   "b": "x\\ny"},\n\n  {"a": 2}, {"a": 3}\n]\n'
    read = rows(tmp_path, text)
    assert [(row.line, row.values["a"]) for row in read] == [(3, 1), (6, 2), (6, 3)]


@pytest.mark.parametrize("text", ["[]", " [ ] \n", ""])
def test_an_empty_list_has_no_rows(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": 2}\n', ":1: this is JSONL, not JSON (name it .jsonl, or set `format: jsonl`)"),
        ('{"rows": []}', ":1: the file holds one object, not a list of rows"),
        ('"text"', ":1: not a list of rows: it starts with"),
        ('[{"a": 1},\n]', ":1: a comma behind the last row (column 10)"),
        ('[{"a": 1}\n{"a": 2}]', ":2: not JSON: neither `,` nor `]` behind a row (column 1)"),
        ('[{"a": 1}', ":1: not JSON: neither `,` nor `]` behind a row (column 10)"),
        ('[{"a": 1}] x', ":1: text behind the end of the list (column 12)"),
        ('[\n{"a": 1},\n{"a": }]', ":3: not JSON: Expecting value (column 7)"),
        ("[", ":1: not JSON: Expecting value (column 2)"),
        ("[" * 100_000, "nested deeper than 64"),
        ('[{"a": 1},\n[2]]', ":2: the row is a list, not an object"),
        ('[{"a": 1,\n"a": 2}]', ":1: a: duplicate key"),
    ],
)
def test_what_is_wrong_has_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        rows(tmp_path, text)
    assert said in str(caught.value)


def test_rows_behind_a_bad_value_are_still_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        rows(tmp_path, '[{"a": NaN},\n{"a": 1},\n{"b": 1e999}]')
    assert [problem.where.rpartition(":")[2] for problem in caught.value.problems] == ["1", "3"]
