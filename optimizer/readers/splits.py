"""Splits: drawn once, stratified by tag and whole groups together, and kept in a file that is committed.

The file lists every row that was ever drawn, and every group. A row that leaves the data stays listed, so that a
test row which returns later is a test row still. Rows that come later are placed by a hash of their id (or group)
with the shares and the seed that the file names.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from optimizer.dataset import Example, Split
from optimizer.errors import DataError, Problem, StoreError
from optimizer.readers import atomic, strict_json
from optimizer.readers.base import CAPS, fault, read_text, shown
from optimizer.readers.document import Document, dotted
from optimizer.readers.draw import ORDER, Units, by_hash, draw, key_of
from optimizer.readers.json_places import lines_of
from optimizer.readers.shape import Strict, check, locate

VERSION = 1
"""Version of the lock file's layout."""
_MEND = "or take the file back from version control; without it new splits are drawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """What a lock file says."""

    seed: int
    """Seed of the draw and of the hashes."""
    shares: Mapping[Split, float]
    """Shares of the draw; they sum to 1."""
    rows: Mapping[str, Split] = field(default_factory=dict)
    """Example id -> split."""
    groups: Mapping[str, Split] = field(default_factory=dict)
    """Group -> split."""


_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Shares(Strict):
    train: _Share
    val: _Share
    test: _Share


def _whole(shares: _Shares) -> _Shares:
    if abs(shares.train + shares.val + shares.test - 1) > 1e-6:
        raise ValueError("the shares do not sum to 1; make them sum to 1")
    return shares


class _Names(Strict):
    train: list[str] = []
    val: list[str] = []
    test: list[str] = []


class _LockFile(Strict):
    version: Literal[1]
    seed: int
    shares: Annotated[_Shares, AfterValidator(_whole)]
    rows: _Names
    groups: _Names = _Names()


def assign(
    examples: Sequence[Example],
    shares: Mapping[str, float],
    lock_path: Path,
    seed: int,
    given: Mapping[str, Split] | None = None,
    *,
    write: bool = True,
) -> tuple[dict[str, Split], bool]:
    """Give every example a split.

    Args:
        examples: all rows; their order does not matter.
        shares: train, val and test; they sum to 1. Used for the first draw alone.
        lock_path: the lock file; written where a row is drawn.
        seed: seed of the first draw.
        given: splits that rows name themselves; they win, and are not written to the file.
        write: False to leave the file alone.

    Returns:
        Example id -> split, and whether the lock file had to change.

    Raises DataError for a group that would straddle splits, a file that is damaged or disagrees with `given`, and a
    split without rows; StoreError where the file cannot be written.
    """
    splits, changed = place(examples, shares, lock_path, seed, given, write=write)
    return {row.id: split for row, split in zip(examples, splits, strict=True)}, changed


def place(
    examples: Sequence[Example],
    shares: Mapping[str, float],
    lock_path: Path,
    seed: int,
    given: Mapping[str, Split] | None = None,
    *,
    write: bool = True,
) -> tuple[Iterator[Split], bool]:
    """The same as `assign`, with the splits one by one, in the order of the examples."""
    fixed = given or {}
    lock = read_lock(lock_path) if lock_path.exists() or lock_path.is_symlink() else None
    known = _known(examples, fixed, lock, lock_path)
    base = lock or Lock(seed=seed, shares={split: shares[split.value] for split in ORDER})
    units = Units(examples, base.seed)
    for row, unit in zip(examples, units.of, strict=True):
        if not units.homes[unit] and row.id in known:
            units.homes[unit] = 1 + ORDER.index(known[row.id])
    if lock is None:
        draw(units, examples, base.shares)
    else:
        for row, unit in zip(examples, units.of, strict=True):
            if not units.homes[unit]:
                units.homes[unit] = 1 + ORDER.index(by_hash(key_of(row), lock.shares, lock.seed))
    _check_filled(units, examples)
    changed = _adds(lock, examples, units.splits(), fixed)
    if changed and write:
        _write(lock_path, base, _Placed(examples, units, fixed))
    return units.splits(), changed


def _known(examples: Sequence[Example], given: Mapping[str, Split], lock: Lock | None, path: Path) -> dict[str, Split]:
    """Splits that are settled: named by the row, or by the file for the row or its group."""
    problems: list[Problem] = []
    known: dict[str, Split] = {}
    first: dict[str, Example] = {}
    for row in examples:
        locked = lock.rows.get(row.id) if lock else None
        if locked is None and lock and row.group is not None:
            locked = lock.groups.get(row.group)
        named = given.get(row.id)
        if named and locked and named != locked:
            problem = f"{named} here, {locked} in {path.name}"
            problems.append(_problem(row, "split", problem, f"change the row, or its entry in {shown(path)}"))
        split = named or locked
        if split is None:
            continue
        known[row.id] = split
        if row.group is None:
            continue
        other = first.setdefault(row.group, row)
        if known[other.id] != split:
            at = other.source or other.id
            problem = f"group {row.group!r} would straddle splits: {split} here, {known[other.id]} at {at}"
            problems.append(_problem(row, "group", problem, f"one split a group; see {shown(path)}"))
    if problems:
        raise DataError(problems)
    return known


def _problem(row: Example, name: str, problem: str, fix: str) -> Problem:
    return Problem(where=row.source or f"row {row.id}", field=name, problem=problem, fix=fix)


def _check_filled(units: Units, examples: Sequence[Example]) -> None:
    if lacking := [split.value for home, split in enumerate(ORDER, 1) if home not in units.homes]:
        where = examples[0].source.rpartition(":")[0] if examples else ""
        problem = f"no row is in {' or '.join(lacking)}"
        fix = "add rows or groups: each of train, val and test needs some"
        raise DataError([Problem(where=where or "rows", field="split", problem=problem, fix=fix)])


def _adds(lock: Lock | None, examples: Iterable[Example], splits: Iterable[Split], given: Mapping[str, Split]) -> bool:
    """Whether there are rows or groups that the lock file does not list so."""
    for row, split in zip(examples, splits, strict=True):
        if row.id not in given:
            if lock is None or lock.rows.get(row.id) is not split:
                return True
            if row.group is not None and lock.groups.get(row.group) is not split:
                return True
    return False


@dataclass(frozen=True, slots=True)
class _Placed:
    """Rows that do not name their split themselves, with the split that they got."""

    examples: Sequence[Example]
    units: Units
    given: Mapping[str, Split]

    def __iter__(self) -> Iterator[tuple[Example, Split]]:
        placed = zip(self.examples, self.units.splits(), strict=True)
        return ((row, split) for row, split in placed if row.id not in self.given)


def read_lock(path: Path) -> Lock:
    """Read a lock file. Raises DataError for a damaged one, with every fault that was found."""
    text = read_text(path, CAPS.array_bytes)
    try:
        data = strict_json.decoder().decode(text)
    except (ValueError, RecursionError) as error:
        message, line = getattr(error, "msg", "nested too deep"), getattr(error, "lineno", 0)
        raise fault(path, f"damaged: not JSON: {message}", f"mend the syntax, {_MEND}", line=line) from None
    problems = _problems(Document(path=path, data=data))
    if problems:
        # Only a damaged file is read again for its lines.
        problems = _problems(Document(path=path, data=data, lines=lines_of(text)))
        raise DataError(
            [replace(one, problem=f"damaged: {one.problem}", fix=f"{one.fix}, {_MEND}") for one in problems]
        )
    return Lock(
        seed=data["seed"],
        shares={split: data["shares"][split.value] for split in ORDER},
        rows=dict(_listed(data["rows"])),
        groups=dict(_listed(data.get("groups", {}))),
    )


def _problems(read: Document) -> list[Problem]:
    """What is wrong with a lock file."""
    found: list[Problem] = []
    for place, flaw in strict_json.flaws(read.data, replace(CAPS, values=CAPS.array_bytes)):
        at = next((known for known in read.lines if dotted(known) == place), ())
        found.append(Problem(where=locate(read, at), field=place, problem=flaw.problem, fix=flaw.fix))
    if found or check(_LockFile, read, found) is None:
        return found
    for key in ("rows", "groups"):
        first: dict[str, str] = {}
        for split, names in read.data.get(key, {}).items():
            for index, name in enumerate(names):
                if name in first:
                    where = locate(read, (key, split, index))
                    problem = f"{name!r} is listed twice: in {first[name]} and {split}"
                    found.append(Problem(where=where, field=f"{key}.{split}", problem=problem, fix="keep one"))
                first[name] = split
    return found


def _listed(names: Mapping[str, list[str]]) -> Iterator[tuple[str, Split]]:
    return ((name, Split(split)) for split, members in names.items() for name in members)


def _write(path: Path, lock: Lock, placed: _Placed) -> None:
    """Write the lock with the rows and groups of today besides: as `json.dumps` would, name by name."""
    shares = {split.value: lock.shares[split] for split in ORDER}
    text = io.StringIO()
    text.write(json.dumps({"version": VERSION, "seed": lock.seed, "shares": shares}, indent=2).removesuffix("\n}"))
    _block(text, "rows", lock.rows, lambda: ((row.id, split) for row, split in placed))
    groups = {**lock.groups, **{row.group: split for row, split in placed if row.group is not None}}
    if groups:
        _block(text, "groups", groups, lambda: ())
    text.write("\n}\n")
    try:
        atomic.replace(path, text.getvalue())
    except OSError as error:
        raise StoreError(f"{shown(path)}: cannot be written: {error.strerror} (check space and rights)") from error


def _block(
    text: io.StringIO, key: str, known: Mapping[str, Split], more: Callable[[], Iterable[tuple[str, Split]]]
) -> None:
    """Names by split, sorted."""
    text.write(f',\n  "{key}": {{')
    for number, wanted in enumerate(ORDER):
        names = {name for name, split in known.items() if split == wanted}
        names.update(name for name, split in more() if split == wanted)
        text.write(f'{"," if number else ""}\n    "{wanted.value}": [')
        lines = (json.dumps(name, ensure_ascii=False) for name in sorted(names))
        text.writelines(f"{',' if other else ''}\n      {line}" for other, line in enumerate(lines))
        text.write("\n    ]" if names else "]")
    text.write("\n  }")
