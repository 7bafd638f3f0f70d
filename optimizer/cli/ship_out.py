"""What `apply` does, and what it tells."""

from __future__ import annotations

from enum import Enum
from typing import Any

from optimizer.cli import out
from optimizer.cli.find import ROOT, Taken
from optimizer.errors import GateError, UserError
from optimizer.export.apply import Patch, Place, plan, plan_undo, undo
from optimizer.export.apply import write as write_patch
from optimizer.readers.base import shown


class Mode(Enum):
    """What is done with a change."""

    WRITE = "wrote"
    DRY_RUN = "would write"
    CHECK = "differs"


def mode(*, key: str, dry_run: bool, check: bool, undo: bool) -> Mode:
    """What the flags ask for. Raises UserError where they do not go together."""
    if undo and check:
        raise UserError("--undo and --check do not go together (leave one out)")
    if not key and not undo:
        raise UserError("apply: --key is missing (say where in the file: --key llm.prompts.triage.system)")
    return Mode.CHECK if check else Mode.DRY_RUN if dry_run else Mode.WRITE


def put(found: Taken, place: Place, how: Mode, *, as_json: bool) -> None:
    """Apply a prompt, and tell. Raises GateError where it was to be checked and differs."""
    patch = plan(found.prompt, place, found.base)
    if patch.changes and how is Mode.WRITE:
        write_patch(patch, ROOT)
    tell(found, patch, how, as_json=as_json)
    if patch.changes and how is Mode.CHECK:
        raise GateError(
            f"{shown(patch.file)}: {patch.key} is not the {patch.role} message of {found.prompt.ref} "
            "(`apply` without --check writes it)"
        )


def tell(found: Taken, patch: Patch, how: Mode, *, as_json: bool) -> None:
    """The diff, and what became of it."""
    notes = [*([found.warning] if found.warning else []), *patch.notes]
    if as_json:
        more = {"prompt": found.prompt.ref, "proven": found.proven, "message": patch.role}
        out.data({**_facts(patch, how), **more, "syntax": patch.syntax or None, "notes": notes})
        return
    _show(patch)
    where = f"{shown(patch.file)}: {patch.key} is the {patch.role} message of {found.prompt.ref}"
    if not patch.changes:
        out.note(f"{where} already; nothing to write")
    elif how is not Mode.CHECK:
        out.note(f"{how.value} {where}{' (--dry-run)' if how is Mode.DRY_RUN else ''}")
    for line in notes:
        out.note(f"note: {line}")


def take_back(place: Place, how: Mode, *, as_json: bool) -> None:
    """Undo the last change of a file, and tell."""
    planned = plan_undo(place, ROOT)
    patch = planned.patch
    if how is Mode.WRITE:
        undo(planned)
    if as_json:
        out.data({**_facts(patch, how), "undone": patch.prompt, "when": planned.when})
        return
    _show(patch)
    done = "took back" if how is Mode.WRITE else "would take back"
    out.note(f"{done} {shown(patch.file)}: {patch.key}, which {patch.prompt} was put into at {planned.when}")


def _facts(patch: Patch, how: Mode) -> dict[str, Any]:
    written = patch.changes and how is Mode.WRITE
    return {
        "file": shown(patch.file),
        "key": patch.key,
        "changed": patch.changes,
        "written": written,
        "diff": _diff(patch),
    }


def _show(patch: Patch) -> None:
    if diff := _diff(patch):
        out.say(diff.removesuffix("\n"))


def _diff(patch: Patch) -> str:
    """The diff without secrets, which may stand beside the key."""
    from optimizer.redaction import Scrubber

    return Scrubber().text(patch.diff())
