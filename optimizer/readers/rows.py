"""Raw rows made into examples.

Values are never converted. Cells of a CSV file stay text, with one exception: where every cell of the `expected`
column is a JSON object or list, the column is read as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.config import DataSpec
from optimizer.dataset import Example, Split
from optimizer.readers.base import CAPS, Caps, Findings, fault, format_of, reader
from optimizer.readers.row import Row, Taking
from optimizer.readers.row_checks import (
    Skipped,
    check_fields,
    check_types,
    distinct,
    name_rows,
    parse_expected,
    warnings_of,
)


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


def load_examples(spec: DataSpec, caps: Caps = CAPS) -> tuple[tuple[Example, ...], Ledger]:
    """Read and check a file of rows.

    A row's `id`, `expected`, `tags`, `group` and `split` have their meaning; an `inputs` object holds the inputs
    where there is one; else every other field is an input, or those that the spec names. Rows with the same inputs
    and the same expected value count once.

    Raises DataError with every problem that was found.
    """
    name = format_of(spec.path, spec.format)
    found = Findings(spec.path, caps)
    taking = Taking(spec, found)
    rows: list[Row] = []
    read = 0
    for raw in reader(name).read(spec.path, caps, found):
        read += 1
        if read > caps.rows:
            found.add(raw.line, "", f"more than {caps.rows:,} rows", "use a sample of them")
            break
        if (row := taking.row(raw)) is not None:
            rows.append(row)
    if not rows and not found:
        raise fault(spec.path, "no examples in the file", "add rows")
    if name == "csv":
        parse_expected(rows, spec, found)
    return _checked(rows, spec, found, read, taking.unused)


def _checked(
    rows: list[Row], spec: DataSpec, found: Findings, read: int, unused: Counter[str]
) -> tuple[tuple[Example, ...], Ledger]:
    check_fields(rows, spec, found)
    check_types(rows, spec, found)
    kept, skipped = distinct(rows, spec, found)
    name_rows(kept, found)
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
        warnings=(*found.warnings, *warnings_of(kept, skipped, spec, unused)),
        splits={row.id: row.split for row in kept if row.split is not None},
        fields=tuple(sorted({name for row in kept for name in row.inputs})),
    )
    return examples, ledger
