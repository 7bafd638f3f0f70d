"""JSON that is nested deeper than Python follows is damage like any other, wherever a file or a flag holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.cli.marked_rows import _value
from optimizer.cli.overrides import param
from optimizer.errors import StoreError
from optimizer.export.apply.backup import _read
from optimizer.store.lock import owner
from optimizer.store.repair import _call_in

DEEP = "[" * 100_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deep.json"
    path.write_text(DEEP, encoding="utf-8")
    return path


def test_a_lock_that_holds_it_has_no_owner(file: Path) -> None:
    assert owner(file) is None


def test_a_record_of_apply_that_holds_it_is_named(file: Path) -> None:
    with pytest.raises(StoreError, match=r"deep.json: cannot be read"):
        _read(file)


def test_a_line_of_the_log_that_holds_it_tells_of_no_call() -> None:
    assert _call_in(DEEP.encode()) is None


def test_a_flag_that_holds_it_is_text() -> None:
    assert param(f"stop={DEEP}") == ("stop", DEEP)
    assert _value(DEEP) == DEEP
