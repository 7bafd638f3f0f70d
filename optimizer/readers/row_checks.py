"""Checks that need more than one row: missing fields, mixed types, repeats, contradictions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.config import DataSpec
from optimizer.dataset import canonical_json, content_id
from optimizer.readers import strict_json
from optimizer.readers.base import Findings, near, nearest
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


def parse_expected(rows: Sequence[Row], spec: DataSpec, found: Findings) -> None:
    """Read the expected column as JSON where every cell of it is an object or a list."""
    filled = [row for row in rows if row.expected is not None]
    if not filled or not all(row.expected.lstrip().startswith(("{", "[")) for row in filled):
        return
    decode = strict_json.decoder().decode
    parsed: list[Any] = []
    bad: list[tuple[Row, str]] = []
    for row in filled:
        try:
            value = decode(row.expected)
        except (ValueError, RecursionError) as error:
            bad.append((row, getattr(error, "msg", "nested too deep")))
            continue
        bad += [(row, flaw.problem) for _, flaw in strict_json.flaws(value)]
        parsed.append(value)
    if len(bad) == len(filled):
        return
    for row, problem in bad:
        found.add(row.line, spec.expected, f"not JSON, as the other rows are: {problem}", "mend the cell")
    if not bad:
        for row, value in zip(filled, parsed, strict=True):
            row.expected = value


def check_fields(rows: Sequence[Row], spec: DataSpec, found: Findings) -> None:
    """Fields that some rows lack, or spell in another way."""
    counts = Counter(name for row in rows for name in row.fields)
    common = {name for name, count in counts.items() if count * 2 > len(rows)}
    with_expected = sum(row.has_expected for row in rows)
    for row in rows:
        lacking = common - row.fields
        if with_expected and not row.has_expected:
            lacking.add(spec.expected)
        odd = [name for name in row.fields if name not in common]
        for name in sorted(lacking):
            other = near(name, odd, cutoff=0.8)
            if other or name == spec.expected:
                hint = f"did you mean {other!r}? " if other else "write null where there is no target; "
                fix = f"{hint}fields here: {', '.join(sorted(row.fields))}"
                found.add(row.line, name, "missing, and other rows have it", fix)
    for configured, default in ((spec.expected, "expected"), (spec.split, "split")):
        if configured not in counts and (configured != default or _variant(configured, counts, spec)):
            have = ", ".join(sorted(counts))
            found.add(0, configured, "no row has this field", f"{nearest(configured, list(counts))}fields: {have}")


def _variant(name: str, counts: Mapping[str, int], spec: DataSpec) -> bool:
    """True where a field differs from the name by letter case alone, and is not asked for as an input."""
    return any(other.casefold() == name and other not in (spec.inputs or ()) for other in counts)


def check_types(rows: Sequence[Row], spec: DataSpec, found: Findings) -> None:
    """A field has one type in all rows; null fits each."""
    first: dict[str, tuple[str, int]] = {}
    others: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        for name, value in (*row.inputs.items(), (spec.expected, row.expected)):
            if value is None:
                continue
            kind = kind_of(value)
            if first.setdefault(name, (kind, row.line))[0] != kind:
                others[name, kind].append(row.line)
    for (name, kind), lines in others.items():
        known, line = first[name]
        more = f", and in {len(lines) - 1} more rows" if len(lines) > 1 else ""
        problem = f"{kind} here{more}, {known} on line {line}"
        found.add(lines[0], name, problem, "give the field one type in all rows")


def distinct(rows: Sequence[Row], spec: DataSpec, found: Findings) -> tuple[list[Row], list[Skipped]]:
    """Rows that differ in content; repeats are skipped, contradictions noted."""
    by_inputs: dict[str, Row] = {}
    kept: list[Row] = []
    skipped: list[Skipped] = []
    for row in rows:
        key = canonical_json(row.inputs)
        row.content = content_id(row.inputs, row.expected)
        first = by_inputs.setdefault(key, row)
        if first is row:
            kept.append(row)
        elif first.content != row.content:
            problem = f"the same input as on line {first.line}, with another {spec.expected}"
            found.add(row.line, spec.expected, problem, "keep one answer")
        elif first.split and row.split and first.split != row.split:
            splits = f"{first.split} and {row.split}"
            found.add(row.line, spec.split, f"the same row as on line {first.line} in two splits: {splits}", "keep one")
        else:
            first.split = first.split or row.split
            skipped.append(Skipped(where=found.where(row.line), reason=f"the same row as on line {first.line}"))
    return kept, skipped


def name_rows(rows: Iterable[Row], found: Findings) -> None:
    """Give every row its id; two rows with one id are a problem."""
    first: dict[str, int] = {}
    for row in rows:
        row.id = row.id or row.content
        if (line := first.setdefault(row.id, row.line)) != row.line:
            found.add(row.line, "id", f"the id {row.id!r} stands on line {line} too", "give each row its own")


def warnings_of(
    rows: Sequence[Row], skipped: Sequence[Skipped], spec: DataSpec, unused: Mapping[str, int]
) -> list[str]:
    """What a user should look at, though the run can go on."""
    warnings = []
    if skipped:
        rows_left = "1 row" if len(skipped) == 1 else f"{len(skipped)} rows"
        first = "" if len(skipped) == 1 else " is the first"
        warnings.append(f"{rows_left} left out that repeat another row ({skipped[0].where}{first})")
    if len(rows) < _FEW:
        warnings.append(f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}: too few for any comparison to mean much")
    answers = {canonical_json(row.expected) for row in rows}
    if answers == {"null"}:
        warnings.append(f"no row has {spec.expected!r}: metrics need values of their own")
    elif len(answers) == 1 and len(rows) > 1:
        warnings.append(f"every row has the same {spec.expected!r}: a prompt that always says it would pass")
    if unused:
        warnings.append(f"fields not used: {', '.join(sorted(unused))}")
    secret = next((row for row in rows if _SECRET.search(canonical_json([row.inputs, row.expected]))), None)
    if secret:
        warnings.append(f"line {secret.line} holds what looks like a key: rows go to the provider and into prompts")
    return warnings
