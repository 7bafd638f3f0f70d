"""Raw rows made into examples, with every check that needs more than one row.

Values are never converted. Cells of a CSV file stay text, with one exception: where every cell of the `expected`
column is a JSON object or list, the column is read as such.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.config import DataSpec
from optimizer.dataset import Example, Split, canonical_json, content_id
from optimizer.readers import strict_json
from optimizer.readers.base import CAPS, Caps, Findings, RawRow, fault, format_of, near, nearest, reader

_ID_CHARS = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE"
)
_FEW = 10
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A row that was read and not kept."""

    where: str
    """`file:line`."""
    reason: str
    """Why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What became of the rows."""

    read: int
    """Rows in the file."""
    kept: int
    """Examples made of them."""
    skipped: tuple[Skipped, ...] = ()
    """Rows left out, in file order."""
    warnings: tuple[str, ...] = ()
    """What a user should look at, though the run can go on."""
    splits: Mapping[str, Split] = field(default_factory=dict)
    """Example id -> split, for rows that name their own."""
    fields: tuple[str, ...] = ()
    """Names of all inputs, sorted."""


@dataclass(kw_only=True, slots=True)
class _Row:
    """A row on its way to an example."""

    line: int
    inputs: dict[str, Any]
    has_expected: bool
    expected: Any
    id: str
    tags: tuple[str, ...]
    group: str | None
    split: Split | None
    fields: frozenset[str]
    content: str = ""


def load_examples(spec: DataSpec, caps: Caps = CAPS) -> tuple[tuple[Example, ...], Ledger]:
    """Read and check a file of rows.

    A row's `id`, `expected`, `tags`, `group` and `split` have their meaning; an `inputs` object holds the inputs
    where there is one; else every other field is an input, or those that the spec names. Rows with the same inputs
    and the same expected value count once.

    Raises DataError with every problem that was found.
    """
    name = format_of(spec.path, spec.format)
    found = Findings(spec.path, caps)
    taking = _Taking(spec, found)
    rows: list[_Row] = []
    read = 0
    for raw in reader(name).read(spec.path, caps, found):
        read += 1
        if read > caps.rows:
            found.add(raw.line, "", f"more than {caps.rows:,} rows", "use a sample of them")
            break
        if (row := taking.row(raw)) is not None:
            rows.append(row)
    if not rows and not found:
        raise fault(spec.path, f"no examples in {spec.path.name}", "add rows")
    if name == "csv":
        _parse_expected(rows, spec, found)
    return _checked(rows, spec, found, read, taking.unused)


def _checked(
    rows: list[_Row], spec: DataSpec, found: Findings, read: int, unused: Counter[str]
) -> tuple[tuple[Example, ...], Ledger]:
    _check_fields(rows, spec, found)
    _check_types(rows, spec, found)
    kept, skipped = _distinct(rows, spec, found)
    _name_rows(kept, found)
    found.check()
    examples = tuple(
        Example(
            id=row.id,
            inputs=row.inputs,
            expected=row.expected,
            tags=row.tags,
            group=row.group,
            source=found.where(row.line),
        )
        for row in kept
    )
    ledger = Ledger(
        read=read,
        kept=len(kept),
        skipped=tuple(skipped),
        warnings=(*found.warnings, *_warnings(kept, skipped, spec, unused)),
        splits={row.id: row.split for row in kept if row.split is not None},
        fields=tuple(sorted({name for row in kept for name in row.inputs})),
    )
    return examples, ledger


