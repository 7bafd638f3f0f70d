"""Which of many texts came first: 16 bytes of each are held, and not the text."""

from __future__ import annotations

import hashlib
from array import array

_DIGEST = 16
_LEAST = 1024


class Firsts:
    """Numbers texts from 0 on; a text that came before has its number already."""

    def __init__(self) -> None:
        self._digests = bytearray()
        # Open addressing: 1 + the number of the text whose place this is, 0 where it is free.
        self._slots = array("I", bytes(_LEAST * array("I").itemsize))

    def __len__(self) -> int:
        return len(self._digests) // _DIGEST

    def number(self, text: str) -> int:
        """The number of a text: `len` before the call, where it is new."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
        at = self._slot(digest)
        if self._slots[at]:
            return self._slots[at] - 1
        self._digests += digest
        self._slots[at] = len(self)
        if len(self) * 2 > len(self._slots):
            self._grow()
        return len(self) - 1

    def _slot(self, digest: bytes | bytearray) -> int:
        """Where a digest is, or where it goes."""
        last = len(self._slots) - 1
        at = int.from_bytes(digest[:8]) & last
        while taken := self._slots[at]:
            if self._digests[(taken - 1) * _DIGEST : taken * _DIGEST] == digest:
                break
            at = (at + 1) & last
        return at

    def _grow(self) -> None:
        self._slots = array("I", bytes(2 * len(self._slots) * self._slots.itemsize))
        for number in range(len(self)):
            self._slots[self._slot(self._digests[number * _DIGEST : (number + 1) * _DIGEST])] = number + 1
