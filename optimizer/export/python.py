"""Python: a module with the prompt as constants and `render(**values)`, which needs the standard library alone."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from optimizer.export.base import WHOLE, Exported, Loader, Parts, Piece, Variable, cut, facts, params, texts
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_HEAD = '''"""A prompt, written by a program: do not edit."""

import json
'''
_TAIL = '''

def render(**values: object) -> list[dict[str, str]]:
    """The messages with the values in them; what is not text goes in as JSON.

    Raises TypeError where a variable is missing or a name is none.
    """
    missing, extra = sorted(VARIABLES - values.keys()), sorted(values.keys() - VARIABLES)
    if missing or extra:
        raise TypeError(f"render() needs {sorted(VARIABLES)}: missing {missing}, unknown {extra}")
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        for name, value in values.items()
    }
    return [
        {"role": role, "content": "".join(texts[text] if kind == "variable" else text for kind, text in pieces)}
        for role, pieces in MESSAGES
    ]
'''


class Export:
    """One file. Its constants are literals, so that a formatter changes nothing that it says."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        about = facts(prompt, provenance)["provenance"]
        constants: dict[str, Any] = {
            "NAME": prompt.name,
            "VERSION": prompt.version,
            "SHA256": prompt.fingerprint,
            "MODEL": about.get("model"),
            "PARAMS": params(prompt),
            "PROVENANCE": about,
        }
        lines = [f"{name} = {_literal(value, 0)}" for name, value in constants.items()]
        # Python has no literal of an empty set.
        names = ", ".join(_string(name) for name in sorted(prompt.variables))
        lines.append(f"VARIABLES = frozenset({{{names}}})" if names else "VARIABLES = frozenset()")
        lines += ["MESSAGES = (", *(_message(role, pieces) for role, pieces in cut(prompt)), ")"]
        text = f"{_HEAD}\n" + "\n".join(lines) + f"\n{_TAIL}"
        return Exported(parts={WHOLE: text}, render=_render, loader=Loader(package="importlib", render=_load))


def _message(role: str, pieces: Sequence[Piece]) -> str:
    lines = ["    (", f"        {_string(role)},", "        ("]
    for piece in pieces:
        if isinstance(piece, Variable):
            lines.append(f'            ("variable", {_string(piece.name)}),')
            continue
        # A string a line, side by side: Python joins them.
        strings = [_string(line) for line in piece.splitlines(keepends=True)]
        if len(strings) == 1:
            lines.append(f'            ("text", {strings[0]}),')
            continue
        lines += ["            (", '                "text",', *(f"                {one}" for one in strings)]
        lines[-1] += ","
        lines.append("            ),")
    return "\n".join([*lines, "        ),", "    ),"])


def _literal(value: Any, indent: int) -> str:
    """A value as Python source: strings, numbers, lists, mappings."""
    inner = " " * (indent + 4)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping) and value:
        items = [f"{inner}{_string(str(key))}: {_literal(one, indent + 4)}," for key, one in value.items()]
        return "\n".join(["{", *items, " " * indent + "}"])
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return "\n".join(["[", *(f"{inner}{_literal(one, indent + 4)}," for one in value), " " * indent + "]"])
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(one, 0) for one in value)}]"
    return repr(value)


def _string(text: str) -> str:
    """A literal in the quotes that need the fewest escapes; what does not print is an escape."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    signs = {"\\": "\\\\", quote: f"\\{quote}", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return (
        quote + "".join(signs.get(sign) or (sign if sign.isprintable() else ascii(sign)[1:-1]) for sign in text) + quote
    )


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read without running it: the constants are literals, and the rest is ours to the letter."""
    (messages,) = [ast.literal_eval(node.value) for node in _constants(parts[WHOLE]) if _target(node) == "MESSAGES"]
    values = texts(inputs)
    return tuple(
        Message(role=role, content="".join(values[text] if kind == "variable" else text for kind, text in pieces))
        for role, pieces in messages
    )


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Import the module and call it; first it is held against what may stand in it, since importing runs it."""
    _constants(parts[WHOLE])
    spec = importlib.machinery.ModuleSpec("exported_prompt", _Source(parts[WHOLE]))
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    rendered: list[dict[str, str]] = module.render(**inputs)
    return tuple(Message(role=message["role"], content=message["content"]) for message in rendered)


class _Source(importlib.machinery.SourceFileLoader):
    """Source from memory, never written as bytecode."""

    def __init__(self, text: str) -> None:
        super().__init__("exported_prompt", "<exported prompt>")
        self._text = text

    def get_code(self, fullname: str) -> Any:
        """The compiled module."""
        return compile(self._text, self.path, "exec")


@lru_cache(maxsize=1)
def _constants(source: str) -> list[ast.Assign]:
    """The assignments. Raises ValueError where the module is more than constants and our own code."""
    tree = ast.parse(source)
    code = [ast.dump(node) for node in tree.body if not isinstance(node, ast.Assign)]
    if code != [ast.dump(node) for node in ast.parse(_HEAD + _TAIL).body]:
        raise ValueError("code that was not meant to be there")
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    for node in constants:
        if _target(node) == "VARIABLES" and isinstance(node.value, ast.Call):
            [ast.literal_eval(argument) for argument in node.value.args]
        else:
            ast.literal_eval(node.value)
    return constants


def _target(node: ast.Assign) -> str:
    return ast.unparse(node.targets[0])
