from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.config import DataSpec
from optimizer.dataset import EvalSet, Split
from optimizer.errors import DataError
from optimizer.intake import take_in
from optimizer.readers.config import load_config
from optimizer.readers.firsts import Firsts
from optimizer.readers.rows import load_examples
from optimizer.readers.spooled import SpooledEvalSet, SpooledExamples
from optimizer.spool import BATCH

ROWS = BATCH + 200
"""More than are written at once."""


def row_of(number: int) -> dict[str, Any]:
    row = {"text": f"ticket {number} é", "deep": {"b": [number, None], "a": 1.5}, "expected": ["x", "y"][number % 2]}
    if number % 5 == 0:
        row |= {"id": f"row {number}", "tags": ["five", f"t{number % 3}"]}
    if number % 7 == 0:
        row["group"] = f"g{number % 21}"
    if number % 11 == 0:
        row["split"] = "val"
        row.pop("group", None)
    return row


def written(path: Path, rows: list[dict[str, Any]]) -> DataSpec:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DataSpec(path=path)


def test_rows_in_a_file_are_those_in_memory(tmp_path):
    rows = [row_of(number) for number in range(ROWS)]
    spec = written(tmp_path / "rows.jsonl", [*rows, *rows[3:90:2]])
    held, ledger = load_examples(spec)
    spooled, same = load_examples(spec, spooled=True)
    assert isinstance(held, tuple) and isinstance(spooled, SpooledExamples)
    assert tuple(spooled) == held and same == ledger and len(spooled) == len(held) == ROWS
    assert len(ledger.skipped) == 44
    assert (spooled[0], spooled[-1], spooled[2:4]) == (held[0], held[-1], list(held[2:4]))
    assert tuple(copy.deepcopy(spooled)) == held
    with pytest.raises(IndexError):
        spooled[ROWS]


def test_cells_that_are_json_are_read_as_such_in_a_file_too(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,expected\n" + "".join(f'row {n},"{{""n"": {n}}}"\n' for n in range(30)))
    held, ledger = load_examples(DataSpec(path=path))
    spooled, same = load_examples(DataSpec(path=path), spooled=True)
    assert tuple(spooled) == held and same == ledger and held[4].expected == {"n": 4}


@pytest.mark.parametrize(
    "more",
    [
        [{"text": "ticket 4 é", "deep": {"b": [4, None], "a": 1.5}, "expected": "other"}],
        [{"text": 4, "deep": {}, "expected": "x"}],
        [{"text": "a", "deep": {}, "expected": "x", "id": "row 5"}],
        [{"text": "a", "deep": {}, "expcted": "x"}],
        [{"text": "ticket 11 é", "deep": {"b": [11, None], "a": 1.5}, "expected": "y", "split": "test"}],
    ],
)
def test_what_is_wrong_is_told_in_the_same_words(tmp_path, more):
    spec = written(tmp_path / "rows.jsonl", [*(row_of(number) for number in range(30)), *more])
    with pytest.raises(DataError) as held:
        load_examples(spec)
    with pytest.raises(DataError) as spooled:
        load_examples(spec, spooled=True)
    assert str(held.value) == str(spooled.value) and "rows.jsonl:" in str(held.value)


def test_an_eval_set_in_a_file_is_the_one_in_memory(tmp_path):
    written(tmp_path / "rows.jsonl", [row_of(number) for number in range(ROWS)])
    (tmp_path / "prompt.md").write_text("Say it.\n\n{{ text }} {{ deep }}\n")
    eval_file = tmp_path / "rows.yaml"
    eval_file.write_text("prompt: prompt.md\ndata: rows.jsonl\nmodel: offline\nmetrics: [exact]\n")
    config = load_config(eval_file)
    spooled = take_in(config, spooled=True)
    lock = (tmp_path / "rows.splits.json").read_text()
    (tmp_path / "rows.splits.json").unlink()
    held = take_in(config)
    assert isinstance(spooled.evalset, SpooledEvalSet) and type(held.evalset) is EvalSet
    assert (tmp_path / "rows.splits.json").read_text() == lock
    assert dict(spooled.evalset.splits) == dict(held.evalset.splits)
    for split in Split:
        rows = spooled.evalset.split(split)
        assert tuple(rows) == held.evalset.split(split) and len(rows) == len(held.evalset.split(split))
        assert spooled.evalset.fingerprint(split) == held.evalset.fingerprint(split)
    assert dict(spooled.evalset.by_id()) == dict(held.evalset.by_id())
    assert spooled.told() == held.told() and spooled.meta() == held.meta()
    again = take_in(config, spooled=True)
    assert dict(again.evalset.splits) == dict(held.evalset.splits)


def test_rows_that_people_have_marked_are_held_in_memory(tmp_path):
    written(tmp_path / "rows.jsonl", [row_of(number) for number in range(40)])
    (tmp_path / "prompt.md").write_text("{{ text }} {{ deep }}\n")
    eval_file = tmp_path / "rows.yaml"
    eval_file.write_text("prompt: prompt.md\ndata: rows.jsonl\nmodel: offline\nmetrics: [exact]\n")
    mark = {"at": "", "by": "", "content": "", "kind": "wrong-label", "reason": "", "row": "row 5"}
    (tmp_path / "rows.marks.jsonl").write_text(json.dumps(mark | {"expected": "z"}) + "\n")
    evalset = take_in(load_config(eval_file), spooled=True).evalset
    assert type(evalset) is EvalSet and evalset.by_id()["row 5"].expected == "z"


def test_texts_are_numbered_as_they_first_came():
    firsts = Firsts()
    texts = [f"text {number % 3000}" for number in range(5000)]
    assert [firsts.number(text) for text in texts] == [number % 3000 for number in range(5000)]
    assert len(firsts) == 3000 and firsts.number("another") == 3000
