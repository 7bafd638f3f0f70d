"""Prompt files: text, chat JSON and YAML versions.

A text file is one message. Where it holds a `{{ variable }}` it is the user message; where it holds none it is the
system message, and the row's single input is sent as the user message.

What counts as the prompt's text: one final newline of a text file, and of a YAML block scalar, belongs to the file
and is left out. Everything else is kept to the byte, a YAML file's line ends aside (YAML reads CRLF as LF). Quoted
YAML text and JSON text are exact.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from optimizer.dataset import Example
from optimizer.errors import DataError, Problem, UserError
from optimizer.prompt import VARIABLE, Demo, Prompt, build, numbered
from optimizer.readers import document, strict_json
from optimizer.readers.base import CAPS, check_name, fault, near, nearest, read_text, shown
from optimizer.readers.eval_file import check_params
from optimizer.readers.json_places import lines_of
from optimizer.readers.provenance import Provenance, ProvenanceBlock
from optimizer.readers.shape import Strict, check, locate

VERSION = re.compile(r"v([1-9][0-9]{0,8})")
"""Stem of a version's file."""
DEFAULT_INPUT = "input"
"""The input that a prompt without variables is sent, where the rows are not known."""
_LINE_ID = re.compile(r"L[1-9][0-9]{0,8}")
_DEMO_ID = re.compile(r"D[1-9][0-9]{0,8}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALMOST = re.compile(
    r"\{\{?\s{0,9}([A-Za-z_][A-Za-z0-9_]{0,99})\b[^{}\n]{0,99}\}\}?"
    r"|\{%-?\s{0,9}(?:if|elif|for \w{1,99} in)\s{1,9}(?:not\s{1,9})?([A-Za-z_][A-Za-z0-9_]{0,99})\b[^{}\n]{0,99}%\}"
)
"""`{name}`, `{{ name.part }}`, `{{ name | filter }}`, `{name!r}`, `{% if name %}`."""
_TEXT = frozenset({".txt", ".md"})
_CHAT = frozenset({".json"})
_YAML = frozenset({".yaml", ".yml"})


class _Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: str


class _Demo(Strict):
    id: str = ""
    row: str = ""
    inputs: dict[str, Any]
    output: Any


class PromptFile(Strict):
    """A YAML prompt as it stands in its file."""

    messages: Annotated[list[_Message], Field(min_length=1)]
    variables: list[str] | None = None
    demos: list[_Demo] = []
    params: Annotated[dict[str, Any], AfterValidator(check_params)] = {}
    provenance: ProvenanceBlock | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedPrompt:
    """A prompt with what its file says besides."""

    prompt: Prompt
    """The prompt."""
    provenance: Provenance | None = None
    """Where it comes from; None for a prompt that a person wrote."""

    @property
    def edited_by_hand(self) -> bool:
        """True where the prompt is not what it was when the file was written."""
        written = self.provenance.sha256 if self.provenance else ""
        return written not in ("", self.prompt.fingerprint)


def load_prompt(path: Path, fields: Sequence[str] = ()) -> Prompt:
    """Read a prompt file: `.txt`, `.md`, `.json` (chat) or `.yaml`.

    Args:
        path: the file. Its name is the folder under `prompts/`, or the file's stem; `v<N>` gives the version.
        fields: input fields of the rows, where they are known: a text without variables is sent the one there is.

    Raises DataError.
    """
    return load_version(path, fields).prompt


def load_version(path: Path, fields: Sequence[str] = ()) -> LoadedPrompt:
    """Like `load_prompt`, with the provenance beside it."""
    ending = path.suffix.lower()
    if ending not in _TEXT | _CHAT | _YAML:
        known = ", ".join(sorted(_TEXT | _CHAT | _YAML))
        raise fault(path, f"no prompt is read from the ending {path.suffix!r}", f"use {known}")
    return parse_prompt(read_text(path, CAPS.document_bytes), path, fields)


def parse_prompt(text: str, path: Path, fields: Sequence[str] = ()) -> LoadedPrompt:
    """The prompt in a file's text; the path gives format, name and version. Raises DataError."""
    if not text.strip():
        raise fault(path, "no prompt in the file", "write the prompt")
    name, version = name_of(path)
    if path.suffix.lower() in _TEXT:
        return LoadedPrompt(prompt=replace(_from_text(text, name, path, fields), version=version))
    read = _chat(text, path) if path.suffix.lower() in _CHAT else document.parse(text, path)
    problems: list[Problem] = []
    file = check(PromptFile, read, problems)
    if file is not None:
        problems += _problems(file, read)
    if problems or file is None:
        raise DataError(problems)
    return _loaded(file, name, version, read)


