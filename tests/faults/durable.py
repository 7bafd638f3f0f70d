"""What a power loss leaves: data as at the last sync of their file, names as at the last sync of their folder.

The strictest reading of POSIX: a file that was never synced is empty, a name whose folder was never synced is gone.
SQLite syncs its log at each commit (`synchronous = FULL`, which is checked there) and the folder once a log is made.
"""

from __future__ import annotations

import os
from pathlib import Path

LOG = "-wal"


class Disk:
    """Follows one workspace from the outside: told after each call that changes files."""

    def __init__(self, root: Path) -> None:
        """Take all that is there for durable."""
        self._root = root
        self._data: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._logs: set[int] = set()
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            self._sync_folder(folder)
            for path in folder.iterdir():
                if path.is_file():
                    self._sync_file(path)

    def after(self, what: str, path: Path) -> None:
        """Something was done to a path."""
        if what == "fsync":
            self._sync_folder(path) if path.is_dir() else self._sync_file(path)
        elif what in ("commit", "vacuum", "mode", "close"):
            self._sync_database(path)

    def leave(self, target: Path) -> None:
        """Write what is durable to a folder."""
        self._leave(os.stat(self._root).st_ino, target)

    def _leave(self, folder: int, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name, inode in self._names.get(folder, {}).items():
            if inode in self._names:
                self._leave(inode, target / name)
            else:
                (target / name).write_bytes(self._data.get(inode, b""))

    def _sync_file(self, path: Path) -> None:
        self._data[os.stat(path).st_ino] = path.read_bytes()

    def _sync_folder(self, folder: Path) -> None:
        found = {path.name: (path.stat().st_ino, path.is_dir()) for path in folder.iterdir()}
        for inode, is_folder in found.values():
            if is_folder:
                self._names.setdefault(inode, {})
        self._names[os.stat(folder).st_ino] = {name: inode for name, (inode, _) in found.items()}

    def _sync_database(self, path: Path) -> None:
        log = path.with_name(path.name + LOG)
        for one in (path, log):
            if one.exists():
                self._sync_file(one)
        if log.exists() and (inode := os.stat(log).st_ino) not in self._logs:
            self._logs.add(inode)
            self._sync_folder(path.parent)
