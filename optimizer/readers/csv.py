"""CSV: a header line, then one row a record. Every cell is text.

The delimiter is the one of `,` `;` tab and `|` that cuts the first records into the same number of cells.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from optimizer.readers.base import Caps, Findings, RawRow, check_file, text_lines

DELIMITERS = (",", ";", "\t", "|")
"""Tried in this order."""
_SAMPLE_LINES = 50


class Rows:
    """Reader of CSV and TSV."""

    def read(self, path: Path, caps: Caps, found: Findings) -> Iterator[RawRow]:
        """Rows in file order, each with the line on which its record starts."""
        check_file(path, caps.file_bytes)
        sample = [text for _, text in islice(text_lines(path, caps, Findings(path, caps)), _SAMPLE_LINES)]
        records = _records(path, _delimiter(sample), caps, found)
        header: list[str] | None = None
        for line, cells in records:
            if header is None:
                header = _header(line, cells, caps, found)
                if header is None:
                    return
            elif len(cells) != len(header):
                problem = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}, and the header has {len(header)}"
                found.add(line, "", problem, "quote cells that hold the delimiter or a quote")
            elif nul := [name for name, cell in zip(header, cells, strict=True) if "\0" in cell]:
                found.add(line, nul[0], "a NUL character", "take it out")
            else:
                yield RawRow(values=dict(zip(header, cells, strict=True)), line=line, cells=True)


def _header(line: int, cells: list[str], caps: Caps, found: Findings) -> list[str] | None:
    if len(cells) > caps.values:
        found.add(line, "", f"more than {caps.values:,} columns", "leave some of them out")
        return None
    names = [cell.strip() for cell in cells]
    for name, count in Counter(names).items():
        if not name:
            found.add(line, "", "a column without a name", "name every column")
        elif count > 1:
            found.add(line, name, f"{count} columns have this name", "give each its own")
    return None if found else names


def _delimiter(sample: list[str]) -> str:
    """The delimiter that fits best: equal cells in every record, then the most cells in the header."""

    def fit(delimiter: str) -> tuple[bool, int]:
        try:
            records = [record for record in csv.reader(sample, delimiter=delimiter) if record]
        except csv.Error:
            return False, 0
        # The sample may cut the last record.
        widths = [len(record) for record in records[:-1] or records]
        return len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0

    return max(DELIMITERS, key=fit)


def _records(path: Path, delimiter: str, caps: Caps, found: Findings) -> Iterator[tuple[int, list[str]]]:
    """(line of the start, cells) of each record that is not blank."""
    lines = _Lines(text_lines(path, caps, found))
    before = csv.field_size_limit(caps.cell_chars)
    try:
        records = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.start = 0
            try:
                cells = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                if not _note(lines.start, str(error), caps, found):
                    return
                continue
            if any(cell.strip() for cell in cells):
                yield lines.start, cells
    finally:
        csv.field_size_limit(before)


class _Lines:
    """Lines for the csv module, and the number of the first that the current record took."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.start = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        number, text = next(self._lines)
        self.start = self.start or number
        return text


def _note(line: int, message: str, caps: Caps, found: Findings) -> bool:
    """Note what the csv module said; True where the next record can still be found."""
    if "field limit" in message:
        found.add(line, "", f"a cell of more than {caps.cell_chars:,} characters", "shorten it")
        return False
    if "unexpected end" in message:
        found.add(line, "", "a quote is opened here and never closed", "close it")
        return False
    if "new-line" in message:
        found.add(line, "", "a line end that is a lone CR", "re-save with LF or CRLF line ends")
        return False
    expected = re.sub(r"^'(.)' expected after '(.)'$", r"\1 expected behind \2", message)
    found.add(line, "", f"not CSV: {expected}", "double the quotes inside a quoted cell")
    return True
