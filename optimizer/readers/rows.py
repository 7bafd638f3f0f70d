"""Raw rows made into examples.

Values are never converted. Cells of a CSV file stay text, with one exception: where every cell of the `expected`
column is a JSON object or list, the column is read as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.config import DataSpec
from optimizer.dataset import Example, Split
from optimizer.readers.base import CAPS, Caps, Findings, fault, format_of, reader
from optimizer.readers.row import Row, Taking
from optimizer.readers.row_checks import Distinct, Fields, Odd, Skipped, Types, expected_is_json, parsed, unused_fields
from optimizer.readers.spooled import SpooledExamples, SpooledRows


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


def load_examples(spec: DataSpec, caps: Caps = CAPS, *, spooled: bool = False) -> tuple[Sequence[Example], Ledger]:
    """Read and check a file of rows.

    A row's `id`, `expected`, `tags`, `group` and `split` have their meaning; an `inputs` object holds the inputs
    where there is one; else every other field is an input, or those that the spec names. Rows with the same inputs
    and the same expected value count once.

    Args:
        spec: the file.
        caps: limits on what is read.
        spooled: hold the rows in a temporary file (`SpooledExamples`), and not in memory.

    Raises DataError with every problem that was found, StoreError where there is no room for the temporary file.
    """
    name = format_of(spec.path, spec.format)
    found = Findings(spec.path, caps)
    taking, fields = Taking(spec, found), Fields()
    rows: list[Row] | SpooledRows = SpooledRows() if spooled else []
    read = 0
    for raw in reader(name).read(spec.path, caps, found):
        read += 1
        if read > caps.rows:
            found.add(raw.line, "", f"more than {caps.rows:,} rows", "use a sample of them")
            break
        if (row := taking.row(raw)) is not None:
            fields.take(row)
            rows.append(row)
    if not fields.rows and not found:
        raise fault(spec.path, "no examples in the file", "add rows")
    as_json = name == "csv" and expected_is_json(rows, spec, found)
    fields.check(rows, spec, found)
    examples: list[Example] | SpooledExamples = SpooledExamples() if spooled else []
    ledger = _checked(parsed(rows) if as_json else rows, spec, found, examples)
    warnings = (*found.warnings, *ledger.warnings, *unused_fields(taking.unused))
    return tuple(examples) if isinstance(examples, list) else examples, replace(ledger, read=read, warnings=warnings)


def _checked(rows: Iterable[Row], spec: DataSpec, found: Findings, examples: list[Example] | SpooledExamples) -> Ledger:
    """Put every row that is kept among the examples; what became of all."""
    types, distinct, odd = Types(spec), Distinct(spec, found), Odd()
    splits: dict[str, Split] = {}
    fields: set[str] = set()
    for row in rows:
        types.take(row)
        if distinct.takes(row):
            odd.take(row)
            fields.update(row.inputs)
            splits.update({} if row.split is None else {row.id: row.split})
            examples.append(example_of(row, found.where(row.line)))
    types.check(found)
    found.check()
    return Ledger(
        read=0,
        kept=len(examples),
        skipped=tuple(distinct.skipped),
        warnings=tuple(odd.warnings(distinct.skipped, spec)),
        splits=splits | {examples[number].id: split for number, split in distinct.late.items()},
        fields=tuple(sorted(fields)),
    )


def example_of(row: Row, source: str) -> Example:
    """The example that a row makes."""
    return Example(id=row.id, inputs=row.inputs, expected=row.expected, tags=row.tags, group=row.group, source=source)
