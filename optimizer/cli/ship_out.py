"""What `export` prints and writes, and what `apply` tells."""

from __future__ import annotations

from pathlib import Path

from optimizer.cli import out
from optimizer.cli.find import Taken
from optimizer.export.apply import Patch
from optimizer.export.base import SIDECAR, write
from optimizer.export.base import export as exported
from optimizer.readers.base import shown


def export(format: str, found: Taken, file: Path | None) -> None:
    """Write the proved parts to a file and those beside it, or print what a person wants to read."""
    proved = exported(format, found.prompt, found.provenance)
    parts = proved.parts
    if file is not None:
        for path in write(parts, file):
            out.note(f"wrote {shown(path)}")
        own = f", by {proved.loader} as well" if proved.loader else ""
        out.note(f"read back and rendered for {proved.renders} rows{own}: the same to the byte")
        return
    texts = [text for part, text in parts.items() if part != SIDECAR]
    if len(texts) > 1:
        roles = ", ".join(part for part in parts if part != SIDECAR)
        out.note(f"note: {len(texts)} messages one after the other ({roles}); --out FILE writes one file each")
    out.raw("\n".join(texts))


def tell(found: Taken, patch: Patch, *, dry_run: bool, as_json: bool) -> None:
    """The diff, and what became of it."""
    from optimizer.store.secrets import Scrubber

    diff = Scrubber().text(patch.diff())
    notes = [*([found.warning] if found.warning else []), *patch.notes]
    if as_json:
        out.data(
            {
                "file": shown(patch.file),
                "key": patch.key,
                "prompt": found.prompt.ref,
                "proven": found.proven,
                "message": patch.role,
                "changed": patch.changes,
                "written": patch.changes and not dry_run,
                "diff": diff,
                "notes": notes,
            }
        )
        return
    if diff:
        out.say(diff.removesuffix("\n"))
    where = f"{shown(patch.file)}: {patch.key} is the {patch.role} message of {found.prompt.ref}"
    if not patch.changes:
        out.note(f"{where} already; nothing to write")
    else:
        out.note(f"would write {where} (--dry-run)" if dry_run else f"wrote {where}")
    for line in notes:
        out.note(f"note: {line}")
