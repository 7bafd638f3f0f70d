"""What a config file says, read without any code of the package under test."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import yaml

_COMMENT_OR_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TEXT_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])')


class _AnyTag(yaml.SafeLoader):
    """Keeps a tag that it does not know, with what it stands on."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return ("tag", suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return ("tag", suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return ("tag", suffix, loader.construct_mapping(node, deep=True))


_AnyTag.add_multi_constructor("!", _tagged)


def read(ending: str, raw: bytes) -> Any:
    """The file as plain values: a YAML file is a list of documents, a Python module its names."""
    text = raw.decode("utf-8-sig")
    if ending == ".yaml":
        return list(yaml.load_all(text, Loader=_AnyTag))
    if ending == ".toml":
        return tomllib.loads(text)
    if ending == ".py":
        names: dict[str, Any] = {}
        # Of our own making, and the only judge of what Python would say.
        exec(compile(text, "settings", "exec", dont_inherit=True), names)  # noqa: S102
        return {name: _plain(value) for name, value in names.items() if _is_data(name, value)}
    bare = _COMMENT_OR_TEXT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return json.loads(_TEXT_OR_COMMA.sub(lambda found: found[0] if found[0][0] == '"' else " ", bare))


def _is_data(name: str, value: Any) -> bool:
    return not name.startswith("__") and isinstance(value, str | int | float | dict | list | tuple | type | None)


def _plain(value: Any) -> Any:
    if isinstance(value, type):
        return {name: inner for name, inner in vars(value).items() if _is_data(name, inner)}
    return value


def taken_out(tree: Any, path: tuple[str | int, ...]) -> tuple[Any, Any]:
    """The value at a path, and the tree with nothing in its place."""
    if not path:
        return tree, None
    step, rest = path[0], path[1:]
    if isinstance(tree, dict):
        value, without = taken_out(tree[step], rest)
        return value, {key: without if key == step else inner for key, inner in tree.items()}
    value, without = taken_out(tree[step], rest)
    return value, [without if index == step else inner for index, inner in enumerate(tree)]
