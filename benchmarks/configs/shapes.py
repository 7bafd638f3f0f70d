"""Config files as people have them, each with one place for a text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HOLE = "@@HOLE@@"


@dataclass(frozen=True, kw_only=True)
class Config:
    """A file with its one text."""

    kind: str
    """What it looks like: `compose`, `pyproject`."""
    ending: str
    """Ending of its name."""
    key: str
    """What `--key` says."""
    path: tuple[str | int, ...]
    """Where its own reader finds the text."""
    before: bytes
    """Up to the value's first character."""
    value: bytes
    """The value as it is written."""
    after: bytes
    """What stands behind it."""

    @property
    def raw(self) -> bytes:
        """The whole file."""
        return self.before + self.value + self.after


Shape = tuple[str, str, str, tuple[str | int, ...], str]
"""Kind, ending, key, path, and the file with HOLE in the value's place."""

COMPOSE = """# Local stack.  Tabs	in comments stay.
x-logging: &logging
  driver: "json-file"   # rotated
  options: {max-size: 10m,  max-file: '3'}
services:
  web:
    image: "ghcr.io/acme/web:1.10"
    logging: *logging
    ports: ["8080:80", 12:30]
    environment:
      - MODE=prod
      # the prompt is read at start
      - >-
        A=1
  triage:
    <<: *logging
    environment:
      SYSTEM_PROMPT: @@HOLE@@
      NEXT: !ENV ${NEXT}
      yes: no
volumes: {}
"""
K8S = """apiVersion: v1
kind: Namespace
metadata: {name: triage}
---
# second document
apiVersion: v1
kind: ConfigMap
metadata:
    name: prompts
    annotations: &notes
        checked: 2026-01-01
    labels: *notes
data:
    system: @@HOLE@@
    other: |
        keep
          this

    last: "x"
...
---
kind: List
items: []
"""
WORKFLOW = """name: review
on:
  pull_request:
    paths: ['**.py']   # only code
env:
  TOKEN: ${{ secrets.TOKEN }}
jobs:
  review:
    runs-on: ubuntu-24.04
    steps:
    - uses: actions/checkout@v4
    - name: Ask
      with:
        prompt: @@HOLE@@
        model: gpt  # cheap
    - run: |
        echo "done"   # not a comment
"""
APP = """\
# The app's settings
defaults: &defaults
    timeout: 1_000
    rates: [0.10, 1e3, .5, 0o17]
llm:
    <<: *defaults
    messages:
        - {role: system, content: "Be brief."}
        -   role: user   # asked by people
            content: @@HOLE@@
        # end of the list
    secret: !vault |
        3839
    date: 2024-01-01
? odd key
: odd value
"""
FLOW = """{llm: {model: gpt, prompts: [one, @@HOLE@@, "three"]}, # why
 "json": {"a": [1, 2.0, null]}}
"""
LOCALE = """de:
  greeting: 'Grüße, %{name}'
  "odd.key": &k x
  prompts:
    triage.system: @@HOLE@@
    # deutsch
  again: *k
"""
PYPROJECT = """[build-system]
requires = ["hatchling>=1.27"]   # pinned
[project]
name = "app"
dependencies = [
    "a>=1",  # why
    'b',
]
authors = [{ name = "Ann", email = "a@example.com" }]
[tool.app]
"quoted key" = 1
prompts.triage.system = @@HOLE@@
when = 1979-05-27 07:32:00
float = -0.0
[tool.app.more]
text = \'\'\'
raw \\d
\'\'\'
"""
TABLES = """# Messages
title = "x"
[[messages]]
role = "system"
content = "Be brief. # no comment"
[[messages]]
role = "user"  # people
content = @@HOLE@@  # behind it
[messages.more]
a.b = 0x1F
[[messages.parts]]
t = [1, [2, 3]]
[last]
inf = inf
"""
INLINE = """llm = { model = "gpt", prompts = { system = @@HOLE@@, user = 'x' } }
other = \"\"\"
keep \\
  this\"\"\"
"""
VSCODE = """{
	// Editor
	"editor.fontSize": 12.0,
	"files.exclude": { "**/.git": true, /* no */ },
	"chat.instructions": [
		{ "text": @@HOLE@@ }, // first
		{ "text": "http://x // y" },
	],
	"n": 1E5, "dup": 1, "dup": 2,
}
"""
PACKAGE = """{
  "name": "app",
  "version": "1.10",
  "llm": {"system": @@HOLE@@, "n": [1.0, -0, 1e400, 123456789012345678901234567890]},
  "path": "C:\\\\x",
  "slash": "a\\/b"
}
"""
MESSAGES = """{"de": {"title": "Gr\\u00fc\\u00dfe", "prompt": @@HOLE@@, "pair": "\\ud83d\\ude42"}, "en": {}}"""
SETTINGS = """#!/usr/bin/env python3
\"\"\"Settings.\"\"\"
from __future__ import annotations

import os

DEBUG = os.environ.get("DEBUG") == "1"   # off
PATTERN = r"\\d+"
TRIAGE_SYSTEM: str = @@HOLE@@  # reviewed
OTHER = f"{DEBUG} {{x}}"
LINES = ("a"
         "b")


def prompt(name):
    return TRIAGE_SYSTEM.replace("x", name)
"""
PROMPTS = """\
VERSION = 3
PROMPTS = {
    "triage": {"user": "é {question}", "system": @@HOLE@@},
    'other': ['a', "b" 'c'],  # mixed
    1: b"bytes",
}
"""
CLASS = """class Settings:
    \"\"\"All of them.\"\"\"

    MODEL = "gpt"
    SYSTEM = @@HOLE@@
    LIMITS = [1, 2]


class Other(Settings):
    MODEL = Settings.MODEL + "!"
"""


