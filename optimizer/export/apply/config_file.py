"""Put one message of a prompt into one key of the production config, and change nothing else there."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import UserError
from optimizer.export.apply import detect, files
from optimizer.export.apply.choose import changed, choose
from optimizer.export.apply.keys import Value
from optimizer.export.apply.syntax import prove
from optimizer.export.base import published
from optimizer.prompt import Prompt, PromptMessage
from optimizer.readers.base import fault, shown

FORMATS: Mapping[str, str] = {
    ".yaml": "patch_yaml",
    ".yml": "patch_yaml",
    ".toml": "patch_toml",
    ".json": "patch_json",
    ".jsonc": "patch_json",
    ".py": "patch_python",
}
"""Ending of a file -> module that has `find`. A new format is a new file and a line here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a prompt goes."""

    file: Path
    """The config file."""
    key: str
    """Dotted key of a text value in it: `llm.prompts.triage.system`, `prompts.0.content`."""
    message: str | None = None
    """Role of the message that goes there, or its number from 1; None lets the key decide."""
    syntax: str | None = None
    """How variables are written: a key of `syntax.SYNTAXES`; None keeps what the value has now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A change of one key, not written yet."""

    file: Path
    """The file, links followed."""
    key: str
    """The key, as the file has it."""
    prompt: str
    """What goes there: `triage@v7`."""
    role: str
    """Role of the message."""
    before: bytes
    """The file as it was read."""
    after: bytes
    """The file as it shall be; equal to `before` where it holds the text already."""
    syntax: str = ""
    """Name of the syntax that variables are written in; empty where the text stands as it is."""
    notes: tuple[str, ...] = ()
    """What the user should know besides."""

    @property
    def changes(self) -> bool:
        """False where the file holds the text already."""
        return self.before != self.after

    def diff(self) -> str:
        """Unified diff; empty where nothing changes."""
        name = shown(self.file)
        lines = difflib.unified_diff(_lines(self.before), _lines(self.after), f"a/{name}", f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline at end of file\n" for line in lines)


def plan(prompt: Prompt, place: Place, base: Prompt | None = None) -> Patch:
    """Read the file and make the change, without writing it.

    Args:
        prompt: the prompt to apply.
        place: where it goes.
        base: what it was made from, if that is known: tells which messages changed.

    Raises UserError where the file, the key or the choice of a message is wrong.
    """
    file = files.locate(place.file)
    before = files.read(place.file, file)
    mark, source = ("\ufeff", before.decode()[1:]) if before.startswith(b"\xef\xbb\xbf") else ("", before.decode())
    value = _find(place, file, source)
    message = choose(published(prompt), place.message, value.role, base)
    if prompt.demos and (base is None or prompt.demos != base.demos):
        raise UserError(f"prompt {prompt.ref}: has demos, which one key cannot hold (use `export json`)")
    written = detect.write(
        value.text, message.text, prompt.variables, base=_same_role(message, base), wanted=place.syntax
    )
    if written.spelling is not None:
        prove(written.spelling, written.text, message.text, prompt)
    try:
        after = source if value.text == written.text else value.put(written.text)
        made = (mark + after).encode()
    except UserError as error:
        raise UserError(f"{shown(place.file)}: {_plain(str(error))}") from None
    except UnicodeEncodeError:
        raise UserError(f"{shown(place.file)}: would be broken by this text; nothing is written") from None
    return Patch(
        file=file,
        key=value.key,
        prompt=prompt.ref,
        role=message.role,
        before=before,
        after=made,
        syntax=written.spelling.syntax.name if written.spelling else "",
        notes=(*written.notes, *_notes(prompt, message, base), *files.notes(file)),
    )


def _find(place: Place, file: Path, source: str) -> Value:
    """The value at the key; a fault of the file's own is told with its name."""
    module = FORMATS.get(file.suffix.lower())
    if module is None:
        told = "not a YAML, TOML, JSON or Python file"
        raise fault(place.file, told, f"only {', '.join(FORMATS)} can be patched: use `export`")
    try:
        found: Value = importlib.import_module(f"optimizer.export.apply.{module}").find(source, place.key)
    except UserError as error:
        raise UserError(f"{shown(place.file)}: {_plain(str(error))}") from None
    return found


def _plain(text: str) -> str:
    """On one line, whatever the file's keys hold."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _same_role(message: PromptMessage, base: Prompt | None) -> str | None:
    """Text of the message that this one was made from, where one alone can be meant."""
    found = [one.text for one in published(base).messages if one.role == message.role] if base else []
    return found[0] if len(found) == 1 else None


def _lines(raw: bytes) -> list[str]:
    """Lines as a diff shows them: without the carriage returns of a file from Windows."""
    return [line.replace("\r\n", "\n") for line in re.findall(r"[^\n]*\n|[^\n]+", raw.decode())]


def _notes(prompt: Prompt, message: PromptMessage, base: Prompt | None) -> Iterator[str]:
    others = [other.role for other in changed(published(prompt).messages, base) if other != message]
    if others:
        yield f"the {', '.join(others)} message changed too: apply it as well, or the measured gain does not hold"
    if prompt.demos:
        yield "the prompt's demos are not part of this key; they did not change"
