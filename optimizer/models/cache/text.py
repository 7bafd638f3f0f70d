"""diskcache's Disk for text alone. Imports diskcache: import it only where a cache is opened."""

from __future__ import annotations

import diskcache

from optimizer.models.cache.codec import TamperedRow
from optimizer.models.cache.table import RAW


class TextDisk(diskcache.Disk):  # type: ignore[misc]
    """Refuses every row that the stock Disk would unpickle, read from a file or delete a file for."""

    def __init__(self, directory: str, **_: object) -> None:
        super().__init__(directory)

    def put(self, key: object) -> tuple[str, bool]:
        """A key as the table holds it."""
        if type(key) is not str:
            raise TypeError("cache keys are text")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """A key from the table."""
        if not raw or type(key) is not str:
            raise TamperedRow("a key that is not text")
        return key

    def store(self, value: object, read: bool, key: object = None) -> tuple[int, int, None, str]:
        """A value as the table holds it: (size, mode, file name, value)."""
        if read or type(value) is not str:
            raise TypeError("cache values are text")
        return 0, RAW, None, value

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> str:
        """A value from the table."""
        if read or mode != RAW or filename is not None or type(value) is not str:
            raise TamperedRow("a value that is not text in the table")
        return value

    def filename(self, key: object = None, value: object = None) -> tuple[str, str]:
        """Refused: no value has a file."""
        raise TamperedRow("no row has a file")

    def remove(self, file_path: object) -> None:
        """Delete nothing: no row of ours has a file, so a name found in one is someone else's."""
