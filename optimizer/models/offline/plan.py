"""What a whole prompt asks for: the rules of its lines, the later line winning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from optimizer.models.offline.formats import key_line
from optimizer.models.offline.lines import read_line
from optimizer.models.offline.reviews import names_a_value
from optimizer.models.offline.rules import Ban, Bare, Case, Choices, Limit, Rule, Shape, Swap, When
from optimizer.models.offline.terms import IDENTIFIER, meaning_of, straight
from optimizer.models.offline.world import load, plain

LISTING = re.compile(r":\s*$|\bone of\s*$", re.IGNORECASE)
BULLET = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,2}[.)])\s+(?P<item>.+?)\s*$")


@dataclass(kw_only=True, slots=True)
class Plan:
    """The rules that stand when the whole prompt is read."""

    swaps: list[Swap] = field(default_factory=list)
    """At most one for a source and field."""
    bans: list[Ban] = field(default_factory=list)
    """Words never to be written."""
    shape: Shape | None = None
    """Form of the answer."""
    keys: tuple[str, ...] = ()
    """Keys of the JSON object."""
    bare: Bare | None = None
    """Nothing around the answer."""
    choices: list[Choices] = field(default_factory=list)
    """At most one for a field."""
    whens: list[When] = field(default_factory=list)
    """In the order of the prompt."""
    limits: dict[str, Limit] = field(default_factory=dict)
    """One for a unit."""
    case: Case | None = None
    """Letter case."""
    useless: int = 0
    """Lines that neither rule nor describe the task."""
    digest: str = ""
    """The prompt's text."""
    forced: bool = False
    """True where the request's `response_format` asks for JSON: that is never disobeyed."""

    def wants(self, kind: str) -> bool:
        """Whether any key, label list or condition is about `sentiment` or `business`."""
        named = [*self.keys, *(row.field or "" for row in self.choices), *(row.field or "" for row in self.whens)]
        tests = [row.test.kind for row in self.whens]
        return kind in tests or any(meaning_of(name) == kind for name in named if name)


@lru_cache(maxsize=2048)
def plan_of(lines: tuple[str, ...]) -> Plan:
    """Read all lines of a prompt. The plan is shared: it must not be changed."""
    plan = Plan(digest="\n".join(lines))
    merged = _merge_lists(lines)
    for line in merged:
        read = read_line(line)
        plan.useless += not read.useful and not _is_key(line)
        for rule in read.rules:
            _take(plan, rule)
    if plan.shape and plan.shape.kind == "json":
        _take_key_lines(plan, merged)
    return plan


def with_format(plan: Plan, response_format: Mapping[str, Any] | None) -> Plan:
    """The plan under a request's `response_format`; the plan itself where that asks for nothing."""
    if not response_format or response_format.get("type") not in ("json_object", "json_schema"):
        return plan
    schema = response_format.get("json_schema")
    schema = schema.get("schema", schema) if isinstance(schema, Mapping) else {}
    known = schema.get("properties") if isinstance(schema, Mapping) else None
    properties = {str(key): value for key, value in known.items()} if isinstance(known, Mapping) else {}
    lists = [
        Choices(field=key, values=tuple(map(str, row["enum"])))
        for key, row in properties.items()
        if isinstance(row, Mapping) and isinstance(row.get("enum"), list) and len(row["enum"]) > 1
    ]
    named = {row.field for row in lists}
    kept = [row for row in plan.choices if row.field not in named]
    return replace(
        plan,
        shape=Shape(kind="json"),
        keys=tuple(properties) or plan.keys,
        bare=Bare(),
        choices=[*kept, *lists],
        forced=True,
    )


def own_word(text: str) -> bool:
    """Whether the stand-in says this of its own accord: a person of the play, a sentiment, a kind of business."""
    return names_a_value(text) or plain(text) in _forms()


@lru_cache(maxsize=1)
def _forms() -> frozenset[str]:
    return frozenset(form for person in load()["play"]["people"].values() for form in person["forms"])


def _merge_lists(lines: Iterable[str]) -> list[str]:
    """Join a line that ends in a colon with the short bullets below it."""
    merged: list[str] = []
    heading = -1
    for line in lines:
        match = BULLET.match(line)
        if match and heading >= 0 and len(match["item"].split()) <= 4 and ":" not in match["item"]:
            merged[heading] += ("" if merged[heading].endswith(":") else ",") + " " + match["item"].rstrip(".,;")
            continue
        merged.append(line)
        heading = len(merged) - 1 if LISTING.search(line) else heading if not line.strip() else -1
    return merged


def _same(one: str | None, other: str | None) -> bool:
    return (one or "").casefold() == (other or "").casefold()


def _take(plan: Plan, rule: Rule) -> None:  # noqa: C901 (one branch a kind of rule)
    match rule:
        case Swap():
            _take_swap(plan, rule)
        case Ban():
            plan.bans = [ban for ban in plan.bans if not _same(ban.word, rule.word)]
            if rule.lifted:
                plan.swaps = [swap for swap in plan.swaps if not _same(swap.source, rule.word)]
            else:
                plan.bans.append(rule)
        case Shape():
            plan.keys = rule.keys or plan.keys
            if rule.kind != "keys":
                plan.shape = Shape(kind=rule.kind)
        case Bare():
            plan.bare = rule
        case Choices():
            plan.choices = [row for row in plan.choices if not _same(row.field, rule.field)] + [rule]
        case When():
            plan.whens = [row for row in plan.whens if (row.test, row.field) != (rule.test, rule.field)] + [rule]
        case Limit():
            plan.limits = {**plan.limits, rule.unit: rule}
        case Case():
            plan.case = rule


def _take_swap(plan: Plan, new: Swap) -> None:
    def scoped(old: Swap) -> bool:
        return _same(old.field, new.field)

    if new.denied:
        plan.swaps = [s for s in plan.swaps if not (_same(s.source, new.source) and _same(s.target, new.target))]
        return
    kept: list[Swap] = []
    for old in plan.swaps:
        if scoped(old) and _same(old.source, new.source):
            continue
        if scoped(old) and _same(old.target, new.source) and not own_word(new.source):
            if not _same(old.source, new.target):
                kept.append(Swap(source=old.source, target=new.target, field=old.field))
            continue
        kept.append(old)
    plan.swaps = [*kept, new]
    plan.bans = [ban for ban in plan.bans if not _same(ban.word, new.target)]


def _is_key(line: str) -> bool:
    found = key_line(straight(line))
    return found is not None and (meaning_of(found[0]) is not None or IDENTIFIER.fullmatch(found[0]) is not None)


def _take_key_lines(plan: Plan, lines: Iterable[str]) -> None:
    keys = list(plan.keys)
    for line in lines:
        found = key_line(straight(line))
        listed = BULLET.match(line) or line.lstrip().startswith('"')
        if found is None or not (found[0] in keys or (listed and not plan.keys and _is_key(line))):
            continue
        keys += [found[0]] if found[0] not in keys else []
        if found[1] and not any(_same(row.field, found[0]) for row in plan.choices):
            plan.choices = [*plan.choices, found[1]]
    plan.keys = tuple(keys)
