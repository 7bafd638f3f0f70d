"""Change one text value of a YAML (or JSON) file, and not one byte besides.

The file is never dumped. The value is found by the parser's own marks, its characters are replaced, and the result
is parsed again: every event but the one value must be what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import UserError
from optimizer.export.apply import yaml_text
from optimizer.readers.base import near

STR_TAG = "tag:yaml.org,2002:str"
_INDEX = re.compile(r"\[(\d+)\]")
_DOCUMENT = re.compile(r"(\d{1,4}):(.*)", re.DOTALL)


@dataclass(kw_only=True, slots=True)
class Node:
    """One value of the file."""

    event: Any
    """The parser's event."""
    flow: bool
    """True inside `{}` or `[]`, where no block scalar may stand."""
    number: int
    """Index of its event."""
    keys: list[tuple[Node, Node]] = field(default_factory=list)
    """Of a mapping: (key, value) in file order."""
    items: list[Node] = field(default_factory=list)
    """Of a list."""

    @property
    def kind(self) -> str:
        """`scalar`, `mapping`, `sequence` or `alias`."""
        return type(self.event).__name__.removesuffix("Event").removesuffix("Start").lower()

    @property
    def line(self) -> int:
        """Line on which it begins, from 1."""
        return int(self.event.start_mark.line) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """The text value that a key leads to."""

    key: str
    """The key, as the file has it."""
    role: str
    """What the file calls it: the `role` that stands beside it, else the key's last part."""
    text: str
    """What the value is now."""
    node: Node
    """Where it stands."""
    events: list[Any]
    """What the parser says of the whole file."""


def find(source: str, key: str) -> Value:
    """The text value at a dotted key.

    Args:
        source: the file.
        key: `llm.prompts.triage.system`, `prompts.0.content`, `1:a.b` for the second of several documents.

    Raises UserError where there is none, or where changing it would change something else too.
    """
    events = list(_events(source))
    documents = _documents(events)
    number, rest = _which_document(documents, key)
    parent, node, path = _walk(documents[number], _INDEX.sub(r".\1", rest).split("."))
    shown = ".".join(path)
    if node.kind != "scalar":
        choices = ", ".join(_choices(node)) or "nothing"
        raise UserError(f"key {shown}: a {_called(node)}, not text (add one of: {choices})")
    _refuse_tag(node, shown)
    if _tag(node) != STR_TAG:
        held = "nothing" if _tag(node).endswith(":null") else "a value that YAML does not read as text"
        raise UserError(f'key {shown}: holds {held} (line {node.line}; put text in quotes there first, "" will do)')
    prefix = f"{number}:" if len(documents) > 1 else ""
    return Value(key=prefix + shown, role=_role(parent, path[-1]), text=node.event.value, node=node, events=events)


def patch(source: str, key: str, text: str) -> str:
    """The file with the value at `key` set to `text`, in the value's own style where that can hold it.

    Raises UserError where the key leads to no text, or the text cannot stand there.
    """
    return put(source, find(source, key), text)


def put(source: str, value: Value, text: str) -> str:
    """The same for a value that was found before."""
    for candidate in yaml_text.ways(source, _span(source, value.node), text):
        if _only_change(value.events, candidate, value.node.number, text):
            return candidate
    raise UserError(f"key {value.key}: the file cannot hold this text there (line {value.node.line})")


def _only_change(before: list[Any], candidate: str, number: int, text: str) -> bool:
    """True where the candidate parses to the same events, with `text` as the value of event `number`."""
    import yaml

    try:
        after = list(_events(candidate))
    except (UserError, yaml.YAMLError):
        return False
    if len(after) != len(before):
        return False
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if index == number:
            if type(new) is not type(old) or new.value != text or _resolved(new) != STR_TAG:
                return False
        elif _facts(old) != _facts(new):
            return False
    return True


def _facts(event: Any) -> tuple[Any, ...]:
    names = ("anchor", "tag", "implicit", "value", "style", "flow_style", "explicit", "version", "tags")
    return (type(event), *(getattr(event, name, None) for name in names))


def _events(source: str) -> Iterator[Any]:
    import yaml

    try:
        yield from yaml.parse(source, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"the file is not YAML: {line}{error.problem or error.context} (mend it first)") from None
    except (yaml.reader.ReaderError, ValueError, OverflowError) as error:
        raise UserError(f"the file is not YAML: {str(error).splitlines()[0]} (mend it first)") from None


def _documents(events: list[Any]) -> list[Node]:
    """The root node of each document, built without recursion."""
    roots: list[Node] = []
    stack: list[Node] = []
    waiting: list[Node | None] = []
    for number, event in enumerate(events):
        name = type(event).__name__
        if name in {"MappingEndEvent", "SequenceEndEvent"}:
            stack.pop()
            waiting.pop()
        if name not in {"MappingStartEvent", "SequenceStartEvent", "ScalarEvent", "AliasEvent"}:
            continue
        flow = bool(stack) and (stack[-1].flow or bool(stack[-1].event.flow_style))
        node = Node(event=event, flow=flow, number=number)
        if not stack:
            roots.append(node)
        elif stack[-1].kind == "sequence":
            stack[-1].items.append(node)
        elif waiting[-1] is None:
            waiting[-1] = node
        else:
            stack[-1].keys.append((waiting[-1], node))
            waiting[-1] = None
        if name in {"MappingStartEvent", "SequenceStartEvent"}:
            stack.append(node)
            waiting.append(None)
    if not roots:
        raise UserError("the file holds no values (write the key there first)")
    return roots


