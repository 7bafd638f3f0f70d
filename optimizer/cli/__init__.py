"""The command line. Importing it costs nothing: the commands are loaded by `main`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

COLLECT_AT = (50_000, 20, 50)
"""Thresholds of the garbage collector: a command makes many objects and few cycles, so it is looked through rarely."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    import gc
    import sys

    gc.set_threshold(*COLLECT_AT)
    from optimizer.cli.entry import run

    code = run(arguments)
    # All is closed and written. At its end the interpreter would look for cycles among all that was imported, several
    # times over, which takes it 0.2 s after a run; what is frozen it leaves alone, and the system takes it back.
    gc.freeze()
    sys.exit(code)