class _Taking:
    """Takes raw rows one by one; what it needs of other rows comes later."""

    def __init__(self, spec: DataSpec, found: Findings) -> None:
        self._spec = spec
        self._found = found
        self._special = frozenset({"id", "tags", "group", spec.expected, spec.split})
        self.unused: Counter[str] = Counter()

    def row(self, raw: RawRow) -> _Row | None:
        """The row, or None with its problems noted."""
        values = dict(raw.values)
        if raw.cells:
            # An empty cell of a field with a meaning of its own says that the row has none.
            for name in self._special & values.keys():
                values[name] = values[name] if values[name].strip() else None
        inputs = self._inputs(values, raw.line)
        tags = self._tags(values.get("tags"), raw.line)
        row_id = self._label(values.get("id"), "id", raw.line)
        group = self._label(values.get("group"), "group", raw.line)
        split, sound = self._split(values.get(self._spec.split), raw.line)
        if inputs is None or tags is None or row_id is None or group is None or not sound:
            return None
        return _Row(
            line=raw.line,
            inputs=inputs,
            has_expected=self._spec.expected in values,
            expected=values.get(self._spec.expected),
            id=row_id,
            tags=tags,
            group=group or None,
            split=split,
            fields=frozenset(values),
        )

    def _inputs(self, values: dict[str, Any], line: int) -> dict[str, Any] | None:
        nested = values.get("inputs")
        wanted = self._spec.inputs
        if isinstance(nested, dict) and (wanted is None or "inputs" not in wanted):
            rest = set(values) - self._special - {"inputs"}
            self.unused.update(rest)
            inputs = nested
        else:
            inputs = {name: value for name, value in values.items() if name not in self._special}
        if wanted is not None:
            pool = {**values, **inputs}
            if lacking := [name for name in wanted if name not in pool]:
                for name in lacking:
                    fix = f"{nearest(name, list(pool))}fields here: {', '.join(sorted(pool))}"
                    self._found.add(line, name, "missing", fix)
                return None
            self.unused.update(set(inputs) - set(wanted))
            inputs = {name: pool[name] for name in wanted}
        if all(_blank(value) for value in inputs.values()):
            names = ", ".join(sorted(inputs))
            problem = "the input is blank" if inputs else "the row has no input"
            self._found.add(line, names, problem, "give it a text, or take the row out")
            return None
        return inputs

    def _tags(self, value: Any, line: int) -> tuple[str, ...] | None:
        if value is None:
            return ()
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            self._found.add(line, "tags", "neither a list of texts nor comma text", 'write ["a", "b"]')
            return None
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def _label(self, value: Any, name: str, line: int) -> str | None:
        """An id or a group: text or a whole number; "" for none given, None for a bad one."""
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            self._found.add(line, name, f"must be text, not {_kind(value)}", "write it in quotes")
            return None
        text = str(value)
        if not text.strip() or len(text) > _ID_CHARS or _CONTROL.search(text):
            problem = "is blank, too long, or holds control characters"
            self._found.add(line, name, problem, f"use at most {_ID_CHARS} plain characters, or leave it out")
            return None
        return text

    def _split(self, value: Any, line: int) -> tuple[Split | None, bool]:
        if value is None:
            return None, True
        if isinstance(value, str) and value in _SPLITS:
            return Split(value), True
        field_name = self._spec.split
        if isinstance(value, list):
            self._found.add(line, field_name, "one row in several splits", "choose one")
        else:
            meant = "did you mean 'val'? " if str(value).casefold() in {"dev", "valid"} else ""
            meant = meant or nearest(str(value)[:40], _SPLITS)
            self._found.add(line, field_name, f"no split {str(value)[:40]!r}", f"{meant}use train, val or test")
        return None, False


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _kind(value: Any) -> str:
    """What a value is called in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _parse_expected(rows: Sequence[_Row], spec: DataSpec, found: Findings) -> None:
    """Read the expected column as JSON where every cell of it is an object or a list."""
    filled = [row for row in rows if row.expected is not None]
    if not filled or not all(row.expected.lstrip().startswith(("{", "[")) for row in filled):
        return
    decode = strict_json.decoder().decode
    parsed: list[Any] = []
    bad: list[tuple[_Row, str]] = []
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


def _check_fields(rows: Sequence[_Row], spec: DataSpec, found: Findings) -> None:
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
            other = near(name, odd)
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


def _check_types(rows: Sequence[_Row], spec: DataSpec, found: Findings) -> None:
    """A field has one type in all rows; null fits each."""
    first: dict[str, tuple[str, int]] = {}
    others: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        for name, value in (*row.inputs.items(), (spec.expected, row.expected)):
            if value is None:
                continue
            kind = _kind(value)
            if first.setdefault(name, (kind, row.line))[0] != kind:
                others[name, kind].append(row.line)
    for (name, kind), lines in others.items():
        known, line = first[name]
        more = f", and in {len(lines) - 1} more rows" if len(lines) > 1 else ""
        problem = f"{kind} here{more}, {known} on line {line}"
        found.add(lines[0], name, problem, "give the field one type in all rows")


def _distinct(rows: Sequence[_Row], spec: DataSpec, found: Findings) -> tuple[list[_Row], list[Skipped]]:
    """Rows that differ in content; repeats are skipped, contradictions noted."""
    by_inputs: dict[str, _Row] = {}
    kept: list[_Row] = []
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
        elif first.split != row.split:
            splits = f"{first.split or 'none given'} and {row.split or 'none given'}"
            found.add(row.line, spec.split, f"the same row as on line {first.line} in two splits: {splits}", "keep one")
        else:
            skipped.append(Skipped(where=found.where(row.line), reason=f"the same row as on line {first.line}"))
    return kept, skipped


def _name_rows(rows: Iterable[_Row], found: Findings) -> None:
    """Give every row its id; two rows with one id are a problem."""
    first: dict[str, int] = {}
    for row in rows:
        row.id = row.id or row.content
        if (line := first.setdefault(row.id, row.line)) != row.line:
            found.add(row.line, "id", f"the id {row.id!r} stands on line {line} too", "give each row its own")


def _warnings(rows: Sequence[_Row], skipped: Sequence[Skipped], spec: DataSpec, unused: Mapping[str, int]) -> list[str]:
    warnings = []
    if skipped:
        warnings.append(f"{len(skipped)} rows left out that repeat another row ({skipped[0].where} is the first)")
    if len(rows) < _FEW:
        warnings.append(f"{len(rows)} rows: too few for any comparison to mean much")
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