def _which_document(documents: list[Node], key: str) -> tuple[int, str]:
    if len(documents) == 1:
        return 0, key
    found = _DOCUMENT.fullmatch(key)
    if found is None or int(found.group(1)) >= len(documents):
        example = f"--key 0:{key.lstrip('0123456789:')}"
        raise UserError(f"key {key}: the file holds {len(documents)} documents (say which, from 0: {example})")
    return int(found.group(1)), found.group(2)


def _role(parent: Node, last: str) -> str:
    """Of `{role: user, content: ...}` the role, of any other entry its key."""
    beside = [value for key, value in parent.keys if key.kind == "scalar" and key.event.value == "role"]
    told = beside[0].event.value if len(beside) == 1 and beside[0].kind == "scalar" else ""
    return told if told and last != "role" else last


def _walk(root: Node, parts: list[str]) -> tuple[Node, Node, list[str]]:
    """Follow the key from the root; (what holds the value, the value, parts as the file has them)."""
    parent, node = root, root
    path: list[str] = []
    _refuse_shared(node, "the document")
    while parts:
        if node.kind == "sequence":
            step, found, used = parts[0], _item(node, parts[0], path), 1
        elif node.kind == "mapping":
            step, found, used = _member(node, parts, path)
        else:
            raise UserError(f"key {'.'.join(path)}: holds a value, and nothing below it (line {node.line})")
        parent, node, path, parts = node, found, [*path, step], parts[used:]
        _refuse_shared(node, f"key {'.'.join(path)}")
    return parent, node, path


def _item(node: Node, part: str, path: list[str]) -> Node:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(node.items):
        last = len(node.items) - 1
        raise UserError(
            f"key {'.'.join(path) or 'the document'}: a list, and {part!r} is none of its items (they are 0 to {last})"
        )
    return node.items[int(part)]


def _member(node: Node, parts: list[str], path: list[str]) -> tuple[str, Node, int]:
    """The value of the first key that the parts name; a key of the file may hold dots itself."""
    for used in range(1, len(parts) + 1):
        name = ".".join(parts[:used])
        found = [value for key, value in node.keys if key.kind == "scalar" and key.event.value == name]
        if len(found) > 1:
            lines = " and ".join(str(value.line) for value in found)
            raise UserError(f"key {'.'.join([*path, name])}: stands there twice (lines {lines}; take one out)")
        if found:
            return name, found[0], used
    raise _missing(node, parts[0], path)


def _missing(node: Node, part: str, path: list[str]) -> UserError:
    where = f"under {'.'.join(path)}" if path else "at the top"
    if any(key.kind == "scalar" and key.event.value == "<<" and key.event.style is None for key, _ in node.keys):
        return UserError(
            f"key {'.'.join([*path, part])}: not written {where}; it may come from a merge key (<<), and changing "
            "that would change other places too (write the key out there, or name the place it comes from)"
        )
    names = _choices(node)
    match = near(part, names)
    hint = f"did you mean {match!r}? " if match else ""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return UserError(f"no key {part!r} {where} ({hint}there are: {listed or 'none'})")


def _choices(node: Node) -> list[str]:
    if node.kind == "sequence":
        return [str(index) for index in range(len(node.items))]
    return [key.event.value for key, _ in node.keys if key.kind == "scalar"]


def _refuse_shared(node: Node, where: str) -> None:
    """Refuse what stands, or may stand, in more than one place."""
    anchor = node.event.anchor
    if node.kind == "alias":
        raise UserError(
            f"{where}: an alias (*{anchor}, line {node.line}); changing it would change every place that uses it "
            "(write the text out there first)"
        )
    if anchor is not None:
        raise UserError(
            f"{where}: carries the anchor &{anchor} (line {node.line}), so other places may use it "
            "(take the anchor away, or write the text out where it is used)"
        )


def _refuse_tag(node: Node, where: str) -> None:
    tag = node.event.tag
    if tag not in (None, "!", STR_TAG):
        raise UserError(
            f"key {where}: the value carries the tag {tag} (line {node.line}), so what it means is decided elsewhere"
        )


def _tag(node: Node) -> str:
    return _resolved(node.event)


def _resolved(event: Any) -> str:
    """The tag that a safe loader would give a scalar."""
    import yaml

    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    resolver: Any = yaml.SafeLoader("")
    return str(resolver.resolve(yaml.ScalarNode, event.value, event.implicit))


def _called(node: Node) -> str:
    return "list" if node.kind == "sequence" else node.kind


def _span(source: str, node: Node) -> yaml_text.Span:
    """Characters of the scalar itself, a tag before it left out."""
    import yaml

    end = node.event.end_mark.index
    for token in yaml.scan(source, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken) and token.end_mark.index == end:
            start = token.start_mark
            return yaml_text.Span(
                start=start.index,
                end=end,
                style=token.style,
                column=start.column,
                flow=node.flow,
                old=node.event.value,
            )
    raise UserError(f"line {node.line}: holds nothing (put text in quotes there first)")
