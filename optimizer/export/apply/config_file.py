"""Put one message of a prompt into one key of the production config, and change nothing else there."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import StoreError, UserError
from optimizer.export.apply import patch_yaml
from optimizer.export.base import published
from optimizer.prompt import VARIABLE, Prompt, PromptMessage
from optimizer.readers import atomic
from optimizer.readers.base import check_file, fault, not_utf8, shown, wide_encoding

MOST_BYTES = 2 * 1024 * 1024
"""Size of a config file, at most."""
ENDINGS = frozenset({".yaml", ".yml", ".json"})
"""Files that can be patched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a prompt goes."""

    file: Path
    """The config file."""
    key: str
    """Dotted key of a text value in it: `llm.prompts.triage.system`, `prompts.0.content`."""
    message: str | None = None
    """Role of the message that goes there, or its number from 1; None lets the key decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A change of one key, not written yet."""

    file: Path
    """The file, links followed."""
    key: str
    """The key, as the file has it."""
    role: str
    """Role of the message."""
    before: bytes
    """The file as it was read."""
    after: bytes
    """The file as it shall be; equal to `before` where it holds the text already."""
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
    file = place.file.resolve()
    source, before = _read(place.file)
    value = patch_yaml.find(source, place.key)
    message = choose(published(prompt), place.message, value.role, base)
    if prompt.demos and (base is None or prompt.demos != base.demos):
        raise UserError(f"prompt {prompt.ref}: has demos, which one key cannot hold (use `export json`)")
    try:
        after = source if value.text == message.text else patch_yaml.put(source, value, message.text)
        if file.suffix.lower() == ".json":
            json.loads(after.removeprefix("\ufeff"))
        made = after.encode()
    except ValueError:
        raise UserError(f"{shown(place.file)}: would be broken by this text; nothing is written") from None
    return Patch(
        file=file,
        key=value.key,
        role=message.role,
        before=before,
        after=made,
        notes=tuple(_notes(prompt, message, base)),
    )


def choose(prompt: Prompt, wanted: str | None, role: str, base: Prompt | None) -> PromptMessage:
    """The one message that goes to a key.

    The one that `wanted` names, else the one whose role is `role` (the key's last part), else the only one there
    is, else the only one that differs from `base`. Raises UserError with the choices.
    """
    messages = prompt.messages
    if wanted is not None:
        found = [m for number, m in enumerate(messages, 1) if wanted in (m.role, str(number))]
        if len(found) == 1:
            return found[0]
        told = "several messages have" if found else "no message has"
        raise UserError(f"prompt {prompt.ref}: {told} the role or number {wanted!r} ({_choices(messages)})")
    for candidates in ([m for m in messages if m.role == role], list(messages), _changed(messages, base)):
        if len(candidates) == 1:
            return candidates[0]
    raise UserError(f"prompt {prompt.ref}: a key takes one message, say which ({_choices(messages)})")


def write(patch: Patch) -> None:
    """Write the file: it is the old one or the new one, whatever happens.

    Raises UserError where the file changed since it was read, StoreError where the disk refuses.
    """
    name = shown(patch.file)
    try:
        with _alone(patch.file):
            if patch.file.read_bytes() != patch.before:
                raise UserError(f"{name}: changed while it was being patched; nothing is written (run it again)")
            atomic.replace(patch.file, patch.after.decode())
            if patch.file.read_bytes() != patch.after:
                raise StoreError(f"{name}: does not hold what was written (check the disk)")
    except OSError as error:
        raise StoreError(f"{name}: cannot be written: {error.strerror} (check space and rights)") from error


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the file against other runs of this command; where locks are not to be had, go on without."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with file.open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            # Some network file systems have no locks; the comparison of the bytes still stands.
            yield
            return
        yield


def _read(file: Path) -> tuple[str, bytes]:
    check_file(file, MOST_BYTES)
    if file.resolve().suffix.lower() not in ENDINGS:
        raise fault(file, "not a YAML or JSON file", f"only {', '.join(sorted(ENDINGS))} can be patched: use `export`")
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise fault(file, f"cannot be read: {error.strerror}", "check its permissions") from None
    if wide := wide_encoding(raw):
        raise fault(file, f"the file is {wide}, not UTF-8", "re-save it as UTF-8")
    try:
        return raw.decode(), raw
    except UnicodeDecodeError as error:
        raise fault(file, *not_utf8(raw, error)) from None


def _lines(raw: bytes) -> list[str]:
    """Lines as a diff shows them: without the carriage returns of a file from Windows."""
    return [line.replace("\r\n", "\n") for line in re.findall(r"[^\n]*\n|[^\n]+", raw.decode())]


def _choices(messages: tuple[PromptMessage, ...]) -> str:
    roles = [message.role for message in messages]
    listed = [role if roles.count(role) == 1 else str(number) for number, role in enumerate(roles, 1)]
    return "one of: " + ", ".join(f"--message {choice}" for choice in listed)


def _changed(messages: tuple[PromptMessage, ...], base: Prompt | None) -> list[PromptMessage]:
    if base is None:
        return []
    before = [(message.role, message.text) for message in published(base).messages]
    return [message for message in messages if (message.role, message.text) not in before]


def _notes(prompt: Prompt, message: PromptMessage, base: Prompt | None) -> Iterator[str]:
    others = [other.role for other in _changed(published(prompt).messages, base) if other != message]
    if others:
        yield f"the {', '.join(others)} message changed too: apply it as well, or the measured gain does not hold"
    names = {name for name in VARIABLE.findall(message.text) if name in prompt.variables}
    if names:
        listed = ", ".join(f"{{{{ {name} }}}}" for name in sorted(names))
        yield f"variables are written as they are here ({listed}); another template syntax is not converted yet"
    if prompt.demos:
        yield "the prompt's demos are not part of this key; they did not change"
