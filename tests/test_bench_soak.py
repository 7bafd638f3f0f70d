"""The driver of the soak: turns are counted, a failure is kept and told, the page gets its block."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.soak import run
from benchmarks.soak.case import Case, Turn


def good(turn: Turn) -> None:
    turn.injected(2)
    turn.counts["commands"] += 1


def bad(turn: Turn) -> None:
    good(turn)
    (turn.folder / "left").write_text("what it was", "utf-8")
    raise AssertionError("A: 3 requests for answers that were on the disk")


CASES = [Case(name="good", turn=good, turns=5, quick=2), Case(name="bad", turn=bad, turns=lambda: 1)]


@pytest.fixture(autouse=True)
def cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "all_cases", lambda: CASES)


def test_a_turn_that_fails_is_told_and_its_folder_kept(tmp_path: Path) -> None:
    counts, failure = run.take("bad", 0, str(tmp_path))
    assert counts["injected"] == 2
    assert "bad, turn 0, kept in " in failure and "A: 3 requests" in failure
    assert [path.read_text("utf-8") for path in tmp_path.glob("*/left")] == ["what it was"]


def test_a_turn_that_goes_well_leaves_nothing(tmp_path: Path) -> None:
    assert run.take("good", 4, str(tmp_path)) == (Counter(injected=2, commands=1), "")
    assert list(tmp_path.iterdir()) == []


def test_every_case_has_its_turns() -> None:
    assert [run.numbers(case, quick=False) for case in CASES] == [[0, 1, 2, 3, 4], [0]]
    few = [run.numbers(case, quick=True) for case in CASES]
    assert len(few[0]) == 2 and set(few[0]) < set(range(5)) and few[1] == [0]


def test_the_block_says_what_failed_and_goes_between_the_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n", "utf-8")
    monkeypatch.setattr(run, "PAGE", page)
    told = run.Told(of=5, turns=5, counts=Counter(injected=1234, lost=1), failures=["x"])
    run.write(run.result({"good": told}))
    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{run.BEGIN}\n") and text.endswith(f"{run.END}\nafter\n") and "old" not in text
    assert "faults injected: 1,234" in text and "calls lost: 1 " in text and "not as promised: 1\n" in text
    assert "| good | 5 | 0 | 0 | 1,234 | 0 |" in text


def test_turns_that_there_was_no_time_for_are_told(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        whole = run.soak(CASES[:1], pool, quick=False, jobs=2, root=tmp_path, seconds=60.0)["good"]
        told = run.soak(CASES[:1], pool, quick=False, jobs=2, root=tmp_path, seconds=0.0)["good"]
    assert (whole.turns, whole.counts["injected"]) == (5, 10)
    assert told.turns < 5 and told.of == 5
    assert f"| good | {told.turns} of 5 | " in run.result({"good": told})


def test_the_files_of_cases_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    names = [case.name for case in run.all_cases()]
    assert len(names) == len(set(names)) >= 7