def name_of(path: Path) -> tuple[str, int | None]:
    """(name, version) that a path gives a prompt. Raises DataError for a name that is not usable."""
    found = VERSION.fullmatch(path.stem)
    parts = path.parts
    in_folder = found is not None or (len(parts) >= 3 and parts[-3] == "prompts")
    folder = path.parent.name or path.absolute().parent.name
    return check_name(folder if in_folder else path.stem, path), int(found.group(1)) if found else None


def _from_text(text: str, name: str, path: Path, fields: Sequence[str]) -> Prompt:
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if VARIABLE.search(text):
        return build(name, [("user", text)])
    if len(fields) > 1 and DEFAULT_INPUT not in fields:
        listed = ", ".join(sorted(fields))
        fix = f"write {{{{ {sorted(fields)[0]} }}}} where it belongs"
        raise fault(path, f"the prompt names no variable, and rows have several inputs: {listed}", fix)
    field = fields[0] if len(fields) == 1 else DEFAULT_INPUT
    return build(name, [("system", text), ("user", f"{{{{ {field} }}}}")])


def _chat(text: str, path: Path) -> document.Document:
    """A chat JSON file in the shape of a YAML one."""
    try:
        data = strict_json.decoder().decode(text)
    except ValueError as error:
        message, line = getattr(error, "msg", str(error)), getattr(error, "lineno", 0)
        raise fault(path, f"not JSON: {message}", "mend the syntax", line=line) from None
    except RecursionError:
        flaw = strict_json.too_deep()
        raise fault(path, flaw.problem, flaw.fix) from None
    lines = lines_of(text, ("messages",))
    for place, flaw in strict_json.flaws({"messages": data}):
        # What is nested too deep is told by the beginning of its place.
        at = next((line for known, line in lines.items() if document.dotted(known) == place.removesuffix("...")), 0)
        raise fault(path, flaw.problem, flaw.fix, line=at, field=place)
    if not isinstance(data, list):
        inner = isinstance(data, dict) and isinstance(data.get("messages"), list)
        fix = "leave only the list of `messages`" if inner else 'write [{"role": "user", "content": "..."}]'
        raise fault(path, "not a list of messages", fix, line=1)
    return document.Document(path=path, data={"messages": data}, lines=lines)


def _problems(file: PromptFile, read: document.Document) -> list[Problem]:
    """What the shape alone does not show."""
    found: list[tuple[document.Place, str, str]] = []
    if not any(message.content.strip() for message in file.messages):
        found.append((("messages",), "every message is empty", "write the prompt"))
    for index, name in enumerate(file.variables or []):
        if _NAME.fullmatch(name) is None:
            found.append((("variables", index), f"{name!r} is no name", "use letters, digits and `_`"))
    for place, written in read.written.items():
        if place[0] == "demos":
            problem = f"{written} would be read as a number"
            found.append((place, problem, f'write "{written}" for text'))
    for index, demo in enumerate(file.demos):
        known = demo.id in [other.id for other in file.demos[:index]]
        if "id" in demo.model_fields_set and (known or _DEMO_ID.fullmatch(demo.id) is None):
            problem = f"{demo.id!r} is no id of its own"
            found.append((("demos", index, "id"), problem, "write D1, D2, ... or take it out"))
    ids = file.provenance.lines if file.provenance else []
    if any(_LINE_ID.fullmatch(line) is None for line in ids) or len(set(ids)) != len(ids):
        found.append((("provenance", "lines"), "not a list of distinct line ids", "write L1, L2, ... or take it out"))
    return [
        Problem(where=locate(read, place), field=document.dotted(place), problem=problem, fix=fix)
        for place, problem, fix in found
    ]


