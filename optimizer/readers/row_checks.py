"""Checks that need more than one row: missing fields, mixed types, repeats, contradictions."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.config import DataSpec
from optimizer.dataset import Split, canonical_json
from optimizer.readers import strict_json
from optimizer.readers.base import Findings, near, nearest
from optimizer.readers.firsts import Firsts
from optimizer.readers.row import Row, kind_of

_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_FEW = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A row that was read and not kept."""

    where: str
    """`file:line`."""
    reason: str
    """Why."""


def expected_is_json(rows: Iterable[Row], spec: DataSpec, found: Findings) -> bool:
    """Whether every cell of the expected column is a JSON object or list, so that the column is read as such.

    Args:
        rows: all rows; gone through twice.
        spec: names the column.
        found: where cells are noted that are no JSON while others are.
    """
    filled = 0
    for row in rows:
        if row.expected is not None:
            filled += 1
            if not row.expected.lstrip().startswith(("{", "[")):
                return False
    decode = strict_json.decoder().decode
    bad: list[tuple[int, str]] = []
    for row in rows:
        if row.expected is not None:
            try:
                bad += [(row.line, flaw.problem) for _, flaw in strict_json.flaws(decode(row.expected))]
            except (ValueError, RecursionError) as error:
                bad.append((row.line, getattr(error, "msg", "nested too deep")))
    if len({line for line, _ in bad}) == filled:
        return False
    for line, problem in bad:
        found.add(line, spec.expected, f"not JSON, as the other rows are: {problem}", "mend the cell")
    return not bad


def parsed(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows with their expected cell read as JSON."""
    decode = strict_json.decoder().decode
    for row in rows:
        if isinstance(row.expected, str):
            row.expected = decode(row.expected)
        yield row


@dataclass(kw_only=True, slots=True)
class Fields:
    """Which fields the rows have."""

    rows: int = 0
    """How many there are."""
    counts: Counter[str] = field(default_factory=Counter)
    """Field -> rows that have it."""
    with_expected: int = 0
    """Rows that have the expected field."""

    def take(self, row: Row) -> None:
        """Count one row's."""
        self.rows += 1
        self.counts.update(row.fields)
        self.with_expected += row.has_expected

    def check(self, rows: Iterable[Row], spec: DataSpec, found: Findings) -> None:
        """Note fields that some rows lack, or spell in another way."""
        common = {name for name, count in self.counts.items() if count * 2 > self.rows}
        if any(self.counts[name] < self.rows for name in common) or 0 < self.with_expected < self.rows:
            for row in rows:
                self._check(row, common, spec, found)
        for configured, default in ((spec.expected, "expected"), (spec.split, "split")):
            if configured not in self.counts and (configured != default or _variant(configured, self.counts, spec)):
                have = ", ".join(sorted(self.counts))
                hint = nearest(configured, list(self.counts))
                found.add(0, configured, "no row has this field", f"{hint}fields: {have}")

    def _check(self, row: Row, common: set[str], spec: DataSpec, found: Findings) -> None:
        lacking = common - row.fields
        if self.with_expected and not row.has_expected:
            lacking.add(spec.expected)
        odd = [name for name in row.fields if name not in common]
        for name in sorted(lacking):
            other = near(name, odd, cutoff=0.8)
            if other or name == spec.expected:
                hint = f"did you mean {other!r}? " if other else "write null where there is no target; "
                fix = f"{hint}fields here: {', '.join(sorted(row.fields))}"
                found.add(row.line, name, "missing, and other rows have it", fix)


def _variant(name: str, counts: Mapping[str, int], spec: DataSpec) -> bool:
    """True where a field differs from the name by letter case alone, and is not asked for as an input."""
    return any(other.casefold() == name and other not in (spec.inputs or ()) for other in counts)


class Types:
    """A field has one type in all rows; null fits each."""

    def __init__(self, spec: DataSpec) -> None:
        self._expected = spec.expected
        self._first: dict[str, tuple[str, int]] = {}
        self._others: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, row: Row) -> None:
        """Look at one row."""
        for name, value in (*row.inputs.items(), (self._expected, row.expected)):
            if value is None:
                continue
            kind = kind_of(value)
            if self._first.setdefault(name, (kind, row.line))[0] != kind:
                line, count = self._others.get((name, kind), (row.line, 0))
                self._others[name, kind] = (line, count + 1)

    def check(self, found: Findings) -> None:
        """Note fields that have several."""
        for (name, kind), (first, count) in self._others.items():
            known, line = self._first[name]
            more = f", and in {count - 1} more rows" if count > 1 else ""
            problem = f"{kind} here{more}, {known} on line {line}"
            found.add(first, name, problem, "give the field one type in all rows")