def _shapes() -> Iterator[Shape]:
    yield (
        "compose",
        ".yaml",
        "services.triage.environment.SYSTEM_PROMPT",
        (0, "services", "triage", "environment", "SYSTEM_PROMPT"),
        COMPOSE,
    )
    yield "k8s", ".yaml", "1:data.system", (1, "data", "system"), K8S
    yield (
        "workflow",
        ".yaml",
        "jobs.review.steps[1].with.prompt",
        (0, "jobs", "review", "steps", 1, "with", "prompt"),
        WORKFLOW,
    )
    yield "app settings", ".yaml", "llm.messages.1.content", (0, "llm", "messages", 1, "content"), APP
    yield "flow", ".yaml", "llm.prompts.1", (0, "llm", "prompts", 1), FLOW
    yield "locale", ".yaml", "de.prompts.triage.system", (0, "de", "prompts", "triage.system"), LOCALE
    yield (
        "pyproject",
        ".toml",
        "tool.app.prompts.triage.system",
        ("tool", "app", "prompts", "triage", "system"),
        PYPROJECT,
    )
    yield "tables", ".toml", "messages.1.content", ("messages", 1, "content"), TABLES
    yield "inline", ".toml", "llm.prompts.system", ("llm", "prompts", "system"), INLINE
    yield "vs code", ".jsonc", "chat.instructions.0.text", ("chat.instructions", 0, "text"), VSCODE
    yield "package", ".json", "llm.system", ("llm", "system"), PACKAGE
    yield "messages", ".json", "de.prompt", ("de", "prompt"), MESSAGES
    yield "settings", ".py", "TRIAGE_SYSTEM", ("TRIAGE_SYSTEM",), SETTINGS
    yield "prompts", ".py", "PROMPTS.triage.system", ("PROMPTS", "triage", "system"), PROMPTS
    yield "class", ".py", "Settings.SYSTEM", ("Settings", "SYSTEM"), CLASS


SHAPES = tuple(_shapes())