def _loaded(file: PromptFile, name: str, version: int | None, read: document.Document) -> LoadedPrompt:
    try:
        provenance = file.provenance.value() if file.provenance else None
    except ValueError as error:
        raise read.fault(("provenance",), str(error), "mend it") from None
    demos = [Demo(id=demo.id, row=demo.row, inputs=demo.inputs, output=demo.output) for demo in file.demos]
    last_line, last_demo = (provenance.last_line, provenance.last_demo) if provenance else (0, 0)
    prompt = build(
        name,
        [(message.role, message.content) for message in file.messages],
        variables=file.variables,
        line_ids=provenance.lines if provenance else None,
        version=version,
        demos=numbered(demos, last_demo),
        params=file.params,
    )
    prompt = replace(prompt, last_line=max(0, last_line), last_demo=max(0, last_demo))
    return LoadedPrompt(prompt=prompt, provenance=provenance)


def check_variables(
    prompt: Prompt, examples: Sequence[Example], where: str = "", line: Callable[[str], int] = lambda unit: 0
) -> tuple[str, ...]:
    """Check that every row has what the prompt asks for; returns warnings.

    Args:
        prompt: the prompt.
        examples: the rows.
        where: the prompt's file, for messages; its ref where empty.
        line: id of a line or a demo -> its line in that file; 0 where it is not known.

    Raises DataError for a variable that is no input of the rows, that some rows lack or have as null, and for a
    prompt that would send every row the same text.
    """
    fields = sorted({name for example in examples for name in example.inputs})
    used = {name for line in prompt.lines for name in VARIABLE.findall(line.content)} & prompt.variables
    where = where or prompt.ref

    def at(unit: str) -> str:
        return f"{where}:{found}" if (found := line(unit)) else where

    problems = [_unknown(prompt, name, fields, at) for name in sorted(used - set(fields))]
    for name in sorted(used & set(fields)):
        problems += _lacking(name, examples)
    for number, demo in enumerate(prompt.demos, 1):
        for name in sorted(used - set(demo.inputs)):
            problem = f"no input {name!r}"
            problems.append(Problem(where=at(demo.id), field=f"demo {number}", problem=problem, fix="add it"))
    almost = _almost(prompt, fields)
    if not used and examples:
        fix = f"put {{{{ {fields[0]} }}}} into a message" if fields else "give the rows an input"
        instead = f"; {', '.join(almost)} is none" if almost else ""
        problem = f"no variable in the prompt: every row would send the same text{instead}"
        problems.append(Problem(where=where, field="", problem=problem, fix=fix))
    if problems:
        raise DataError(problems)
    unused = [name for name in fields if name not in used]
    warnings = [f"inputs that the prompt does not use: {', '.join(unused)}"] if unused else []
    if almost:
        told = f"{', '.join(almost)} goes to the model as it stands (write {{{{ name }}}})"
        warnings.append(f"{where}: {told}")
    return tuple(warnings)


def _almost(prompt: Prompt, fields: list[str]) -> list[str]:
    """What other template languages would fill with an input of the rows, and this one does not."""
    found = [
        match
        for line in prompt.lines
        for match in _ALMOST.finditer(VARIABLE.sub("", line.content))
        if (match.group(1) or match.group(2)) in fields
    ]
    return list(dict.fromkeys(match.group(0) for match in found))[:5]


def _unknown(prompt: Prompt, name: str, fields: list[str], at: Callable[[str], str]) -> Problem:
    lines = [line.id for line in prompt.lines if name in VARIABLE.findall(line.content)]
    fix = f"{nearest(name, fields)}inputs of the rows: {', '.join(fields) or 'none'}"
    return Problem(where=at(lines[0]), field=", ".join(lines), problem=f"unknown variable {{{{ {name} }}}}", fix=fix)


def _lacking(name: str, examples: Sequence[Example]) -> list[Problem]:
    problems = []
    for example in examples:
        if example.inputs.get(name) is not None:
            continue
        at = example.source or f"row {example.id}"
        if name in example.inputs:
            problems.append(Problem(where=at, field=name, problem="null", fix='give a value, or "" for no text'))
            continue
        other = near(name, list(example.inputs))
        hint = f"did you mean {other!r}? " if other else ""
        fix = f"{hint}fields here: {', '.join(sorted(example.inputs)) or 'none'}"
        problems.append(Problem(where=at, field=name, problem="missing, and the prompt uses it", fix=fix))
    return problems


def contained(path: Path, root: Path) -> Path:
    """The path, if it lies inside the root once links are followed; raises UserError otherwise."""
    # `Path.resolve` raises for a link that leads to itself, before Python 3.13.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(f"{shown(path)}: leads out of {shown(root)} (take the link away)")
    return path
