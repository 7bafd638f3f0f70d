"""Which keys a file cannot hold: asked before the file is, since every look into it costs a call half as much again."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 50_000
"""Keys that are worth reading at the start: they take some 30 ms of CPU, and one in forty others is taken for known."""
_BITS = 1 << 21


class Keys:
    """A Bloom filter with one hash: what it does not know is not there, what it knows may be there.

    Bloom, Space/time trade-offs in hash coding with allowable errors (1970).
    """

    def __init__(self, keys: Iterable[object] = ()) -> None:
        self._bits = bytearray(_BITS // 8)
        for key in keys:
            self.add(key)

    def add(self, key: object) -> None:
        """Know a key."""
        place = hash(key) % _BITS
        self._bits[place >> 3] |= 1 << (place & 7)

    def may_hold(self, key: object) -> bool:
        """False for a key that was never added."""
        place = hash(key) % _BITS
        return bool(self._bits[place >> 3] & 1 << (place & 7))
