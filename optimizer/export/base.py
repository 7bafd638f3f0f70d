"""The seam to export formats, and the proof that an export says what the prompt says.

Every export is read back as its consumer would read it and rendered for four rows, one of them hostile: by a small
renderer of ours, and by the consumer's own loader where that is installed. Where a single byte differs from what the
model was sent when the prompt was measured, nothing is written. What a consumer does to values alone (one that turns
every line end into one kind, say) is its own, is told in a note, and is allowed for in the hostile row only.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from optimizer.dataset import Example, display
from optimizer.errors import StoreError, UserError
from optimizer.export import EXPORTERS as EXPORTERS
from optimizer.prompt import VARIABLE, Message, Prompt, demo_messages, prepare, with_lines
from optimizer.readers import atomic
from optimizer.readers.base import nearest, shown

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

WHOLE = ""
"""Part that is the file itself."""
SIDECAR = "provenance.json"
"""Part that holds what the other parts cannot: where the prompt comes from, variables, parameters."""

Parts = Mapping[str, str]
"""Part -> text: `""` for the file itself, `system` for a file of that role's message, `provenance.json`."""


Render = Callable[[Parts, Mapping[str, Any]], tuple[Message, ...]]
"""What a consumer does: reads the parts, puts one row's inputs in, gets messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A place in a text where a row's value goes."""

    name: str
    """As the prompt declares it."""


Piece = str | Variable
"""Text that stands as it is, or a variable."""

ENDPOINT = re.compile(r"(api|base|organization|header|endpoint|url|proxy|key$|token$|secret|password)", re.IGNORECASE)
"""Parameters of a call that say where it goes or who pays: these stay here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """The consumer's own code. It is asked where it is installed; an export never needs it."""

    package: str
    """Name that it is imported by: `langchain_core`."""
    render: Render
    """Imports the package inside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A prompt in one format, not written yet."""

    parts: Parts
    """The text of each part."""
    render: Render
    """A small renderer of ours, which tests hold against the consumer's own loader."""
    loader: Loader | None = None
    """The consumer's own loader; None where there is none in Python."""
    notes: tuple[str, ...] = ()
    """What the user should know of the format: one sentence each."""
    arrives: Callable[[str], str] | None = None
    """What the consumer makes of a message once a row's values stand in it; None where that is the message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proved:
    """An export that rendered as it was measured."""

    parts: Parts
    """The text of each part."""
    renders: int
    """Rows that it was rendered for."""
    real: int = 0
    """How many of these are rows of the user's; the others are made up."""
    loader: str = ""
    """Package whose own loader read it as well; empty where that was not installed."""
    notes: tuple[str, ...] = ()
    """What the user should know of the format."""


