"""Commands that take a prompt out: export, apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import find, options
from optimizer.export import EXPORTERS


def export(
    format: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help=f"What to write: {', '.join(EXPORTERS)}.", show_default=False),
    ],
    target: options.Target = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where to write; the standard output by default.", show_default=False
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 3 where --out FILE is not what would be written.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="Model to name in it; the run's by default.", show_default=False)
    ] = None,
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Let rows and metrics of its run go along, as tests (promptfoo).")
    ] = False,
    splits: Annotated[
        str, typer.Option("--splits", help="Which rows go along; those of test where they are named.")
    ] = "train,val",
    allow_blocked: options.AllowBlocked = False,
    as_json: options.Json = False,
) -> None:
    """Write a prompt for other programs.

    It is read back and rendered first, for rows of its run and by the other program's own loader where that is
    installed: it says the same to the byte, or nothing is written.
    """
    from optimizer.cli import exporting

    found = find.shippable(target, allow_blocked=allow_blocked)
    along = splits if with_rows else None
    exporting.tell(exporting.make(format, found, file=file, check=check, model=model, splits=along), as_json=as_json)


def apply(
    file: Annotated[Path, typer.Option("--file", help="A YAML, TOML, JSON, JSONC or Python file.", show_default=False)],
    target: options.Target = None,
    key: Annotated[str, typer.Option("--key", help="Where in it: llm.prompts.triage.system.", show_default=False)] = "",
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="ROLE", help="Which message: a role, or its number.", show_default=False),
    ] = None,
    syntax: Annotated[
        str | None,
        typer.Option(
            "--syntax",
            metavar="double|jinja|format|single|template|dollar|percent",
            help="How variables are written, where the text that is there now does not tell.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the diff and write nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 3 and the diff where the file differs.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back the last change of the file.")] = False,
    allow_blocked: options.AllowBlocked = False,
    as_json: options.Json = False,
) -> None:
    """Put a prompt into one key of a config file.

    Nothing else in the file changes, and the diff is printed. What goes there is the message that --message names,
    else the one whose role is the key's last part or a word of it, else the only one there is or the only one that
    changed.
    """
    from optimizer.cli import ship_out
    from optimizer.export.apply import Place

    mode = ship_out.mode(key=key, dry_run=dry_run, check=check, undo=undo)
    place = Place(file=file, key=key, message=message, syntax=syntax)
    if undo:
        ship_out.take_back(place, mode, as_json=as_json)
    else:
        found = find.shippable(target, ended=True, allow_blocked=allow_blocked)
        ship_out.put(found, place, mode, as_json=as_json)
