"""The eval set of a run: rows and splits together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.config import RunConfig
from optimizer.dataset import Split
from optimizer.errors import DataError
from optimizer.readers.config import load_config
from optimizer.readers.evalset import load_eval_set, lock_path

EVAL = "prompt: p.txt\ndata: rows.jsonl\nmodel: offline\nmetrics: [contains]\n"


def config(folder: Path, rows: list[dict[str, object]], more: str = "") -> RunConfig:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "set.yaml"
    path.write_text(EVAL + more, encoding="utf-8")
    return load_config(path)


def rows(count: int, **more: object) -> list[dict[str, object]]:
    return [{"question": f"q{number}", "expected": f"a{number % 5}", **more} for number in range(count)]


def test_rows_get_splits_and_the_lock_lies_beside_the_eval_file(tmp_path: Path) -> None:
    asked = config(tmp_path, rows(50))
    evalset, ledger = load_eval_set(asked)
    assert lock_path(asked) == tmp_path / "set.splits.json"
    assert lock_path(asked).exists()
    assert (evalset.name, len(evalset.examples)) == ("set", 50)
    assert [len(evalset.split(split)) for split in Split] == [20, 15, 15]
    assert ledger.warnings == ()
    again, _ = load_eval_set(asked)
    assert again == evalset


def test_the_order_of_rows_changes_neither_splits_nor_their_order_nor_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, _ = load_eval_set(config(tmp_path, rows(50)))
    two, _ = load_eval_set(config(tmp_path / "other", rows(50)[::-1]))
    for split in Split:
        assert [row.id for row in one.split(split)] == [row.id for row in two.split(split)]
        assert one.fingerprint(split) == two.fingerprint(split)
    assert one.fingerprint() == two.fingerprint()


def test_a_changed_row_changes_the_fingerprint(tmp_path: Path) -> None:
    named = [{"id": f"r{number}", **row} for number, row in enumerate(rows(50))]
    before, _ = load_eval_set(config(tmp_path, named))
    named[0]["expected"] = "other"
    after, _ = load_eval_set(config(tmp_path, named))
    assert before.splits == after.splits
    assert before.fingerprint() != after.fingerprint()


def test_nothing_is_written_on_request(tmp_path: Path) -> None:
    asked = config(tmp_path, rows(50))
    evalset, _ = load_eval_set(asked, write=False)
    assert not lock_path(asked).exists()
    assert load_eval_set(asked)[0] == evalset


def test_other_shares_later_are_told_and_move_no_row(tmp_path: Path) -> None:
    before, _ = load_eval_set(config(tmp_path, rows(50)))
    after, ledger = load_eval_set(config(tmp_path, rows(50), "splits: {train: 0.2, val: 0.2, test: 0.6}\n"))
    assert before.splits == after.splits
    assert any("drawn with other shares" in warning for warning in ledger.warnings)


def test_the_same_content_in_two_splits_is_refused(tmp_path: Path) -> None:
    leak: list[dict[str, object]] = [
        {"id": f"x{split}", "question": "same", "expected": "a", "split": split} for split in ("train", "test")
    ]
    with pytest.raises(DataError, match="in two splits: train and test"):
        load_eval_set(config(tmp_path, [*rows(20), *leak]))
