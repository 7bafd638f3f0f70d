"""The seam to export formats, and the proof that an export says what the prompt says.

Every export is read back as its consumer would read it and rendered for four rows, one of them hostile. Where a
single byte differs from what the model was sent when the prompt was measured, nothing is written.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from optimizer.dataset import Example, display
from optimizer.errors import StoreError, UserError
from optimizer.prompt import Message, Prompt, prepare, with_lines
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A prompt in one format, not written yet."""

    parts: Parts
    """The text of each part."""
    render: Callable[[Parts, Mapping[str, Any]], tuple[Message, ...]]
    """What a consumer does: reads the parts, puts one row's inputs in, gets messages."""


class Exporter(Protocol):
    """One export format."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """The prompt in this format. Raises UserError where the format cannot say what the prompt says."""
        ...


EXPORTERS: Mapping[str, str] = {
    "text": "optimizer.export.text",
    "yaml": "optimizer.export.yaml",
    "json": "optimizer.export.json",
}
"""Format -> module that has the class `Export`. A new one is a new file and a line here."""


def exporter(name: str) -> Exporter:
    """The exporter of one format. Raises UserError for an unknown name."""
    if name not in EXPORTERS:
        raise UserError(f"no export format {name!r} ({nearest(name, EXPORTERS)}there are: {', '.join(EXPORTERS)})")
    found: Exporter = importlib.import_module(EXPORTERS[name]).Export()
    return found


def export(name: str, prompt: Prompt, provenance: Provenance | None = None) -> Parts:
    """The proved parts of a prompt in one format.

    Args:
        name: a key of `EXPORTERS`.
        prompt: the prompt; keep marks are taken out, as they are when it is sent.
        provenance: where it comes from; None for a prompt that a person wrote.

    Raises UserError for an unknown format, and where the export would not say what the prompt says.
    """
    clean = published(prompt)
    exported = exporter(name).export(clean, provenance)
    for example in proof_rows(prompt):
        if exported.render(exported.parts, example.inputs) != prepare(prompt, example):
            raise UserError(
                f"prompt {prompt.ref}: as {name} it would not render as it was measured ({example.id}); "
                f"nothing is written (try another format: {', '.join(EXPORTERS)})"
            )
    return exported.parts


def published(prompt: Prompt) -> Prompt:
    """The prompt without keep marks and without messages that are not sent."""
    messages = [
        replace(message, lines=tuple(replace(line, text=line.content) for line in message.lines))
        for message in prompt.messages
        if message.lines
    ]
    return replace(with_lines(prompt, messages), version=prompt.version)


def flat(prompt: Prompt) -> list[tuple[str, str]]:
    """(role, text) of every message that is sent, demos written out, variables left as `{{ name }}`."""
    plain = replace(prompt, demos=())
    if not prompt.demos:
        return [(message.role, message.text) for message in plain.messages if message.lines]
    # Each variable stands for itself, so that `prepare` puts the demos where it puts them for a model.
    blank = Example(id="blank", inputs={name: f"{{{{ {name} }}}}" for name in prompt.variables})
    return [(message.role, message.content) for message in prepare(prompt, blank)]


def fill_in(text: str, variables: list[str], values: Mapping[str, Any]) -> str:
    """What every consumer has to do: replace `{{ name }}` of the named variables, all at once."""
    if not variables:
        return text
    names = "|".join(re.escape(name) for name in variables)
    return re.sub(rf"\{{\{{[ \t]*({names})[ \t]*\}}\}}", lambda found: display(values[found.group(1)]), text)


def proof_rows(prompt: Prompt) -> tuple[Example, ...]:
    """Three rows as people have them, and one whose values try to break out."""
    names = sorted(prompt.variables)
    echoed = " ".join(f"{{{{ {name} }}}} {{{{{name}}}}} {{{name}}} ${name} ${{{name}}} %({name})s" for name in names)
    signs = "{ } {{ }} {% raw %} {# #} $ $5 $$ %s < > & \" ' ` \\n \\ --- |\n: # \t é \u2028 🙂\r\n</s>"
    rows: Mapping[str, Any] = {
        "a sentence": "Where does the order of last Tuesday hang?",
        "several lines": "Dear team,\n\n  the parcel came open.\n\nYours, Zoë",
        "a structure": {"items": [1, 2.5, None], "note": "as ordered"},
        "hostile values": f"{signs} {echoed}",
    }
    return tuple(Example(id=label, inputs={name: value for name in names}) for label, value in rows.items())


def sidecar(prompt: Prompt, provenance: Provenance | None, **more: Any) -> str:
    """JSON that travels beside files which have no room for it."""
    return json.dumps({**more, **facts(prompt, provenance)}, ensure_ascii=False, indent=2) + "\n"


def facts(prompt: Prompt, provenance: Provenance | None) -> dict[str, Any]:
    """Variables, parameters and provenance, as JSON values; no rows, no endpoints, no keys."""
    from optimizer.readers.provenance import block

    written = block(provenance) if provenance else {}
    origin = {key: value for key, value in written.items() if value not in (None, [], {}, 0)}
    for internal in ("lines", "last_line", "last_demo"):
        origin.pop(internal, None)
    return {
        "variables": sorted(prompt.variables),
        "params": dict(prompt.params),
        "provenance": {**origin, "prompt": prompt.ref, "sha256": prompt.fingerprint},
    }


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
