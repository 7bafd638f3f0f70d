"""Commands that set up a workspace: init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import options, out


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where; the working folder by default.")] = Path(),
    as_json: options.Json = False,
) -> None:
    """Write an example eval that runs offline, without a key. Nothing that is there is overwritten."""
    from optimizer.cli import starting

    done = starting.write(folder)
    if as_json:
        out.data(done.to_json())
        return
    for path in done.written:
        out.say(f"wrote    {path}")
    for path in done.kept:
        out.say(f"kept     {path} (it was there already)")
    out.say(f"\nNext:    {done.next}")
