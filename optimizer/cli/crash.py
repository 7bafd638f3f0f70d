"""What is said and kept of a bug of ours: no local variables, no secrets."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from optimizer.cli import out
from optimizer.cli.release import DISTRIBUTION, release

WORKSPACE = Path(".optimizer")


def report(error: BaseException, arguments: Sequence[str]) -> str:
    """Write the crash report; returns the line that tells of it."""
    from optimizer.redaction import Scrubber

    scrub = Scrubber().text
    what = out.one_line(scrub(f"{type(error).__name__}: {error}"))[:200]
    text = scrub("\n".join([*_head(arguments), "", *traceback.format_exception(error)]))
    path = _kept(text)
    where = f"; the report {path} says more and holds no secrets" if path else ""
    return f"this is a bug of the optimizer, not of yours ({what}){where}"


def _head(arguments: Sequence[str]) -> list[str]:
    return [
        f"{DISTRIBUTION} {release()}",
        f"Python {sys.version.split()[0]} on {platform.platform()}",
        f"optimizer {' '.join(arguments)}",
    ]


def _kept(text: str) -> Path | None:
    """Write the report to the workspace, else to the system's temporary folder; None where neither takes it."""
    name = time.strftime(f"crash-%Y%m%d-%H%M%S-{os.getpid()}.txt", time.gmtime())
    for folder in (WORKSPACE, Path(tempfile.gettempdir())):
        try:
            if folder.is_dir():
                path = folder / name
                path.touch(mode=0o600, exist_ok=False)
                path.write_text(text, encoding="utf-8", errors="backslashreplace")
                return path
        except OSError:
            continue
    return None