class Exporter(Protocol):
    """One export format."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """The prompt in this format. Raises UserError where the format cannot say what the prompt says."""
        ...


def exporter(name: str) -> Exporter:
    """The exporter of one format. Raises UserError for an unknown name."""
    if name not in EXPORTERS:
        raise UserError(f"no export format {name!r} ({nearest(name, EXPORTERS)}there are: {', '.join(EXPORTERS)})")
    found: Exporter = importlib.import_module(EXPORTERS[name]).Export()
    return found


def export(name: str, prompt: Prompt, provenance: Provenance | None = None, rows: Sequence[Example] = ()) -> Proved:
    """A prompt in one format, proved.

    Args:
        name: a key of `EXPORTERS`.
        prompt: the prompt; keep marks are taken out, as they are when it is sent.
        provenance: where it comes from; None for a prompt that a person wrote.
        rows: real rows to render it for; the first three that have all its variables take the place of made-up ones.

    Raises UserError for an unknown format, and where the export would not say what the prompt says.
    """
    exported = exporter(name).export(published(prompt), provenance)
    loader = exported.loader
    asked = loader.package if loader and importlib.util.find_spec(loader.package) is not None else ""
    proof = proof_rows(prompt, rows)
    for example in proof:
        wanted = prepare(prompt, example)
        if exported.arrives is not None and example is proof[-1]:
            wanted = tuple(replace(message, content=exported.arrives(message.content)) for message in wanted)
        told = exported.notes if exported.arrives is not None else ()
        prove = Proof(format=name, prompt=prompt, example=example, wanted=wanted, notes=told)
        prove("", exported.render, exported.parts)
        if loader and asked:
            prove(asked, loader.render, exported.parts)
    real = len(_fitting(prompt, rows))
    return Proved(parts=exported.parts, renders=len(proof), real=real, loader=asked, notes=exported.notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """One row that an export has to render as the model was sent it."""

    format: str
    """Key of `EXPORTERS`."""
    prompt: Prompt
    """What is exported."""
    example: Example
    """The row."""
    wanted: tuple[Message, ...]
    """What was sent."""
    notes: tuple[str, ...] = ()
    """What the format does to values."""

    def __call__(self, who: str, render: Render, parts: Parts) -> None:
        """Raises UserError where the messages differ or `who`, a package, cannot read its own format."""
        by = f" by {who}" if who else ""
        other = f"nothing is written (try another format: {', '.join(EXPORTERS)})"
        try:
            found = render(parts, self.example.inputs)
        except UserError:
            raise
        except Exception as error:
            told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UserError(
                f"prompt {self.prompt.ref}: as {self.format} it cannot be read{by}: {told}; {other}"
            ) from error
        if found != self.wanted:
            told = "".join(f"; {note}" for note in self.notes)
            raise UserError(
                f"prompt {self.prompt.ref}: as {self.format} it would not render as it was measured{by} "
                f"({self.example.id}{told}); {other}"
            )


def cannot(prompt: Prompt, what: str, fix: str) -> UserError:
    """The fault of a format that cannot say a prompt: `prompt triage@v3: prompty ends a message at ... (fix)`."""
    return UserError(f"prompt {prompt.ref}: {what} ({fix})")


def published(prompt: Prompt) -> Prompt:
    """The prompt without keep marks and without messages that are not sent."""
    messages = [
        replace(message, lines=tuple(replace(line, text=line.content) for line in message.lines))
        for message in prompt.messages
        if message.lines
    ]
    return replace(with_lines(prompt, messages), version=prompt.version)


def flat(prompt: Prompt) -> list[tuple[str, str]]:
    """(role, text) of every message that is sent, demos written out, variables left as `{{ name }}`.

    Raises UserError where a demo holds what looks like a variable: whoever fills in the text would fill it in too.
    """
    plain = replace(prompt, demos=())
    if not prompt.demos:
        return [(message.role, message.text) for message in plain.messages if message.lines]
    shown = [message for demo in prompt.demos for message in demo_messages(prompt, demo)]
    if any(pieces(message.content, prompt.variables) != pieces(message.content, ()) for message in shown):
        named = "yaml, or a format with templates: prompty, dotprompt, langchain, python"
        raise cannot(prompt, "a demo holds what looks like a variable, and would be filled in", f"use {named}")
    # Each variable stands for itself, so that `prepare` puts the demos where it puts them for a model.
    blank = Example(id="blank", inputs={name: f"{{{{ {name} }}}}" for name in prompt.variables})
    return [(message.role, message.content) for message in prepare(prompt, blank)]


def pieces(text: str, variables: Collection[str]) -> tuple[Piece, ...]:
    """The text cut at its variables. Joined again, with each variable written anew, it is the same text.

    Args:
        text: a message, with `{{ name }}` for variables.
        variables: those that are declared; any other braces are text.
    """
    found: list[Piece] = []
    done = 0
    for match in VARIABLE.finditer(text):
        if match.group(1) in variables:
            found += [text[done : match.start()], Variable(name=match.group(1))]
            done = match.end()
    return tuple(piece for piece in (*found, text[done:]) if piece != "")


def cut(prompt: Prompt) -> list[tuple[str, tuple[Piece, ...]]]:
    """(role, pieces) of every message that is sent. Demos are plain text, whatever braces they hold."""
    sent = [message for message in prompt.messages if message.lines]
    found = [(message.role, pieces(message.text, prompt.variables)) for message in sent]
    last_user = max((i for i, message in enumerate(sent) if message.role == "user"), default=len(sent))
    shown = [message for demo in prompt.demos for message in demo_messages(prompt, demo)]
    # As `prepare` places them; the proof holds the two together.
    return [*found[:last_user], *((one.role, pieces(one.content, ())) for one in shown), *found[last_user:]]


def fill_in(text: str, variables: list[str], values: Mapping[str, Any]) -> str:
    """What every consumer has to do: replace `{{ name }}` of the named variables, all at once."""
    if not variables:
        return text
    names = "|".join(re.escape(name) for name in variables)
    return re.sub(rf"\{{\{{[ \t]*({names})[ \t]*\}}\}}", lambda found: display(values[found.group(1)]), text)


def proof_rows(prompt: Prompt, rows: Sequence[Example] = ()) -> tuple[Example, ...]:
    """Three rows, real ones where there are any, and one whose values try to break out."""
    names = sorted(prompt.variables)
    echoed = " ".join(f"{{{{ {name} }}}} {{{{{name}}}}} {{{name}}} ${name} ${{{name}}} %({name})s" for name in names)
    signs = "{ } {{ }} {% raw %} {# #} $ $5 $$ %s < > & \" ' ` \\n \\ --- |\n: # \t é \u2028 🙂\r\n</s>"
    values: Mapping[str, Any] = {
        "a sentence": "Where does the order of last Tuesday hang?",
        "several lines": "Dear team,\n\n  the parcel came open.\n\nYours, Zoë",
        "a structure": {"items": [1, 2.5, None], "note": "as ordered"},
        "hostile values": f"{signs} {echoed}",
    }
    made = [Example(id=label, inputs={name: value for name in names}) for label, value in values.items()]
    return (*(_fitting(prompt, rows) or made[:-1]), made[-1])


def _fitting(prompt: Prompt, rows: Sequence[Example]) -> list[Example]:
    """The first three rows that have all variables, cut to these."""
    names = sorted(prompt.variables)
    fitting = [row for row in rows if row.inputs.keys() >= set(names)][:3]
    return [replace(row, inputs={name: row.inputs[name] for name in names}) for row in fitting]


def sidecar(prompt: Prompt, provenance: Provenance | None, **more: Any) -> str:
    """JSON that travels beside files which have no room for it."""
    return json.dumps({**more, **facts(prompt, provenance)}, ensure_ascii=False, indent=2) + "\n"


def facts(prompt: Prompt, provenance: Provenance | None) -> dict[str, Any]:
    """Variables, parameters and provenance, as JSON values; no rows, no endpoints, no keys.

    Edits stay behind: the reasons that a model gave for them may quote rows.
    """
    from optimizer.readers.provenance import block

    written = block(provenance) if provenance else {}
    origin = {key: value for key, value in written.items() if value not in (None, [], {}, 0)}
    for internal in ("edits", "lines", "last_line", "last_demo"):
        origin.pop(internal, None)
    measured = {"model": provenance.model} if provenance and provenance.model else {}
    return {
        "variables": sorted(prompt.variables),
        "params": params(prompt),
        "provenance": {**origin, **measured, "prompt": prompt.ref, "sha256": prompt.fingerprint},
    }


def params(prompt: Prompt) -> dict[str, Any]:
    """The call's parameters, without those that say where it goes or who pays."""
    return {key: value for key, value in prompt.params.items() if not ENDPOINT.search(key)}


