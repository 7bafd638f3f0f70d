"""Where the values of a TOML file stand. The standard library reads TOML and does not tell.

The file is known to be TOML: `tomllib` has read it. What is found here decides which characters are replaced, and
`tomllib` reads the result again, so that a mistake here is a refusal and never a wrong file.
"""

from __future__ import annotations

import re

from optimizer.errors import UserError
from optimizer.export.apply import keys
from optimizer.export.apply.keys import Node

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
TEXTS = {
    '"""': re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', re.DOTALL),
    "'''": re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    '"': re.compile(r'"(?:\\.|[^"\\\n])*"'),
    "'": re.compile(r"'[^'\n]*'"),
}
"""Opening quotes -> the whole text."""
_OTHER = re.compile(r"[^,\]}#\r\n]+")


def scan(source: str) -> Node:
    """The tree of a TOML file. Raises UserError where it holds what this scan does not know."""
    return _Scan(source).document()


def opening(source: str, place: int) -> str:
    """The quotes with which a text begins there; empty where none does."""
    return next((quotes for quotes in TEXTS if source.startswith(quotes, place)), "")


class _Scan:
    def __init__(self, source: str) -> None:
        self.source = source
        self.place = 0
        self.root = Node(kind=keys.MAPPING, line=1)
        self._known: dict[tuple[str | int, ...], Node] = {(): self.root}
        self._line, self._counted = 1, 0

    def document(self) -> Node:
        table = self.root
        while self._at() < len(self.source):
            if self._take("[["):
                table = self._item_of(self._table(self._key()))
                self._end("]]")
            elif self._take("["):
                table = self._table(self._key())
                self._end("]")
            else:
                self._pair(table)
        return self.root

    def _pair(self, table: Node, depth: int = 0) -> None:
        parts = self._key()
        for part in parts[:-1]:
            table = self._child(table, part)
        self._end("=")
        self._skip()
        node = self._value((*table.path, parts[-1]), depth)
        table.entries.append((parts[-1], node))

    def _value(self, path: tuple[str | int, ...], depth: int) -> Node:
        if depth > keys.DEEPEST:
            raise UserError("the file is nested too deeply to be read")
        start, line = self.place, self._here()
        quotes = opening(self.source, start)
        if quotes:
            self._match(TEXTS[quotes])
            return Node(kind=keys.TEXT, line=line, path=path, start=start, end=self.place, inline=depth > 0)
        if self._take("["):
            return self._list(Node(kind=keys.LIST, line=line, path=path), depth)
        if self._take("{"):
            return self._inline(Node(kind=keys.MAPPING, line=line, path=path), depth)
        other = self._match(_OTHER).strip()
        kind = "true or false" if other in {"true", "false"} else "a number or a date"
        return Node(kind=kind, line=line, path=path, start=start, end=self.place)

    def _list(self, node: Node, depth: int) -> Node:
        while self._at() < len(self.source) and not self._take("]"):
            if not self._take(","):
                node.items.append(self._value((*node.path, len(node.items)), depth + 1))
        return node

    def _inline(self, node: Node, depth: int) -> Node:
        self._known[node.path] = node
        while self._at() < len(self.source) and not self._take("}"):
            if not self._take(","):
                self._pair(node, depth + 1)
        return node

    def _table(self, parts: list[str]) -> Node:
        """The table that a header names; of a list of tables on the way, the last one."""
        table = self.root
        for part in parts[:-1]:
            table = self._child(table, part)
            table = table.items[-1] if table.items else table
        return self._child(table, parts[-1])

    def _child(self, table: Node, name: str) -> Node:
        path = (*table.path, name)
        if path not in self._known:
            self._known[path] = Node(kind=keys.MAPPING, line=self._here(), path=path)
            table.entries.append((name, self._known[path]))
        return self._known[path]

    def _item_of(self, array: Node) -> Node:
        """A new table at the end of a list of tables."""
        array.kind = keys.LIST
        array.items.append(Node(kind=keys.MAPPING, line=self._here(), path=(*array.path, len(array.items))))
        return array.items[-1]

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip()
            quotes = opening(self.source, self.place)
            found = self._match(TEXTS[quotes] if quotes else _BARE)
            parts.append(_unquoted(found) if quotes else found)
            self._skip()
            if not self._take("."):
                return parts

    def _at(self) -> int:
        """The place of the next sign, behind space, line ends and comments."""
        found = _BLANK.match(self.source, self.place)
        self.place = found.end() if found else self.place
        return self.place

    def _skip(self) -> None:
        found = _SPACE.match(self.source, self.place)
        self.place = found.end() if found else self.place

    def _take(self, sign: str) -> bool:
        if not self.source.startswith(sign, self.place):
            return False
        self.place += len(sign)
        return True

    def _end(self, sign: str) -> None:
        self._skip()
        if not self._take(sign):
            raise self._odd()

    def _match(self, wanted: re.Pattern[str]) -> str:
        found = wanted.match(self.source, self.place)
        if found is None:
            raise self._odd()
        self.place = found.end()
        return found.group()

    def _here(self) -> int:
        self._line += self.source.count("\n", self._counted, self.place)
        self._counted = self.place
        return self._line

    def _odd(self) -> UserError:
        return UserError(f"line {self._here()}: written in a way that is not known here (nothing is written)")


def _unquoted(quoted: str) -> str:
    """What a quoted key says, by the library itself."""
    import tomllib

    return str(tomllib.loads(f"key = {quoted}")["key"])
