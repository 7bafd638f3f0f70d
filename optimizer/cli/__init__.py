"""The command line. Importing it costs nothing: the commands are loaded by `main`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    import sys

    from optimizer.cli.entry import run

    sys.exit(run(arguments))
