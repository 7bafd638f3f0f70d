"""What the tests of bad and odd input share: a small workspace whose model is a counting endpoint."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.testing.server import FakeServer
from tests.cli_case import Done, cli

Files = Mapping[str, str | bytes | None]
"""Path in the workspace -> content; None for a file that is not there."""

ROWS = "".join(
    json.dumps({"id": f"r{n}", "question": f"Who is number {n}?", "expected": f"Bob {n % 3}"}) + "\n" for n in range(12)
)
CSV = "id,question,expected\n" + "".join(f"r{n},Who is number {n}?,Bob {n % 3}\n" for n in range(12))
PROMPT = """\
messages:
  - role: system
    content: Answer.
  - role: user
    content: "{{ question }}"
"""
SETTINGS = """\
prompt: ../prompts/p/v1.yaml
data: x.jsonl
model: {name: openai/test, base_url: ENDPOINT}
mutator: none
metrics:
  - contains
budget: {calls: 200}
"""
_FAULT = re.compile(
    r"(error: | {7})\S.* \(.+\)|(error: | {7}).+; .+| {7}\S+: the same on \d+ more lines: .+| {7}\.\.\. and \d+ more"
)
"""A fault as it is told: where, what, and what to do; or the further lines of the one before it."""


def jsonl(*rows: Any) -> str:
    """Rows as lines of JSON, letters as they are."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rows(*more: Any) -> Files:
    """Twelve good rows, and then others: values, or lines as they are."""
    lines = "".join(row if isinstance(row, str) else jsonl(row) for row in more)
    return {"evals/x.jsonl": ROWS + lines}


def settings(old: str, new: str) -> Files:
    """The eval file with one part of it replaced."""
    assert old in SETTINGS
    return {"evals/x.yaml": SETTINGS.replace(old, new)}


def data(name: str, content: str | bytes) -> Files:
    """Rows in another file, which the eval file names."""
    return {f"evals/{name}": content, **settings("x.jsonl", name)}


def prompt(content: str) -> Files:
    """A prompt whose one user message says that."""
    return {"prompts/p/v1.yaml": f"messages:\n  - role: user\n    content: {json.dumps(content)}\n"}


def prompt_file(name: str, content: str | bytes) -> Files:
    """Another file of a prompt, which the eval file names."""
    return {f"prompts/p/{name}": content, **settings("v1.yaml", name)}


def write(folder: Path, endpoint: FakeServer, files: Files) -> None:
    """The workspace with these files in place of its own."""
    base: Files = {"evals/x.yaml": SETTINGS, "evals/x.jsonl": ROWS, "prompts/p/v1.yaml": PROMPT}
    for name, content in {**base, **files}.items():
        if content is None:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        path.write_bytes(raw.replace(b"ENDPOINT", endpoint.base_url.encode()))


def command(folder: Path, *arguments: str) -> Done:
    """Run a command there; `eval` of the eval file where none is given."""
    with contextlib.chdir(folder):
        return cli(*(arguments or ("eval", "evals/x.yaml")))


def refused(folder: Path, endpoint: FakeServer, *arguments: str) -> str:
    """What is told of bad input: nothing was sent, nothing broke, and every fault says what to do about it."""
    before = len(endpoint.log)
    done = command(folder, *arguments)
    assert done.code == 2, (done.code, done.out, done.err)
    assert len(endpoint.log) == before
    assert not done.out and "Traceback" not in done.err and not list(folder.rglob("crash-*"))
    told = [line for line in done.err.splitlines() if line.startswith(("error: ", " " * 7))]
    assert told and all(_FAULT.fullmatch(line) for line in told), done.err
    assert len(told) <= 2 * 20 + 1 and all(len(line) < 1500 and line.isprintable() for line in told)
    return done.err


def accepted(folder: Path, endpoint: FakeServer, *arguments: str) -> tuple[Done, list[Mapping[str, Any]]]:
    """What a command told, and the bodies of the requests that it sent: at least one."""
    before = len(endpoint.log)
    done = command(folder, *arguments)
    assert done.code == 0, done.err
    sent = [seen.body for seen in endpoint.log[before:]]
    assert sent
    return done, sent
