"""YAML documents: values as written, with their lines, and nothing that surprises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import DataError
from optimizer.readers.base import Caps
from optimizer.readers.document import Document, dotted, parse

PATH = Path("file.yaml")


def data(text: str) -> Any:
    return parse(text, PATH).data


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("e5", "e5"),
        (".", "."),
        ("'12'", "12"),
        ('"no"', "no"),
        ('"\\u263a\\n"', "☺\n"),
        ("two words", "two words"),
    ],
)
def test_a_scalar_means_what_it_says(written: str, value: object) -> None:
    found = data(f"key: {written}\n")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("block", "value"),
    [
        ("|\n  a\n  b\n", "a\nb"),
        ("|-\n  a\n", "a"),
        ("|+\n  a\n\n", "a\n"),
        ("|\n  a\n   indented\n\n  end\n", "a\n indented\n\nend"),
        (">\n  a\n  b\n", "a b"),
        ('"a\\n"\n', "a\n"),
    ],
)
def test_one_final_newline_of_a_block_belongs_to_the_file(block: str, value: str) -> None:
    assert data(f"key: {block}")["key"] == value


@pytest.mark.parametrize("char", ["\x85", "\u2028", "\u2029", "\ufeff", "\u200d", "\ue000", "🧑‍🚀", "e\u0301"])
def test_characters_are_kept(char: str) -> None:
    text = f"key: |-\n  one{char}two\n  three\nnext: a{char}b\n"
    assert data(text) == {"key": f"one{char}two\nthree", "next": f"a{char}b"}


def test_every_value_has_its_line() -> None:
    read = parse("a: 1\nb:\n  - x\n  - k: 2\n    m: |\n      text\n    n: [1,\n      2]\n", PATH)
    assert read.lines[("a",)] == 1
    assert read.lines[("b",)] == 2
    assert [read.lines[("b", index)] for index in (0, 1)] == [3, 4]
    assert read.lines[("b", 1, "m")] == 5
    assert read.lines[("b", 1, "n", 1)] == 8
    assert read.line(("b", 1, "gone", 3)) == 4
    assert Document(path=PATH).line(("a",)) == 0


def test_numbers_that_would_not_be_written_back_as_they_are_are_remembered() -> None:
    read = parse("a: 1.10\nb: 1.5\nc: +3\nd: 2\ne: 1e-05\nf: '1.10'\n", PATH)
    assert read.written == {("a",): "1.10", ("c",): "+3"}


def test_dotted_places() -> None:
    assert dotted(("metrics", 1, "contains")) == "metrics[1].contains"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "file.yaml:3: duplicate key 'a' (keep one of the two)"),
        ("a: {b: 1,\n b: 2}\n", "file.yaml:2: duplicate key 'b'"),
        ("a: &x [1]\nb: *x\n", "file.yaml:2: an alias"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "file.yaml:3: a merge key"),
        ("a: !!python/object/apply:os.system [ls]\n", "file.yaml:1: the tag"),
        ("a: !!str 12\n", "file.yaml:1: the tag"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2: a second document"),
        ("? [a, b]\n: 1\n", "file.yaml:1: a key that is a list or mapping"),
        ("a: .inf\n", "file.yaml:1: .inf is not a finite number"),
        ("a: 1e999\n", "file.yaml:1: 1e999 is not a finite number"),
        ("a: " + "9" * 5000, "file.yaml:1: a number of 5000 characters"),
        ("a: .nan\n", "not a finite number"),
        ("a: [1\nb: 2\n", "file.yaml:2: not YAML: "),
        ("a:\n\t- b\n", "file.yaml:2: not YAML: "),
        ("a: b: c\n", "file.yaml:1: not YAML: "),
        ("ok: 1\na: \x07\n", "file.yaml:2: control character U+0007"),
        ('a: "\\UFFFFFFFF"\n', "file.yaml: not YAML: "),
        ('a: "\\ud800"\n', "file.yaml:1: half a surrogate pair"),
        ("[" * 100_000, "file.yaml:1: nested deeper than 64"),
        ("- " * 100_000, "file.yaml:1: nested deeper than 64"),
        ("".join("  " * depth + "a:\n" for depth in range(100)), "nested deeper than 64"),
        ("@a", "file.yaml:1: not YAML: "),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(text, PATH)
    assert said in str(caught.value)


def test_an_alias_bomb_is_refused_at_the_first_alias() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{name}: &{name} [*{last}, *{last}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(DataError, match="file.yaml:2: an alias"):
        parse(bomb, PATH)


def test_a_document_over_the_cap_is_refused() -> None:
    with pytest.raises(DataError, match="more than 10 characters"):
        parse("a: " + "x" * 10, PATH, Caps(document_bytes=10))


def test_a_document_of_too_many_values_is_refused() -> None:
    with pytest.raises(DataError, match="file.yaml:4: more than 4 values"):
        parse("- a\n" * 9, PATH, Caps(nodes=4))
