"""The config file on disk: which one is meant, read, replaced as a whole, and put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optimizer.errors import StoreError, UserError
from optimizer.export.apply import backup
from optimizer.readers import atomic
from optimizer.readers.base import check_file, fault, not_utf8, shown, wide_encoding

MOST_BYTES = 1024 * 1024
"""Size of a config file, at most."""


def locate(named: Path) -> Path:
    """The file that is meant, links followed.

    A link is followed as long as it stays where the user works: in the working folder, or for a file outside of it
    in that file's own folder. What a link hides beyond that would be written to without showing in any review.

    Raises UserError for a link that leads elsewhere.
    """
    try:
        here = Path.cwd()
        file = named.resolve()
        # As it is written, without its links.
        plain = Path(os.path.abspath(named))
        home = here if plain.is_relative_to(here) else named.parent.resolve()
        if file.is_relative_to(home):
            return file
    except (OSError, RuntimeError, ValueError):
        raise fault(named, "cannot be followed to a file", "check the path and its links") from None
    folder = "this folder" if home == here else str(home)
    raise UserError(f"{shown(named)}: a link out of {folder}, to {file} (name that file itself, if it is meant)")


def read(named: Path, file: Path) -> bytes:
    """The file's bytes, which are UTF-8. Raises DataError where they cannot be patched."""
    check_file(named, MOST_BYTES)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise fault(named, f"cannot be read: {error.strerror}", "check its permissions") from None
    if wide := wide_encoding(raw):
        raise fault(named, f"the file is {wide}, not UTF-8", "re-save it as UTF-8")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise fault(named, *not_utf8(raw, error), line=raw.count(b"\n", 0, error.start) + 1) from None
    return raw


def notes(file: Path) -> Iterator[str]:
    """What the user should know of the file itself."""
    if file.stat().st_nlink > 1:
        yield "the file has other names (hard links), which keep the old text"


def replace(file: Path, before: bytes, after: bytes, *, key: str = "", prompt: str = "", root: Path | None) -> None:
    """Write the file: it is the old one or the new one, whatever happens.

    Args:
        file: the file, links followed.
        before: what was read; anything else there is left alone.
        after: what shall be there.
        key: goes into the record.
        prompt: goes into the record.
        root: the workspace that keeps the record for `--undo`; None keeps none.

    Raises UserError where the file changed since it was read or may not be written, StoreError where the disk
    refuses.
    """
    name = shown(file)
    _check_rights(file)
    try:
        with _alone(file):
            if file.read_bytes() != before:
                raise UserError(f"{name}: changed while it was being patched; nothing is written (run it again)")
            if root is not None:
                backup.keep(root, file, before, after, key=key, prompt=prompt)
            atomic.replace(file, after.decode())
            if file.read_bytes() != after:
                raise StoreError(f"{name}: does not hold what was written (check the disk)")
    except OSError as error:
        raise StoreError(f"{name}: cannot be written: {error.strerror} (check space and rights)") from error


def _check_rights(file: Path) -> None:
    """Refuse what could be replaced by a rename, but should not be: rights and owner are kept."""
    name = shown(file)
    status = file.stat()
    if not status.st_mode & 0o222 or not os.access(file, os.W_OK):
        raise UserError(f"{name}: read-only (chmod u+w, if it may be changed)")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise UserError(f"{name}: its folder is read-only, so it cannot be replaced as a whole")
    me = getattr(os, "geteuid", lambda: 0)()
    if me == 0:
        return
    groups = {os.getegid(), *os.getgroups()}
    if status.st_uid != me or status.st_gid not in groups:
        raise UserError(f"{name}: belongs to another user or group, which a new file would not (let its owner do it)")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the file against other runs of this command; where locks are not to be had, go on without."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with file.open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            # Some network file systems have no locks; the comparison of the bytes still stands.
            yield
            return
        yield
