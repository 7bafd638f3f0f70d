"""Two readings of a file, before and after: equal everywhere but at one place."""

from __future__ import annotations

from typing import Any


def only_change(before: Any, after: Any, path: tuple[str | int, ...], text: str) -> bool:
    """True where `after` has `text` at `path` and is otherwise what `before` is: types, order and all.

    Args:
        before: what the format's own reader made of the file: dicts, lists and values.
        after: the same of the new file.
        path: keys and indices from the root.
        text: the new value.
    """
    met = False
    stack: list[tuple[Any, Any, tuple[str | int, ...]]] = [(before, after, ())]
    while stack:
        old, new, here = stack.pop()
        if type(old) is not type(new):
            return False
        if here == path:
            met = True
            if not isinstance(new, str) or new != text:
                return False
        elif isinstance(old, dict):
            if list(old) != list(new):
                return False
            stack += [(old[key], new[key], (*here, key)) for key in old]
        elif isinstance(old, list):
            if len(old) != len(new):
                return False
            stack += [(one, other, (*here, index)) for index, (one, other) in enumerate(zip(old, new, strict=True))]
        elif repr(old) != repr(new):
            # Not by ==: it holds 0.0 for -0.0, two times in other zones for one, and nan for something else.
            return False
    return met


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path. Raises KeyError, IndexError or TypeError where there is none."""
    for step in path:
        tree = tree[step]
    return tree
