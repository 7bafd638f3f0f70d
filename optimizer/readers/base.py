"""What every reader shares: the seam, the caps, the problems found, and bytes made into text."""

from __future__ import annotations

import importlib
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from os.path import commonprefix
from pathlib import Path
from typing import Any, Protocol

from optimizer.errors import DataError, Problem

NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
"""Names that may become part of a path; `.` and `..` are refused besides."""
BOM = b"\xef\xbb\xbf"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_ARCHIVES = frozenset({".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz"})
_ARCHIVE = ("an archive, not a file of text", "unpack it first")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """Limits on what is read, so that a hostile or broken file is refused fast."""

    file_bytes: int = 256 * 1024 * 1024
    """Size of a file of rows."""
    array_bytes: int = 32 * 1024 * 1024
    """Size of a JSON file, which is held in memory as a whole."""
    document_bytes: int = 1024 * 1024
    """Size of a prompt, an eval file or a lock file."""
    line_bytes: int = 4 * 1024 * 1024
    """Length of one line."""
    cell_chars: int = 1_000_000
    """Length of one CSV cell."""
    rows: int = 100_000
    """Rows of an eval set."""
    depth: int = 64
    """Nesting of lists and objects."""
    values: int = 100_000
    """Values of one row, those inside its lists and objects counted too."""
    nodes: int = 20_000
    """Values of one YAML document."""
    digits: int = 300
    """Length of one number; longer ones do not fit a float."""
    problems: int = 200
    """Problems after which reading stops."""


CAPS = Caps()
"""The limits in force."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """One row as its file has it."""

    values: Mapping[str, Any]
    """Field -> value."""
    line: int
    """Line on which the row starts, from 1."""
    cells: bool = False
    """True where every value is the text of a cell, so that an empty one means `none given`."""


class Findings:
    """Problems and warnings of one file, gathered so that all of them can be shown at once."""

    def __init__(self, path: Path, caps: Caps = CAPS) -> None:
        self.file = shown(path)
        self.warnings: list[str] = []
        self._caps = caps
        self._problems: list[tuple[int, Problem]] = []

    def where(self, line: int) -> str:
        """`file:line`; the file alone for line 0."""
        return f"{self.file}:{line}" if line else self.file

    def add(self, line: int, field: str, problem: str, fix: str) -> None:
        """Note a problem; raises DataError with all of them once there are too many to go on."""
        self._problems.append((line, Problem(where=self.where(line), field=field, problem=problem, fix=fix)))
        if len(self._problems) >= self._caps.problems:
            self.check()

    def check(self) -> None:
        """Raise DataError with every problem, in line order, if there is one."""
        if self._problems:
            raise DataError([problem for _, problem in sorted(self._problems, key=lambda found: found[0])])

    def __bool__(self) -> bool:
        return bool(self._problems)


class Reader(Protocol):
    """One file format."""

    def read(self, path: Path, caps: Caps, found: Findings) -> Iterator[RawRow]:
        """Rows in file order.

        A row that cannot be read is noted in `found` and left out; reading goes on where the format allows it.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """Where a format's reader is, and which files are taken for it."""

    endings: tuple[str, ...]
    """File endings, with the dot."""
    module: str
    """Module that has the class `Rows`."""


FORMATS: Mapping[str, Format] = {
    "jsonl": Format(endings=(".jsonl", ".ndjson"), module="optimizer.readers.jsonl"),
    "json": Format(endings=(".json",), module="optimizer.readers.json_array"),
    "csv": Format(endings=(".csv", ".tsv"), module="optimizer.readers.csv"),
}
"""Every format by name. A new one is a new file and a line here."""


def format_of(path: Path, name: str | None = None) -> str:
    """Name of the format: the given one, else by the file's ending. Raises DataError for an unknown one."""
    if name is not None:
        if name not in FORMATS:
            raise fault(path, f"unknown format {name!r}", f"{nearest(name, FORMATS)}known: {', '.join(FORMATS)}")
        return name
    for known, form in FORMATS.items():
        if path.suffix.lower() in form.endings:
            return known
    endings = ", ".join(ending for form in FORMATS.values() for ending in form.endings)
    if path.suffix.lower() in _ARCHIVES:
        raise fault(path, *_ARCHIVE)
    problem = f"no reader for the ending {path.suffix!r}" if path.suffix else "the file name has no ending"
    raise fault(path, problem, f"use {endings}, or name the `format`")


def reader(name: str) -> Reader:
    """The reader of one format."""
    rows: Reader = importlib.import_module(FORMATS[name].module).Rows()
    return rows


