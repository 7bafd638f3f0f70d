"""CSV: delimiters, quoting, lines of records, and cells that stay text."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from optimizer.config import DataSpec
from optimizer.dataset import Split
from optimizer.errors import DataError
from optimizer.readers.base import Caps, Findings, RawRow
from optimizer.readers.csv import Rows
from optimizer.readers.rows import load_examples


def rows(folder: Path, text: str | bytes, **caps: int) -> list[RawRow]:
    path = folder / "rows.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = Findings(path)
    read = list(Rows().read(path, Caps(**caps), found))
    found.check()
    return read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = f'question{delimiter}expected\n"a, b; c",x\n'.replace(",x", f"{delimiter}x")
    assert rows(tmp_path, text)[0].values == {"question": "a, b; c", "expected": "x"}


def test_commas_in_cells_do_not_win_over_the_real_delimiter(tmp_path: Path) -> None:
    read = rows(tmp_path, "question;expected\none, two, three;x\nfour, five;y\n")
    assert [row.values["expected"] for row in read] == ["x", "y"]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert [row.values for row in rows(tmp_path, "question\na\nb\n")] == [{"question": "a"}, {"question": "b"}]


def test_a_record_has_the_line_on_which_it_starts(tmp_path: Path) -> None:
    text = '\ufeffq,expected\r\n"a\nb\n\nc",x\r\n\r\n"d ""e""",y\r\n'
    read = rows(tmp_path, text)
    assert [(row.line, row.values["q"]) for row in read] == [(2, "a\nb\n\nc"), (7, 'd "e"')]


@pytest.mark.parametrize("cell", ["012", "no", "", "NULL", "1e999", "=SUM(A1)", "  x ", "nan", "{not json", "\u2028"])
def test_cells_stay_text(tmp_path: Path, cell: str) -> None:
    assert rows(tmp_path, f"q,note\na,{cell}\n")[0].values["note"] == cell


def test_a_cell_may_be_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    assert len(rows(tmp_path, "q\n" + "x" * 200_000 + "\n")[0].values["q"]) == 200_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("text", "caps", "said"),
    [
        ("q,e\na,b\nc\n", {}, ":3: 1 cell, and the header has 2"),
        ('q,e\n"a\nb",c,d\nx,y\n', {}, ":2: 3 cells, and the header has 2"),
        ("q,q\na,b\n", {}, ":1: q: 2 columns have this name"),
        ("q,\na,b\n", {}, ":1: a column without a name"),
        ("q,e\na,b\0\n", {}, ":2: e: a NUL character"),
        ('q,e\na,"b\nc,d\n', {}, ":2: a quote is opened here and never closed"),
        ('q,e\na,"b"c\n', {}, ":2: not CSV: , expected behind"),
        ("q,e\na,b\rc,d\n", {}, ":2: a line end that is a lone CR"),
        ("q,e\na," + "x" * 50 + "\n", {"cell_chars": 40}, ":2: a cell of more than 40 characters"),
        (b"q,e\na,\xe9\n", {}, ":2: byte 0xe9 at byte 3 is not UTF-8 (looks like cp1252)"),
        ("q,e\na,b\n".encode("utf-16"), {}, ":1: the file is UTF-16"),
    ],
)
def test_what_is_wrong_is_named_with_the_line_of_the_record(
    tmp_path: Path, text: str | bytes, caps: dict[str, int], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        rows(tmp_path, text, **caps)
    assert said in str(caught.value)


def test_bad_records_do_not_hide_later_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        rows(tmp_path, 'q,e\na\nb,"c"d\ne,f,g\n')
    assert [problem.where.rpartition(":")[2] for problem in caught.value.problems] == ["2", "3", "4"]


def examples(folder: Path, text: str) -> list[object]:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return [row.expected for row in load_examples(DataSpec(path=path))[0]]


def test_an_expected_column_of_objects_is_read_as_json(tmp_path: Path) -> None:
    assert examples(tmp_path, 'q,expected\na,"{""x"": 1}"\nb,\nc,"[2]"\n'.replace('"[2]"', '"{}"')) == [
        {"x": 1},
        None,
        {},
    ]


def test_an_expected_column_with_other_text_stays_text(tmp_path: Path) -> None:
    assert examples(tmp_path, "q,expected\na,[1]\nb,none of them\n") == ["[1]", "none of them"]
    assert examples(tmp_path, "q,expected\na,[sic]\nb,[so]\n") == ["[sic]", "[so]"]


def test_one_broken_object_in_a_column_of_objects_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        examples(tmp_path, 'q,expected\na,"{""x"": 1}"\nb,"{""x"": }"\nc,"{""x"": 1e999}"\n')
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 2
    assert ":3: expected: not JSON, as the other rows are: Expecting value" in told[0]
    assert "1e999 is not a finite number" in told[1]


def test_an_empty_cell_of_a_field_with_a_meaning_says_that_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('id,q,expected,tags,group,split\n,a,,,,\nx,b,c,"d, e",g,val\n', encoding="utf-8")
    (first, second), ledger = load_examples(DataSpec(path=path))
    assert (len(first.id), first.expected, first.tags, first.group) == (12, None, (), None)
    assert (second.id, second.tags, second.group) == ("x", ("d", "e"), "g")
    assert ledger.splits == {"x": Split.VAL}
