"""Change one text value of a YAML file, and not one byte besides.

The file is never dumped. The value is found by the parser's own marks, its characters are replaced, and the result
is parsed again: every event but the one value must be what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optimizer.errors import UserError
from optimizer.export.apply import keys, yaml_text
from optimizer.export.apply.keys import Value

STR_TAG = "tag:yaml.org,2002:str"
_DOCUMENT = re.compile(r"(\d{1,4}):(.*)", re.DOTALL)
_KINDS = {"MappingStartEvent": keys.MAPPING, "SequenceStartEvent": keys.LIST, "ScalarEvent": keys.TEXT}


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
        """`mapping`, `list`, `text` or `alias`."""
        return _KINDS.get(type(self.event).__name__, "alias")

    @property
    def entries(self) -> list[tuple[str, Node]]:
        """Of a mapping: (key, value), keys that are no scalars left out."""
        return [(key.event.value, value) for key, value in self.keys if key.kind == keys.TEXT]

    @property
    def line(self) -> int:
        """Line on which it begins, from 1."""
        return int(self.event.start_mark.line) + 1


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
    way = keys.walk(documents[number], rest, step=partial(_refuse_shared, events), elsewhere=partial(_merged, events))
    node = way.node
    _refuse_tag(node, way.key)
    if _tag(node) != STR_TAG:
        held = "nothing" if _tag(node).endswith(":null") else "a value that YAML does not read as text"
        raise keys.not_text(way.key, held, node.line)
    prefix = f"{number}:" if len(documents) > 1 else ""
    role = way.role.event.value if way.role is not None and way.role.kind == keys.TEXT else ""
    return Value(
        key=prefix + way.key,
        role=role or way.path[-1],
        text=node.event.value,
        put=partial(_put, source, events, node, prefix + way.key),
    )


def patch(source: str, key: str, text: str) -> str:
    """The file with the value at `key` set to `text`, in the value's own style where that can hold it.

    Raises UserError where the key leads to no text, or the text cannot stand there.
    """
    return find(source, key).put(text)


def _put(source: str, events: list[Any], node: Node, key: str, text: str) -> str:
    for candidate in yaml_text.ways(source, _span(source, node), text):
        if _only_change(events, candidate, node.number, text):
            return candidate
    raise UserError(f"key {key}: the file cannot hold this text there (line {node.line})")


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

    depth = 0
    try:
        for event in yaml.parse(source, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > keys.DEEPEST:
                raise UserError("the file is nested too deeply to be read")
            yield event
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
        elif stack[-1].kind == keys.LIST:
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


def _merged(events: list[Any], node: Node) -> str:
    """Where a key that a mapping lacks may come from, if it has a merge key."""
    merges = [value for key, value in node.keys if key.kind == keys.TEXT and _is_merge(key.event)]
    if not merges:
        return ""
    used = [one for merge in merges for one in (merge, *merge.items) if one.kind == "alias"]
    anchors = ", ".join(f"&{one.event.anchor} on line {_anchor_line(events, one)}" for one in used)
    return (
        f"it may come from the merge key << (line {merges[0].line}{f'; the anchor {anchors}' if anchors else ''}), and "
        "changing that would change other places too (write the key out there, or name the place it comes from)"
    )


def _is_merge(event: Any) -> bool:
    return bool(event.value == "<<" and event.style is None)


def _refuse_shared(events: list[Any], node: Node, where: str) -> None:
    """Refuse what stands, or may stand, in more than one place."""
    anchor = node.event.anchor
    if node.kind == "alias":
        raise UserError(
            f"{where}: an alias (*{anchor}, line {node.line}) of the anchor &{anchor} on line "
            f"{_anchor_line(events, node)}; changing it would change every place that uses it "
            "(write the text out there first)"
        )
    if anchor is not None:
        raise UserError(
            f"{where}: carries the anchor &{anchor} (line {node.line}), so other places may use it "
            "(take the anchor away, or write the text out where it is used)"
        )


def _anchor_line(events: list[Any], alias: Node) -> int:
    """Line of the anchor that an alias means: the last one of that name before it."""
    lines = [
        event.start_mark.line + 1
        for event in events[: alias.number]
        if getattr(event, "anchor", None) == alias.event.anchor and type(event).__name__ != "AliasEvent"
    ]
    return int(lines[-1]) if lines else 0


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
