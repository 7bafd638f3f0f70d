"""What of a Python module can be named by a key: names of the module and of its classes, and keys of their dicts.

A name counts only where the file alone says what it is: bound once, at the top of its scope, by a literal.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from optimizer.export.apply import keys
from optimizer.export.apply.keys import Node

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_CHANGING = frozenset({"update", "setdefault", "pop", "popitem", "clear", "append", "extend", "insert", "remove"})
_CALLED: Mapping[type[ast.expr], str] = {
    ast.JoinedStr: "an f-string, which is filled in when the module is loaded",
    ast.BinOp: "put together by an operator (+ or %)",
    ast.IfExp: "chosen by a condition",
    ast.Await: "awaited",
    ast.Lambda: "a function",
    ast.Attribute: "an attribute of something else",
    ast.Subscript: "an item of something else",
    ast.DictComp: "a comprehension",
    ast.ListComp: "a comprehension",
    ast.Set: "a set",
}


def outline(module: ast.Module, texts: list[ast.Constant]) -> Node:
    """The names of a module as a tree.

    Args:
        module: the module.
        texts: filled with the constants; a text node's `start` is the index of its own.

    A value that cannot be changed is a node whose kind says what it is; one that must not be walked through has a
    kind that begins with `!`.
    """
    root = Node(kind=keys.MAPPING, line=1)
    _scope(module.body, root, texts, outside=module.body)
    return root


def _scope(body: Sequence[ast.stmt], into: Node, texts: list[ast.Constant], outside: Sequence[ast.stmt]) -> None:
    """Names that a module or a class binds."""
    bound: dict[str, list[int]] = {}
    for name, line in _bindings(body):
        bound.setdefault(name, []).append(line)
    at_top = {}
    for statement in body:
        for name, node in _named(statement, texts):
            at_top[name] = node
    for statement in outside:
        for name, line in _later(statement):
            if name in bound:
                bound[name].append(line)
    for name, lines in bound.items():
        into.entries.append((name, _settled(at_top.get(name), sorted(lines))))


def _settled(node: Node | None, lines: list[int]) -> Node:
    """The node, unless the name may mean something else when the module is loaded."""
    if len(lines) > 1:
        told = " and ".join(map(str, lines[:3]))
        kind = f"!bound or changed more than once (lines {told}), so what it is cannot be told from the file"
        return Node(kind=kind, line=lines[0])
    if node is None:
        return Node(kind="bound under a condition, in a loop or by an import", line=lines[0])
    return node


def _named(statement: ast.stmt, texts: list[ast.Constant]) -> Iterator[tuple[str, Node]]:
    if isinstance(statement, ast.ClassDef):
        node = Node(kind=keys.MAPPING, line=statement.lineno)
        _scope(statement.body, node, texts, outside=())
        yield statement.name, node
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name, Node(kind="a function", line=statement.lineno)
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, _value(statement.value, texts)
    elif isinstance(statement, ast.Assign):
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        if len(statement.targets) == 1 and names:
            yield names[0], _value(statement.value, texts)
        for name in names if len(statement.targets) > 1 else ():
            yield name, Node(kind="!bound together with other names, which would change too", line=statement.lineno)


def _value(value: ast.expr, texts: list[ast.Constant], depth: int = 0) -> Node:
    line = value.lineno
    if isinstance(value, ast.Constant):
        texts.append(value)
        return Node(kind=_constant(value), line=line, start=len(texts) - 1)
    if isinstance(value, ast.List | ast.Tuple) and depth < keys.DEEPEST:
        if any(isinstance(item, ast.Starred) for item in value.elts):
            return Node(kind="a list into which * puts other values", line=line)
        return Node(kind=keys.LIST, line=line, items=[_value(item, texts, depth + 1) for item in value.elts])
    if isinstance(value, ast.Dict) and depth < keys.DEEPEST:
        return _dict(value, texts, depth)
    if isinstance(value, ast.Call):
        return Node(kind=f"what a call returns ({ast.unparse(value.func)[:60]})", line=line)
    if isinstance(value, ast.Name):
        return Node(kind=f"another name, {value.id}, whose own value can be changed", line=line)
    return Node(kind=_CALLED.get(type(value), "an expression"), line=line)


def _dict(value: ast.Dict, texts: list[ast.Constant], depth: int) -> Node:
    node = Node(kind=keys.MAPPING, line=value.lineno)
    spread = max((index for index, key in enumerate(value.keys) if key is None), default=-1)
    for index, (key, inner) in enumerate(zip(value.keys, value.values, strict=True)):
        if key is None:
            node.elsewhere = f"it may come from what ** puts in there (line {inner.lineno}; name that place)"
        elif isinstance(key, ast.Constant) and isinstance(key.value, str | int):
            made = _value(inner, texts, depth + 1)
            if index < spread:
                line = inner.lineno
                made = Node(kind="!followed by ** in its dict, which may put another value there", line=line)
            node.entries.append((str(key.value), made))
    return node


def _constant(value: ast.Constant) -> str:
    if isinstance(value.value, str):
        return keys.TEXT
    if isinstance(value.value, bytes):
        return "bytes, not text"
    return "None" if value.value is None else f"{value.value!r}, not text"[:60]


def _bindings(body: Sequence[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Each name that a scope binds or changes, with its line; inner functions and classes are scopes of their own."""
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id, node.lineno
        if isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0], node.lineno
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node.lineno
        if isinstance(node, ast.comprehension):
            stack += [node.iter, *node.ifs]
        elif not isinstance(node, _SCOPES):
            stack += reversed(list(ast.iter_child_nodes(node)))


def _later(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """Names that a module changes from within a function (`global`) or by an item, an attribute or a method."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Global):
            yield from ((name, node.lineno) for name in node.names)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _root(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
            yield from _root(node.func)


def _root(node: ast.expr) -> Iterator[tuple[str, int]]:
    line = node.lineno
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id, line
