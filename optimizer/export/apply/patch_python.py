"""Change one text constant of a Python module, and not one byte besides.

The constant is found by `ast`, its literal is replaced, and the module is parsed again: the tree must be the old one
but for that one constant. Nothing of the module is ever run.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from functools import partial

from optimizer.errors import UserError
from optimizer.export.apply import keys, python_text
from optimizer.export.apply.keys import Node, Value
from optimizer.export.apply.python_names import outline

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def find(source: str, key: str) -> Value:
    """The text constant at a key: `TRIAGE_SYSTEM`, `PROMPTS.triage.system`, `Settings.SYSTEM`.

    Raises UserError where there is none, where it is made at run time, or where the file is not Python.
    """
    module = _parse(source)
    texts: list[ast.Constant] = []
    root = outline(module, texts)
    way = keys.walk(root, key, step=_refuse, elsewhere=_spread)
    node = way.node
    if node.kind != keys.TEXT:
        raise UserError(f"key {way.key}: {node.kind} (line {node.line}; only a text literal can be changed)")
    constant = texts[node.start]
    role = texts[way.role.start].value if way.role is not None and way.role.kind == keys.TEXT else ""
    return Value(
        key=way.key,
        role=str(role) or way.path[-1],
        text=str(constant.value),
        put=partial(_put, source, module, constant, way.key),
    )


def patch(source: str, key: str, text: str) -> str:
    """The file with the constant at `key` set to `text`."""
    return find(source, key).put(text)


def _refuse(node: Node, where: str) -> None:
    if node.kind.startswith("!"):
        raise UserError(f"{where}: {node.kind[1:]}")


def _spread(node: Node) -> str:
    return node.elsewhere


def _put(source: str, module: ast.Module, constant: ast.Constant, key: str, text: str) -> str:
    start, end = _span(source, constant)
    number = next(index for index, node in enumerate(ast.walk(module)) if node is constant)
    pieces = python_text.pieces(source[start:end])
    if pieces is None:
        raise UserError(
            f"key {key}: the text is put together of several literals with comments between them, which would go "
            f"(line {constant.lineno}; make it one literal first)"
        )
    wanted = _blank(module, number, str(constant.value))
    for new in python_text.ways(source, start, pieces, text):
        made = source[:start] + new + source[end:]
        try:
            after = _parse(made)
        except UserError:
            continue
        if wanted is not None and _blank(after, number, text) == wanted:
            return made
    raise UserError(f"key {key}: the file cannot hold this text there (line {constant.lineno})")


def _blank(module: ast.Module, number: int, text: str) -> str | None:
    """The tree without the text of constant `number`, as words; None where that does not say `text`."""
    node = next((node for index, node in enumerate(ast.walk(module)) if index == number), None)
    if not isinstance(node, ast.Constant) or type(node.value) is not str or node.value != text:
        return None
    value, kind = node.value, node.kind
    node.value, node.kind = "", None
    try:
        return ast.dump(module)
    except RecursionError:
        raise UserError("the file is nested too deeply to be compared") from None
    finally:
        node.value, node.kind = value, kind


def _span(source: str, constant: ast.Constant) -> tuple[int, int]:
    """Characters of the literal; `ast` counts in bytes of UTF-8."""
    raw = source.encode()
    starts = [found.start() for found in _LINE.finditer(raw)]
    first = starts[constant.lineno - 1] + constant.col_offset
    last = starts[(constant.end_lineno or 1) - 1] + (constant.end_col_offset or 0)
    return len(raw[:first].decode()), len(raw[:last].decode())


def _parse(source: str) -> ast.Module:
    try:
        name, _ = tokenize.detect_encoding(io.BytesIO(source.encode()).readline)
        if name not in {"utf-8", "utf-8-sig"}:
            raise UserError(f"the file says that its encoding is {name} (make it UTF-8)")
        with warnings.catch_warnings():
            # Odd escapes elsewhere in the file are its owner's affair.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise UserError(f"the file is not Python: {line}{error.msg} (mend it first)") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"the file cannot be read as Python: {str(error)[:200] or 'nested too deeply'}") from None
