"""Versions of a prompt on disk: `prompts/<name>/v<N>.yaml`, written once and never overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from optimizer.dataset import canonical_json
from optimizer.errors import StoreError, UserError
from optimizer.prompt import VARIABLE, Demo, Prompt, next_demo_number, next_line_number
from optimizer.readers import atomic, emit
from optimizer.readers.base import check_name, nearest, shown
from optimizer.readers.prompts import VERSION, contained
from optimizer.readers.provenance import Provenance, block

_REF = re.compile(r"([A-Za-z0-9._-]{1,80})(?:@v([1-9][0-9]{0,8}))?")
_DEPTH = 50
_SAFE_ID = re.compile(r"L[1-9][0-9]{0,8}")
_SAFE_DEMO = re.compile(r"D[1-9][0-9]{0,8}")


def dump_prompt(prompt: Prompt, provenance: Provenance | None = None) -> str:
    """The prompt as YAML that `load_prompt` reads back to an equal prompt.

    Line ids and the fingerprint are the prompt's own, whatever the provenance says of them. A message whose lines
    were all removed is not written. Raises UserError for values that YAML cannot hold.
    """
    _check_values(prompt)
    written = ["messages:"]
    for message in prompt.messages:
        if message.lines:
            text = "\n".join(line.text for line in message.lines)
            written += [f"  - role: {message.role}", f"    content: {emit.block(text, 6)}"]
    found = {name for message in prompt.messages for line in message.lines for name in VARIABLE.findall(line.text)}
    rest: dict[str, Any] = {}
    if prompt.variables != found:
        rest["variables"] = sorted(prompt.variables)
    if prompt.demos:
        rest["demos"] = [_demo(demo) for demo in prompt.demos]
    if prompt.params:
        rest["params"] = dict(prompt.params)
    if origin := _origin(prompt, provenance):
        rest["provenance"] = origin
    return "\n".join([*written, *emit.lines(rest)]) + "\n"


def _demo(demo: Demo) -> dict[str, Any]:
    row = {"row": demo.row} if demo.row else {}
    return {"id": demo.id, **row, "inputs": dict(demo.inputs), "output": demo.output}


def _origin(prompt: Prompt, provenance: Provenance | None) -> dict[str, Any]:
    ids = tuple(line.id for line in prompt.lines)
    in_order = ids == tuple(f"L{number}" for number in range(1, len(ids) + 1))
    last = next_line_number(prompt) - 1
    above = last if last > max((int(line[1:]) for line in ids if _SAFE_ID.fullmatch(line)), default=0) else 0
    known = max((int(demo.id[1:]) for demo in prompt.demos if _SAFE_DEMO.fullmatch(demo.id)), default=0)
    last_demo = next_demo_number(prompt) - 1
    gone = last_demo if last_demo > known else 0
    if provenance is None and in_order and not above and not gone:
        return {}
    base = provenance or Provenance()
    full = replace(base, sha256=prompt.fingerprint, lines=ids, last_line=above, last_demo=gone)
    return {key: value for key, value in block(full).items() if value is not None}


def _check_values(prompt: Prompt) -> None:
    for line in prompt.lines:
        if _SAFE_ID.fullmatch(line.id) is None:
            raise UserError(f"prompt {prompt.ref}: line id {line.id!r} cannot be written (ids are L1, L2, ...)")
    demos = [_demo(demo) for demo in prompt.demos]
    for demo in prompt.demos:
        if _SAFE_DEMO.fullmatch(demo.id) is None:
            raise UserError(f"prompt {prompt.ref}: demo id {demo.id!r} cannot be written (ids are D1, D2, ...)")
    if not emit.fits([dict(prompt.params), *demos], _DEPTH):
        raise UserError(f"prompt {prompt.ref}: parameters or demos with long keys or deep nesting cannot be written")
    try:
        texts = [line.text for line in prompt.lines]
        canonical_json([texts, demos, dict(prompt.params)]).encode()
    except (TypeError, ValueError) as error:
        raise UserError(f"prompt {prompt.ref}: a value cannot be written ({error})") from None


def save_version(prompt: Prompt, provenance: Provenance | None, folder: Path) -> Prompt:
    """Write the prompt as the next version, `<folder>/<name>/v<N>.yaml`, and return it with its N.

    The file appears whole or not at all, and no file is ever overwritten. Raises UserError for a name or a folder
    that leads elsewhere, StoreError where the disk refuses.
    """
    home = folder / check_name(prompt.name, folder)
    contained(home, folder)
    text = dump_prompt(prompt, provenance)
    try:
        atomic.make_folder(home)
        taken = [version_of(path) for path in list_versions(home)]
        number = max(taken, default=0) + 1
        while not atomic.create(home / f"v{number}.yaml", text):
            number += 1
    except OSError as error:
        raise StoreError(f"{shown(home)}: cannot write a version: {error.strerror} (check space and rights)") from error
    return replace(prompt, version=number)


def list_versions(folder: Path) -> tuple[Path, ...]:
    """Files of the versions in one prompt's folder, `prompts/<name>`, oldest first; empty where there are none."""
    if not folder.is_dir():
        return ()
    found = [path for path in folder.iterdir() if VERSION.fullmatch(path.stem) and path.is_file()]
    return tuple(sorted(found, key=lambda path: (version_of(path), path.suffix)))


def version_of(path: Path) -> int:
    """N of `v<N>.yaml`; 0 for any other name."""
    found = VERSION.fullmatch(path.stem)
    return int(found.group(1)) if found else 0


def find_prompt(ref: str | Path, root: Path) -> Path:
    """The file that a reference means: `name@v3`, `name` for its newest version, or a path.

    Args:
        ref: the reference.
        root: the folder `prompts/`.

    Raises UserError where there is none, with what there is.
    """
    path = Path(ref)
    match = None if isinstance(ref, Path) else _REF.fullmatch(ref)
    # Of a name that no file can have, `Path.is_file` would raise.
    there = os.path.isfile(path)
    if match is None or (there and "@" not in str(ref)):
        if there:
            return path
        raise UserError(f"{ref}: no such prompt (give a file, or NAME@vN)")
    name, number = match.group(1), match.group(2)
    if name in {".", ".."}:
        raise UserError(f"{ref}: no such prompt (give a file, or NAME@vN)")
    return _newest_or(name, int(number) if number else None, root)


def _newest_or(name: str, number: int | None, root: Path) -> Path:
    home = contained(root / name, root)
    versions: Mapping[int, Path] = {version_of(path): path for path in reversed(list_versions(home))}
    if not versions:
        others = [path.name for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
        have = f"{nearest(name, others)}there are: {', '.join(others[:20]) or 'none'}"
        raise UserError(f"{shown(root)}: no prompt {name!r} ({have})")
    wanted = max(versions) if number is None else number
    if wanted not in versions:
        raise UserError(f"{shown(home)}: no version v{wanted} (there are v{min(versions)} to v{max(versions)})")
    return contained(versions[wanted], root)
