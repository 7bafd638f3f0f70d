"""Damaged rows of a sound file: counted, told, and kept beside it before they are written anew."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

NAME = "damaged.jsonl"
MOST_KEPT = 1000
"""Rows of one process that are kept aside; more than that is no accident, and helps nobody."""
LONGEST_KEPT = 1_000_000
"""Characters of a row that are kept."""

log = logging.getLogger(__name__)


class Aside:
    """Takes the damaged rows of one open cache."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.rows = 0
        """How many were found."""

    def put(self, key: str, found: object) -> None:
        """Keep what a row holds, as text; the first one is told at once, the others at the end."""
        self.rows += 1
        kept = self.rows <= MOST_KEPT and self._write(key, found)
        if self.rows == 1:
            copy = f", copy at {self._path}" if kept else ""
            log.warning("cache damaged: entry %s dropped, it is asked anew%s", key[:12], copy)

    def tell(self, entries: int) -> None:
        """Say how many there were, of how many entries."""
        if self.rows > 1:
            log.warning("cache damaged: %d of %d entries dropped, copy at %s", self.rows, entries, self._path)

    def _write(self, key: str, found: object) -> bool:
        row = found if isinstance(found, str) else repr(found)
        line = json.dumps({"key": key, "row": row[:LONGEST_KEPT]})
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, f"{line}\n".encode())
            finally:
                os.close(descriptor)
        except OSError:
            # A copy of what cannot be used is no reason to stop.
            return False
        return True
