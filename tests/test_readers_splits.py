"""Splits: drawn once, kept, and never moved."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.dataset import Example, Split
from optimizer.errors import DataError, StoreError
from optimizer.readers.splits import assign, read_lock

SHARES = {"train": 0.4, "val": 0.3, "test": 0.3}
SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)


def example(number: int, *, tags: tuple[str, ...] = (), group: str | None = None) -> Example:
    return Example(id=f"r{number:05}", inputs={"q": number}, tags=tags, group=group, source=f"rows.jsonl:{number}")


def many(count: int, start: int = 0) -> list[Example]:
    return [example(number) for number in range(start, start + count)]


def sizes(splits: dict[str, Split]) -> list[int]:
    counts = Counter(splits.values())
    return [counts[split] for split in SPLITS]


def test_the_draw_follows_the_shares_and_is_written_for_people(tmp_path: Path) -> None:
    lock = tmp_path / "set.splits.json"
    splits, changed = assign(many(100), SHARES, lock, 0)
    assert changed
    assert sizes(splits) == [40, 30, 30]
    written = json.loads(lock.read_text(encoding="utf-8"))
    assert written["version"] == 1
    assert written["shares"] == SHARES
    assert all(written["rows"][split] == sorted(written["rows"][split]) for split in SHARES)
    assert lock.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    import os

    current = os.umask(0)
    os.umask(current)
    return current


def test_the_same_rows_give_the_same_file_whatever_their_order(tmp_path: Path) -> None:
    rows = [example(n, tags=(f"t{n % 3}",), group=f"g{n // 2}" if n % 5 else None) for n in range(60)]
    assign(rows, SHARES, tmp_path / "a", 0)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    assign(shuffled, SHARES, tmp_path / "b", 0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_draws_other_splits(tmp_path: Path) -> None:
    one, _ = assign(many(100), SHARES, tmp_path / "a", 0)
    two, _ = assign(many(100), SHARES, tmp_path / "b", 1)
    assert one != two


def test_every_tag_is_spread_as_the_whole_is(tmp_path: Path) -> None:
    rows = [example(n, tags=("often",) if n % 10 else ("rare",)) for n in range(300)]
    splits, _ = assign(rows, SHARES, tmp_path / "lock", 0)
    for tag, count in (("often", 270), ("rare", 30)):
        found = sizes({row.id: splits[row.id] for row in rows if tag in row.tags})
        assert all(abs(size - share * count) <= 1.5 for size, share in zip(found, SHARES.values(), strict=True))


def test_a_tag_of_its_own_for_every_row_does_not_fill_train_alone(tmp_path: Path) -> None:
    rows = [example(n, tags=(f"only{n}",)) for n in range(50)]
    assert sizes(assign(rows, SHARES, tmp_path / "lock", 0)[0]) == [20, 15, 15]


def test_a_group_stays_together(tmp_path: Path) -> None:
    rows = [example(n, group=f"g{n % 7}") for n in range(70)]
    splits, _ = assign(rows, SHARES, tmp_path / "lock", 0)
    for group in {row.group for row in rows}:
        assert len({splits[row.id] for row in rows if row.group == group}) == 1


def test_large_groups_leave_no_split_empty(tmp_path: Path) -> None:
    rows = [example(n, group="big" if n < 90 else f"g{n % 2}") for n in range(100)]
    assert all(sizes(assign(rows, SHARES, tmp_path / "lock", 0)[0]))


def test_no_old_row_moves_when_rows_come_and_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, _ = assign(many(50), SHARES, lock, 0)
    second, changed = assign([*many(20, start=30), *many(200, start=1000)], SHARES, lock, 0)
    assert changed
    assert all(second[row.id] == first[row.id] for row in many(20, start=30))
    third, changed = assign([*many(50), *many(200, start=1000)], SHARES, lock, 0)
    assert not changed
    assert third == {**first, **{row.id: second[row.id] for row in many(200, start=1000)}}


def test_later_rows_are_placed_by_hash_alone_with_the_shares_of_the_file(tmp_path: Path) -> None:
    together, apart = tmp_path / "together", tmp_path / "apart"
    for lock in (together, apart):
        assign(many(30), SHARES, lock, 0)
    later = many(2000, start=100)
    one, _ = assign([*many(30), *later], {"train": 0.9, "val": 0.05, "test": 0.05}, together, 99)
    assign([*many(30), *later[:1000]], SHARES, apart, 0)
    two, _ = assign([*many(30), *later], SHARES, apart, 0)
    assert one == two
    shares = [size / 2000 for size in sizes({row.id: one[row.id] for row in later})]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.05)


def test_a_later_row_joins_its_group_even_when_the_group_had_left(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    rows = [example(n, group=f"g{n // 2}") for n in range(20)]
    first, _ = assign(rows, SHARES, lock, 0)
    late = example(500, group="g3")
    second, _ = assign([*rows[:6], *rows[8:], late], SHARES, lock, 0)
    assert second[late.id] == first[rows[6].id]


def test_a_split_that_a_row_names_wins_and_is_not_written(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    rows = many(30)
    given = {rows[n].id: Split.TEST for n in range(10)}
    splits, _ = assign(rows, SHARES, lock, 0, given)
    assert all(splits[row.id] == Split.TEST for row in rows[:10])
    assert not read_lock(lock).rows.keys() & given.keys()


def test_no_file_is_written_where_every_row_names_its_split(tmp_path: Path) -> None:
    rows = many(3)
    given = {row.id: split for row, split in zip(rows, SPLITS, strict=True)}
    splits, changed = assign(rows, SHARES, tmp_path / "lock", 0, given)
    assert (splits, changed) == (given, False)
    assert not (tmp_path / "lock").exists()


def test_write_false_leaves_the_file_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    splits, changed = assign(many(10), SHARES, lock, 0, write=False)
    assert changed
    assert not lock.exists()
    assert assign(many(10), SHARES, lock, 0)[0] == splits


def faults(rows: list[Example], lock: Path, given: dict[str, Split] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        assign(rows, SHARES, lock, 0, given)
    return str(caught.value)


def test_a_group_that_would_straddle_splits_is_refused(tmp_path: Path) -> None:
    rows = [example(1, group="g"), example(2, group="g"), *many(10, start=10)]
    told = faults(rows, tmp_path / "lock", {rows[0].id: Split.TRAIN, rows[1].id: Split.TEST})
    assert "rows.jsonl:2: group: group 'g' would straddle splits: test here, train at rows.jsonl:1" in told


def test_rows_that_are_put_into_one_group_later_are_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, _ = assign(many(30), SHARES, lock, 0)
    one = next(row for row in many(30) if first[row.id] == Split.TRAIN)
    two = next(row for row in many(30) if first[row.id] == Split.TEST)
    rows = [example(int(row.id[1:]), group="g" if row.id in {one.id, two.id} else None) for row in many(30)]
    assert "would straddle splits" in faults(rows, lock)


def test_a_file_that_disagrees_with_the_rows_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, _ = assign(many(30), SHARES, lock, 0)
    row = next(row for row in many(30) if first[row.id] == Split.TRAIN)
    told = faults(many(30), lock, {row.id: Split.TEST})
    assert f"{row.source}: split: test here, train in lock" in told


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_rows_for_three_splits_are_refused(tmp_path: Path, count: int) -> None:
    assert "no row is in" in faults(many(count), tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


GOOD = '{"version": 1, "seed": 0, "shares": {"train": 0.4, "val": 0.3, "test": 0.3}, "rows": %s}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        GOOD % "[]",
        GOOD % '{"dev": ["a"]}',
        GOOD % '{"train": ["a", "a"]}',
        GOOD % '{"train": ["a"], "test": ["a"]}',
        GOOD % '{"train": [1]}',
        GOOD % '{"train": 1}',
        GOOD % '{"train": [], "train": []}',
        (GOOD % "{}").replace('"version": 1', '"version": 2'),
        (GOOD % "{}").replace("0.4", "0.5"),
        (GOOD % "{}").replace("0.4", "NaN"),
        (GOOD % "{}").replace("0.4", '"x"'),
        (GOOD % "{}").replace('"seed": 0', '"seed": "0"'),
        (GOOD % "{}").replace('"seed": 0', '"seed": 0, "more": 1'),
        "[" * 100_000,
        "<<<<<<< HEAD\n" + GOOD % "{}",
    ],
)
def test_a_damaged_file_says_how_to_mend_it(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "set.splits.json"
    lock.write_text(text, encoding="utf-8")
    told = faults(many(10), lock)
    assert "set.splits.json" in told
    assert "damaged" in told
    assert "version control" in told
    assert lock.read_text(encoding="utf-8") == text


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        assign(many(10), SHARES, tmp_path / "missing" / "lock", 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.lists(st.sampled_from("abc"), max_size=2), st.sampled_from([None, "g", "h"])),
        min_size=6,
        max_size=60,
        unique_by=lambda row: row[0],
    ),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_second_draw_is_the_first(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple], seed: int) -> None:  # type: ignore[type-arg]
    rows = [example(number, tags=tuple(tags), group=group) for number, tags, group in drawn]
    lock = tmp_path_factory.mktemp("draw") / "lock"
    try:
        first, _ = assign(rows, SHARES, lock, seed)
    except DataError:
        assert len({row.group or row.id for row in rows}) < 3
        return
    assert assign(rows[::-1], SHARES, lock, seed + 1) == ({row.id: first[row.id] for row in rows[::-1]}, False)
    for group in ("g", "h"):
        assert len({first[row.id] for row in rows if row.group == group}) <= 1