def shown(path: Path) -> str:
    """A path as messages show it: from the working folder where it is inside."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except (ValueError, OSError):
        return str(path)


def fault(path: Path, problem: str, fix: str, line: int = 0, field: str = "") -> DataError:
    """A DataError with one problem."""
    where = f"{shown(path)}:{line}" if line else shown(path)
    return DataError([Problem(where=where, field=field, problem=problem, fix=fix)])


def nearest(name: str, known: Mapping[str, Any] | list[str] | tuple[str, ...] | frozenset[str]) -> str:
    """`did you mean 'x'? `, or nothing where no known name is near."""
    match = near(name, list(known))
    return f"did you mean {match!r}? " if match else ""


def near(name: str, known: list[str], cutoff: float = 0.6) -> str | None:
    """The known name that differs least, letter case aside; None where none is as similar as `cutoff`, in [0, 1].

    Of equals, the one that begins alike for longest.
    """
    asked = name.casefold()
    folded = {other.casefold(): other for other in sorted(known, reverse=True)}
    matches = get_close_matches(asked, list(folded), n=5, cutoff=cutoff)
    ranked = [(SequenceMatcher(None, other, asked).ratio(), len(commonprefix([asked, other]))) for other in matches]
    return folded[matches[ranked.index(max(ranked))]] if matches else None


def check_name(name: str, path: Path) -> str:
    """The name, if it is safe as part of a path; raises DataError otherwise."""
    if NAME.fullmatch(name) is None or name in {".", ".."}:
        raise fault(path, f"the name {name[:80]!r} is not usable", "use letters, digits, `.`, `_`, `-`; at most 80")
    return name


def check_file(path: Path, cap: int) -> None:
    """Raise DataError unless the path is a regular, non-empty file (or a link to one) of at most `cap` bytes."""
    if _URL.match(str(path)):
        raise fault(path, "a URL, not a file", "download it first")
    if path.suffix.lower() in _ARCHIVES:
        raise fault(path, *_ARCHIVE)
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise fault(path, "a link that leads nowhere", "mend the link") from None
        raise fault(path, "no such file", f"{_sibling(path)}check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fault(path, f"cannot be read: {reason}", "check the path and its permissions") from None
    if stat.S_ISDIR(status.st_mode):
        raise fault(path, "a folder, not a file", "name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, "not a regular file", "write the rows to a file first")
    if status.st_size > cap:
        raise fault(path, f"{status.st_size:,} bytes, more than the cap of {cap:,}", "use a smaller file")


def _sibling(path: Path) -> str:
    try:
        return nearest(path.name, [other.name for other in path.parent.iterdir()][:1000])
    except (OSError, ValueError):
        return ""


def text_lines(path: Path, caps: Caps, found: Findings) -> Iterator[tuple[int, str]]:
    """(line number, text with its line end) of a UTF-8 file; only a line feed ends a line.

    Lines that are not UTF-8 are noted and left out; a line over the cap and UTF-16 end the reading.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(caps.line_bytes + 1):
                number += 1
                if len(raw) > caps.line_bytes:
                    found.add(number, "", f"a line of more than {caps.line_bytes:,} bytes", "shorten it")
                    return
                if number == 1:
                    if wide := wide_encoding(raw):
                        found.add(1, "", f"the file is {wide}, not UTF-8", "re-save it as UTF-8")
                        return
                    raw = raw.removeprefix(BOM)
                try:
                    yield number, raw.decode()
                except UnicodeDecodeError as error:
                    found.add(number, "", *not_utf8(raw, error))
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror}", "check its permissions") from None


def read_text(path: Path, cap: int) -> str:
    """The whole text of a UTF-8 file, its byte order mark taken off; raises DataError."""
    check_file(path, cap)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror}", "check its permissions") from None
    if wide := wide_encoding(raw):
        raise fault(path, f"the file is {wide}, not UTF-8", "re-save it as UTF-8")
    raw = raw.removeprefix(BOM)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise fault(path, *not_utf8(raw, error), line=line) from None


def wide_encoding(start: bytes) -> str | None:
    """`UTF-16` or `UTF-32` where the first bytes of a file show it."""
    if start.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    head = start[:400]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    zeros = max(head[::2].count(0), head[1::2].count(0))
    return "UTF-16" if len(head) >= 4 and zeros > len(head) // 4 else None


def not_utf8(raw: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    """Problem and fix for bytes that are not UTF-8, with the byte and the likely encoding."""
    column = error.start - raw.rfind(b"\n", 0, error.start)
    try:
        raw.decode("cp1252")
        guess = "cp1252"
    except UnicodeDecodeError:
        guess = "latin-1"
    problem = f"byte 0x{raw[error.start]:02x} at byte {column} is not UTF-8 (looks like {guess})"
    return problem, "re-save it as UTF-8"
