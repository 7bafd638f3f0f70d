r"""Commands that a page shows, run for real: each block of a console gets what its commands print.

A block begins with ```console. A line that begins with `$ ` is a command (a `\` at its end goes on in the next line);
what stands below it is replaced by what it prints. `optimizer` runs in this process, everything else in a shell.
Dates, durations and the folder are written as constants, so that a page is the same on every machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from optimizer.cli.entry import run as optimizer  # noqa: E402

TERMINAL = {
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "A reader" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "reader@example.org" for role in ("AUTHOR", "COMMITTER")},
}
"""The terminal of every page: plain, of one width, and git as it comes."""
CONSOLE = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)
SAID = re.compile(r"^(?:warning|note|unproven)\b")
"""First words of a message on the error stream that is neither progress nor an error."""
CONSTANTS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC, [\d.]+ (?:s|min|h)\b"), "2026-01-31 12:00 UTC, 1 s"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "2026-01-31 12:00"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"), "2026-01-31T12:00:00Z"),
    (re.compile(r"\b\d+\.\d\d s\b"), "0.00 s"),
    (re.compile(r"(?<=answers, )(?!0 bytes)(?:[\d.]+ MB|[\d,]+ bytes)"), "0.2 MB"),
)


def commands(page: str) -> list[str]:
    """Every command that a page shows."""
    return [found[1] for block in CONSOLE.findall(page) for found in COMMAND.finditer(block)]


def played(page: str, folder: Path) -> str:
    """The page with what its commands print in a folder, which they may change. Raises ValueError for no command."""
    with _workspace(folder):
        return CONSOLE.sub(lambda block: "".join(_block(block[1], folder)), page)


def _block(text: str, folder: Path) -> Iterator[str]:
    found = COMMAND.findall(text)
    if not found:
        raise ValueError(f"a console without a command: {text[:80]!r}")
    for number, line in enumerate(found):
        printed, code = ran(line.replace("\\\n", " "))
        yield f"{chr(10) if number else ''}$ {line}\n{plain(printed, folder)}"
        if code:
            yield f"(exit code {code})\n"


def ran(line: str) -> tuple[str, int]:
    """What one command prints, in the working folder, and its exit code."""
    name, *arguments = shlex.split(line)
    if name == "optimizer" and not set("|<>&;") & set(line):
        return _in_process(arguments)
    done = subprocess.run(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode(), done.returncode


def _in_process(arguments: list[str]) -> tuple[str, int]:
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = optimizer(arguments)
    printed, told = (stream.buffer.getvalue().decode() for stream in (stdout, stderr))
    # Progress is drawn on a terminal and gone at the end; what is told about the result stays.
    lines = told.splitlines(keepends=True)
    notes = [line for line in lines if SAID.match(line)]
    first = next((number for number, line in enumerate(lines) if line.startswith("error")), len(lines))
    return "".join([*notes, printed, *lines[first:]]), code


def plain(printed: str, folder: Path) -> str:
    """What was printed, without what changes from run to run; it ends with a newline where there is anything."""
    text = printed.replace(f"{folder}/", "").replace(str(folder), ".")
    for pattern, constant in CONSTANTS:
        text = pattern.sub(constant, text)
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


@contextlib.contextmanager
def _workspace(folder: Path) -> Iterator[None]:
    """A folder as the working folder, and a plain terminal of a fixed width."""
    before = {name: os.environ.get(name) for name in TERMINAL}
    os.environ.update(TERMINAL)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
