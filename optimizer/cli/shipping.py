"""Commands that take a prompt out: export, apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import find, options, out


def export(
    format: Annotated[str, typer.Argument(metavar="text|yaml|json", help="What to write.", show_default=False)],
    target: options.Target = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="Where to write; the standard output by default.", show_default=False)
    ] = None,
    allow_blocked: options.AllowBlocked = False,
) -> None:
    """Write a prompt for other programs.

    It is read back and rendered first: it says the same to the byte, or nothing is written.
    """
    from optimizer.cli import ship_out

    found = find.shippable(target, allow_blocked=allow_blocked)
    if found.warning:
        out.note(f"note: {found.warning}")
    ship_out.export(format, found, file)


def apply(
    file: Annotated[Path, typer.Option("--file", help="A YAML or JSON config file.", show_default=False)],
    key: Annotated[str, typer.Option("--key", help="Where in it: llm.prompts.triage.system.", show_default=False)],
    target: options.Target = None,
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="ROLE", help="Which message: a role, or its number.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the diff and write nothing.")] = False,
    allow_blocked: options.AllowBlocked = False,
    as_json: options.Json = False,
) -> None:
    """Put a prompt into one key of a config file.

    Nothing else in the file changes, and the diff is printed. What goes there is the message that --message names,
    else the one whose role is the key's last part, else the only one there is or the only one that changed.
    """
    from optimizer.cli import ship_out
    from optimizer.export.apply import Place, plan, write

    found = find.shippable(target, ended=True, allow_blocked=allow_blocked)
    patch = plan(found.prompt, Place(file=file, key=key, message=message), found.base)
    if patch.changes and not dry_run:
        write(patch)
    ship_out.tell(found, patch, dry_run=dry_run, as_json=as_json)
