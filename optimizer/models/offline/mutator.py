"""The mutator side: reads a request for edits and replies with JSON, knowing nothing but the request.

It sees a cause the more surely the more members it is shown, and errs at the rates below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.models.offline import phrases
from optimizer.models.offline.causes import Cause, causes
from optimizer.models.offline.fences import PromptLine, Shown, read_request
from optimizer.models.offline.lines import read_line
from optimizer.models.offline.plan import plan_of
from optimizer.models.offline.rules import Ban, Choices, Limit, Rule, Shape, Swap, When
from optimizer.models.offline.terms import meaning_of
from optimizer.models.offline.world import chance, pick

SEES = 0.45
"""Probability that one member gives its cause away; n members do with 1 - (1 - SEES)^n."""
SPURIOUS = 0.10
"""Share of replies with a line that means well and does nothing."""
OVER_GENERAL = 0.08
"""Share of conditional edits that lose their condition."""
MOST_EDITS = 3
"""Edits in one reply."""
END = "end"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One edit of a reply."""

    op: str
    """`add_line`, `replace_line` or `remove_line`."""
    target: str | None
    """Line to replace or remove."""
    text: str | None
    """The new line."""
    why: str
    """One sentence."""


def propose(request: str, *, seed: int) -> str:
    """Reply to a request for edits with the JSON that it asks for.

    Args:
        request: the user message with its fenced blocks.
        seed: decides what is seen and what goes wrong.
    """
    shown = read_request(request)
    dice = (seed, request)
    seen = [
        cause
        for index, cause in enumerate(causes(shown))
        if chance(*dice, "sees", index, cause.diagnosis) < sees(cause.members)
    ]
    drafts = [draft for cause in seen if (draft := _draft(cause, shown, dice)) is not None][:MOST_EDITS]
    if not drafts or (len(drafts) < MOST_EDITS and chance(*dice, "spurious") < SPURIOUS):
        text = _fresh(phrases.SPURIOUS, shown, dice)
        drafts += [Draft(op="add_line", target=None, text=text, why="A reminder may help.")] if text else []
    diagnosis = seen[0].diagnosis if seen else "The rows do not show one clear cause."
    edits = [
        {"op": d.op, "target": d.target, "after": END if d.op == "add_line" else None, "text": d.text, "why": d.why}
        for d in drafts
    ]
    return json.dumps({"diagnosis": diagnosis, "edits": edits}, ensure_ascii=False)


def sees(members: int) -> float:
    """Probability of finding a cause that so many shown rows have."""
    return 1 - (1 - SEES) ** members


def _fresh(texts: Sequence[str], shown: Shown, dice: tuple[object, ...]) -> str | None:
    """One of the wordings, none that was tried or stands in the prompt already."""
    there = shown.tried | {line.text.strip() for line in shown.lines}
    left = [text for text in texts if text not in there]
    return pick(left, *dice, texts) if left else None


def _draft(cause: Cause, shown: Shown, dice: tuple[object, ...]) -> Draft | None:
    loses = bool(cause.general) and chance(*dice, "general", cause.diagnosis) < OVER_GENERAL
    text = _fresh(cause.general if loses else cause.texts, shown, dice)
    if text is None:
        return None
    rules = read_line(text).rules
    against = next((line for line in shown.lines if not line.locked and _contradicts(line, rules)), None)
    if rules and all(_stands(rule, shown) for rule in rules):
        why = f"The line says otherwise than the rest. {cause.diagnosis}"
        return Draft(op="remove_line", target=against.id, text=None, why=why) if against else None
    if against is None:
        return Draft(op="add_line", target=None, text=text, why=cause.diagnosis)
    return Draft(op="replace_line", target=against.id, text=text, why=f"The line says otherwise. {cause.diagnosis}")


def _stands(rule: Rule, shown: Shown) -> bool:
    """Whether the prompt says so already."""
    plan = plan_of(tuple(line.text for line in shown.lines))
    match rule:
        case Swap():
            return rule in plan.swaps
        case Choices():
            return rule in plan.choices
        case When():
            return any((row.test, row.value) == (rule.test, rule.value) for row in plan.whens)
        case Shape():
            return plan.shape == Shape(kind=rule.kind) and set(rule.keys) <= set(plan.keys)
        case Ban():
            return rule in plan.bans
        case Limit():
            return plan.limits.get(rule.unit) == rule
    return rule in (plan.case, plan.bare)


def _contradicts(line: PromptLine, rules: Sequence[Rule]) -> bool:
    """Whether a line says the opposite of a rule, and nothing else that is worth keeping."""
    old = read_line(line.text).rules
    if "{{" in line.text or not old:
        return False
    return all(any(_opposed(one, new) for new in rules) for one in old)


def _opposed(old: Rule, new: Rule) -> bool:
    match old, new:
        case Swap(), Swap():
            same = old.source.casefold() == new.source.casefold() and old.target.casefold() != new.target.casefold()
            turned = (old.source.casefold(), old.target.casefold()) == (new.target.casefold(), new.source.casefold())
            return (same and (old.field or "") == (new.field or "")) or turned
        case Ban(), Swap():
            return not old.lifted and old.word.casefold() == new.target.casefold()
        case Shape(), Shape():
            return new.kind == "json" and old.kind in ("plain", "bullets", "value")
        case Choices(), Choices():
            return meaning_of(old.field or "") == meaning_of(new.field or "") and not set(new.values) <= set(old.values)
        case When(), When():
            return old.test == new.test and old.field == new.field and old.value != new.value
        case Limit(), Limit():
            return old.unit == new.unit and old.most != new.most
    return False