def texts(inputs: Mapping[str, Any]) -> dict[str, str]:
    """A row's values as the consumer is given them: text as it is, anything else as its JSON."""
    return {name: display(value) for name, value in inputs.items()}


def write(parts: Parts, out: Path) -> tuple[Path, ...]:
    """Write each part: the file itself to `out`, any other beside it as `<stem>.<part><suffix>`.

    Each file appears whole or not at all and takes the place of an older one. Returns what was written.
    Raises StoreError where the disk refuses, UserError where `out` cannot be a file.
    """
    written = []
    try:
        if out.is_dir():
            raise UserError(f"{shown(out)}: a folder (name a file in it)")
        if not out.parent.is_dir():
            raise UserError(f"{shown(out.parent)}: no such folder (make it first)")
        for path in (part_path(out, part) for part in parts):
            if path.exists() and not path.is_file():
                raise UserError(f"{shown(path)}: not a file (it would be taken away: name one that may be written)")
        for part, text in parts.items():
            path = part_path(out, part)
            atomic.replace(path, text)
            if path.read_bytes() != text.encode():
                raise StoreError(f"{shown(path)}: does not hold what was written (check the disk)")
            written.append(path)
    except OSError as error:
        raise StoreError(f"{shown(out)}: cannot be written: {error.strerror} (check space and rights)") from error
    return tuple(written)


def part_path(out: Path, part: str) -> Path:
    """`prompt.txt` -> `prompt.txt`, `prompt.system.txt`, `prompt.provenance.json`."""
    if part == WHOLE:
        return out
    return out.with_name(f"{out.stem}.{part}" if part == SIDECAR else f"{out.stem}.{part}{out.suffix}")