class Distinct:
    """Rows that differ in content, each with an id; repeats are skipped, contradictions noted.

    What came before is known by a few bytes a row.
    """

    def __init__(self, spec: DataSpec, found: Findings) -> None:
        self.skipped: list[Skipped] = []
        """Rows that repeat another one."""
        self.late: dict[int, Split] = {}
        """Number of a row that was kept -> the split that only a repeat of it names."""
        self._spec = spec
        self._found = found
        self._inputs = Firsts()
        self._ids = Firsts()
        self._lines = array("L")
        self._id_lines = array("L")
        self._contents = array("Q")
        self._splits: list[Split | None] = []

    def takes(self, row: Row) -> bool:
        """Whether a row is kept; it has its content and its id then."""
        key = canonical_json(row.inputs)
        row.content = hashlib.sha256(f"[{key},{canonical_json(row.expected)}]".encode()).hexdigest()[:12]
        number = self._inputs.number(key)
        if number < len(self._lines):
            self._repeated(row, number)
            return False
        self._lines.append(row.line)
        self._contents.append(int(row.content, 16))
        self._splits.append(row.split)
        row.id = row.id or row.content
        same = self._ids.number(row.id)
        if same < len(self._id_lines):
            problem = f"the id {row.id!r} stands on line {self._id_lines[same]} too"
            self._found.add(row.line, "id", problem, "give each row its own")
        else:
            self._id_lines.append(row.line)
        return True

    def _repeated(self, row: Row, number: int) -> None:
        line, split = self._lines[number], self._splits[number]
        if self._contents[number] != int(row.content, 16):
            problem = f"the same input as on line {line}, with another {self._spec.expected}"
            self._found.add(row.line, self._spec.expected, problem, "keep one answer")
        elif split and row.split and split != row.split:
            problem = f"the same row as on line {line} in two splits: {split} and {row.split}"
            self._found.add(row.line, self._spec.split, problem, "keep one")
        else:
            if row.split and not split:
                self._splits[number] = self.late[number] = row.split
            where = self._found.where(row.line)
            self.skipped.append(Skipped(where=where, reason=f"the same row as on line {line}"))


@dataclass(kw_only=True, slots=True)
class Odd:
    """What a user should look at in the rows that are kept, though the run can go on."""

    rows: int = 0
    """How many."""
    answers: set[str] = field(default_factory=set)
    """Different expected values, as JSON; no more than two."""
    secret: int = 0
    """The first line with what looks like a key; 0 for none."""

    def take(self, row: Row) -> None:
        """Look at one row."""
        self.rows += 1
        if len(self.answers) < 2:
            self.answers.add(canonical_json(row.expected))
        if not self.secret and _SECRET.search(canonical_json([row.inputs, row.expected])):
            self.secret = row.line

    def warnings(self, skipped: Sequence[Skipped], spec: DataSpec) -> list[str]:
        """What there is to tell."""
        warnings = []
        if skipped:
            rows_left = "1 row" if len(skipped) == 1 else f"{len(skipped)} rows"
            first = "" if len(skipped) == 1 else " is the first"
            warnings.append(f"{rows_left} left out that repeat another row ({skipped[0].where}{first})")
        if self.rows < _FEW:
            warnings.append(
                f"{self.rows} {'row' if self.rows == 1 else 'rows'}: too few for any comparison to mean much"
            )
        if self.answers == {"null"}:
            warnings.append(f"no row has {spec.expected!r}: metrics need values of their own")
        elif len(self.answers) == 1 and self.rows > 1:
            warnings.append(f"every row has the same {spec.expected!r}: a prompt that always says it would pass")
        if self.secret:
            warnings.append(f"line {self.secret} holds what looks like a key: rows go to the provider and into prompts")
        return warnings


def unused_fields(unused: Iterable[str]) -> list[str]:
    """A warning of fields that are no inputs, where there are some."""
    names = ", ".join(sorted(unused))
    return [f"fields not used: {names}"] if names else []