def yaml_ways(old: str, margin: int, flow: bool) -> Iterator[str]:
    """The old text in every style of YAML; some hold it with another line end."""
    yield json.dumps(old, ensure_ascii=False)
    yield "'" + old.replace("'", "''").replace("\n", "\n\n" + " " * margin) + "'"
    yield old.replace("\n", "\n\n" + " " * margin)
    if flow:
        return
    body = "".join(f"\n{' ' * margin}{line}" if line else "\n" for line in old.removesuffix("\n").split("\n"))
    folded = body.replace(f"\n{' ' * margin}", f"\n\n{' ' * margin}")[1:]
    for header in ("|", "|-", "|+", "|-   # reviewed by Ann", "|2-" if margin == 2 else "|"):
        yield header + body
    for header in (">", ">-", ">- # folded"):
        yield header + folded
    yield "|" + body.replace(f"\n{' ' * margin}", f"\n{' ' * (margin + 4)}")
    yield "!!str " + json.dumps(old, ensure_ascii=False)
    yield f"\n{' ' * margin}" + json.dumps(old, ensure_ascii=False)


def toml_ways(old: str, margin: int, flow: bool) -> Iterator[str]:
    """The old text in all four kinds of string."""
    escaped = old.replace("\\", "\\\\").replace('"', '\\"')
    yield '"' + escaped.replace("\n", "\\n") + '"'
    yield "'" + old + "'"
    yield '"""\n' + escaped + '"""'
    yield '"""' + escaped.replace(" ", " \\\n   ", 1) + '"""'
    yield "'''\n" + old + "'''"
    yield "'''" + old + "'''"


def json_ways(old: str, margin: int, flow: bool) -> Iterator[str]:
    """The old text with and without escapes."""
    yield json.dumps(old)
    yield json.dumps(old, ensure_ascii=False).replace("O", "\\u004f")


def python_ways(old: str, margin: int, flow: bool) -> Iterator[str]:
    """The old text in all kinds of literal, and as several of them."""
    yield repr(old)
    yield json.dumps(old)
    long = old.replace("\\", "\\\\").replace('"', '\\"')
    yield f'"""{long}"""'
    yield f'"""\\\n{long}\\\n"""'
    yield "u" + repr(old)
    yield f"r'''{old}'''"
    lines = old.splitlines(keepends=True) or [""]
    yield "(" + "\n     ".join(map(repr, lines)) + ")"
    yield '"" ' + repr(old)


WAYS: dict[str, Callable[[str, int, bool], Iterator[str]]] = {
    ".yaml": yaml_ways,
    ".toml": toml_ways,
    ".json": json_ways,
    ".jsonc": json_ways,
    ".py": python_ways,
}


def configs(rng: random.Random, old: str, shape: Shape) -> Iterator[Config]:
    """One shape with an old text in every way to write it, with line ends and marks drawn at random."""
    kind, ending, key, path, template = shape
    head, tail = template.split(HOLE)
    last = head.rpartition("\n")[2]
    margin = len(last) - len(last.lstrip(" -")) + rng.choice((2, 2, 4, 1))
    for value in WAYS[ending](old, margin, "[" in last and ending == ".yaml"):
        # A comment may not stand behind a block, and a bracket is no part of the text.
        before, after = head, tail
        if value.startswith("(") and ending == ".py":
            before, value, after = head + "(", value[1:-1], ")" + tail
        if value.startswith(("!!str ", "\n")):
            cut = len(value) - len(value.removeprefix("!!str ").lstrip())
            before, value = head + value[:cut], value[cut:]
        newline = rng.choice(("\n", "\n", "\r\n"))
        mark = "\ufeff" if rng.random() < 0.1 and ending != ".py" else ""
        if rng.random() < 0.15:
            after = after.removesuffix("\n")
        parts = [mark + before, value, after]
        yield Config(
            kind=kind,
            ending=ending,
            key=key,
            path=path,
            before=parts[0].replace("\n", newline).encode(),
            value=parts[1].replace("\n", newline).encode(),
            after=parts[2].replace("\n", newline).encode(),
        )
