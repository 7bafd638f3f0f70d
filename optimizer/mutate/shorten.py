"""Edits that make a prompt shorter: lines said twice, phrases that say nothing, lines that may be idle. No model.

They aim at length, not at a cause, so that only their price can speak for them: what is dropped must lose nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.edits import Edit, Op
from optimizer.mutate.limits import loss
from optimizer.prompt import Line, Prompt, PromptMessage
from optimizer.tokens import demo_tokens, rough_tokens, unit_tokens
from optimizer.wording import WORD

TWICE, PHRASE, CONTAINED, NEARLY, SEED, CHANGED = 0.95, 0.9, 0.7, 0.5, 0.2, 0.1
"""How sure it is, before anything is measured, that nothing is lost: a line that stands there twice, a polite phrase,
a line whose words another one has, one that all but has them, a line of the seed, a line that the search added."""
SHARED = 0.8
"""Jaccard likeness of two lines' words from which they may be one."""
LEAST_WORDS = 3
"""Words that a line must have before it counts as said by another one."""

NEGATION = re.compile(
    r"\b(?:not|never|no|none|nor|neither|without|except|unless|only|cannot|avoid|\w+n['’]t)\b", re.IGNORECASE
)
EXACT = re.compile(r'"[^"]*"|“[^”]*”|`[^`]*`|\'[^\'\s][^\']*\'(?!\w)|\{[^{}]*\}|<[^<>]*>|\d+(?:[.,:/-]\d+)*')
"""What a line says to the letter: quotes, code, braces, tags, numbers."""
STOP = frozenset(
    "a an are as at be by do for from in into is it its of on please that the then this to with you your must should "
    "shall will always make sure".split()
)
POLITE = re.compile(
    r"(?<!\byou)(?<!\byou ),?[ \t]*\bplease(?=[.!?]|[ \t]*\Z)|"
    r"(?:\b(?:could|can|would) you |(?<!\byou ))\bplease\b,?[ \t]+|"
    r"\bI(?: would|['’]d) like you to[ \t]+|"
    r"\b(?:make|be) (?:very )?sure (?:to|that you)[ \t]+(?!not\b)|"
    r"\b(?:note|remember|keep in mind) that[ \t]+|"
    r"\bit is (?:very |really )?important (?:to note )?that[ \t]+(?!you\b)|"
    r"\bas (?:mentioned|stated|noted) (?:above|before|earlier),?[ \t]+|"
    r"(?:\A|(?<=[.!?][ \t]))thank you(?: very much| in advance| so much)?(?:[.!]+[ \t]*|[ \t]*\Z)",
    re.IGNORECASE,
)
"""English phrases that ask nicely and ask for nothing."""
LEAD = re.compile(r"\A[\s\-*#>•\d.)]*")
"""What stands before the first word of a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chance:
    """An edit with what it may bring."""

    edit: Edit
    """Removes or replaces one line, or removes one demo."""
    saved: int
    """Tokens."""
    sure: float
    """Prior probability that nothing is lost, in [0, 1]."""


def shorter(prompt: Prompt, seed: Prompt, least: float = 0.0) -> tuple[Edit, ...]:
    """Edits that make a prompt shorter, best first: by tokens saved times the chance that nothing is lost.

    Each stands alone. Locked lines, lines with a variable, lines about the output's format and the only line of a
    message are never removed. Several edits may name one line: the surest first, and only one can be made.

    Args:
        prompt: the prompt.
        seed: the prompt that the run began with: what is not in it was added for a cause, and is the last to go.
        least: chance that nothing is lost, before anything is measured, below which an edit is left out: NEARLY
            leaves out lines that may be idle, SEED those among them that the search added.
    """
    found = [chance for message in prompt.messages for chance in _of_message(message, prompt, seed)]
    known = {demo.id for demo in seed.demos}
    for demo in prompt.demos:
        edit = Edit(op=Op.REMOVE_DEMO, target=demo.id, why="a demo that may be idle", source="shorten")
        sure = SEED if demo.id in known else CHANGED
        found.append(_Chance(edit=edit, saved=demo_tokens(prompt, demo), sure=sure))
    best: dict[str, _Chance] = {}
    for chance in sorted(found, key=lambda chance: -chance.sure):
        best.setdefault(chance.edit.id, chance)
    order = sorted(best.values(), key=lambda chance: (-chance.saved * chance.sure, -chance.sure, chance.edit.id))
    return tuple(chance.edit for chance in order if chance.saved > 0 and chance.sure >= least)


def _of_message(message: PromptMessage, prompt: Prompt, seed: Prompt) -> Iterator[_Chance]:
    before = {line.id: line.content for line in seed.lines}
    several = sum(bool(line.content.strip()) for line in message.lines) > 1
    for line in message.lines:
        if line.locked or not line.content.strip():
            continue
        yield from _without_phrases(line, prompt, several)
        if not several or loss(line, None, prompt):
            continue
        if twin := _said_by(line, prompt):
            other, sure = twin
            yield _removal(line, prompt, f"{other.id} says the same", sure)
        idle = SEED if before.get(line.id) == line.content else CHANGED
        yield _removal(line, prompt, "a line that may be idle", idle)


def _removal(line: Line, prompt: Prompt, why: str, sure: float) -> _Chance:
    edit = Edit(op=Op.REMOVE_LINE, target=line.id, why=why, source="shorten")
    return _Chance(edit=edit, saved=unit_tokens(prompt, line.id), sure=sure)


def _without_phrases(line: Line, prompt: Prompt, several: bool) -> Iterator[_Chance]:
    """The line without polite phrases; without anything where it was nothing else."""
    text = plainer(line.content)
    if text == line.content:
        return
    if not WORD.search(text):
        if several and not loss(line, None, prompt):
            yield _removal(line, prompt, "it asks for nothing", PHRASE)
        return
    saved = rough_tokens(line.content) - rough_tokens(text)
    if not loss(line, text, prompt):
        why = "phrases that ask for nothing"
        edit = Edit(op=Op.REPLACE_LINE, target=line.id, text=text, why=why, source="shorten")
        yield _Chance(edit=edit, saved=saved, sure=PHRASE)


def plainer(text: str) -> str:
    """A line without polite phrases; quotes, code, braces and tags are left as they are."""
    exact = [found.span() for found in EXACT.finditer(text)]
    made = ""
    end = 0
    raised = False
    for found in POLITE.finditer(text):
        if any(start < found.end() and found.start() < stop for start, stop in exact):
            continue
        made += _raised(text[end : found.start()], raised)
        # What follows a phrase that began a sentence begins it now.
        raised = (raised and end == found.start()) or (found.group()[0].isupper() and _begins(made))
        end = found.end()
    made += _raised(text[end:], raised)
    return made.rstrip() if end and text == text.rstrip() else made


def _raised(text: str, raised: bool) -> str:
    return text[:1].upper() + text[1:] if raised else text


def _begins(before: str) -> bool:
    """Whether a sentence begins behind this text."""
    return not LEAD.sub("", before) or before.rstrip().endswith((".", "!", "?"))


def _said_by(line: Line, prompt: Prompt) -> tuple[Line, float] | None:
    """The line that says what this one says, and how surely: of two equal ones, the first or a locked one stays."""
    order = [other.id for other in prompt.lines]
    mine = _sense(line.content)
    found: list[tuple[float, int, Line]] = []
    for place, other in enumerate(prompt.lines):
        if other.id == line.id or not other.content.strip():
            continue
        sure = _covers(mine, _sense(other.content), same=other.content.strip() == line.content.strip())
        equal = _covers(_sense(other.content), mine, same=False) >= sure > 0.0 or sure == TWICE
        first = other.locked or place < order.index(line.id)
        if sure > 0.0 and (first or not equal):
            found.append((sure, -place, other))
    if not found:
        return None
    sure, _, other = max(found, key=lambda item: item[:2])
    return other, sure


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sense:
    """What two lines that say the same share."""

    exact: frozenset[str]
    """Quotes, code, braces, tags, numbers."""
    negations: tuple[str, ...]
    """In order."""
    words: frozenset[str]
    """Words that carry meaning, their endings cut."""


def _sense(text: str) -> _Sense:
    plain = EXACT.sub(" ", text)
    words = [word.lower() for word in WORD.findall(plain)]
    return _Sense(
        exact=frozenset(EXACT.findall(text)),
        negations=tuple(found.lower() for found in NEGATION.findall(plain)),
        words=frozenset(_stem(word) for word in words if word not in STOP),
    )


def _covers(mine: _Sense, other: _Sense, *, same: bool) -> float:
    """How surely the other line says all that mine does; 0 where it may not."""
    if same:
        return TWICE
    if mine.exact != other.exact or mine.negations != other.negations or len(mine.words) < LEAST_WORDS:
        return 0.0
    if mine.words <= other.words:
        return CONTAINED
    both = len(mine.words & other.words)
    return NEARLY if both >= SHARED * len(mine.words | other.words) else 0.0


def _stem(word: str) -> str:
    """A word without the ending that its number or tense gives it."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) >= len(ending) + 4:
            return word.removesuffix(ending)
    return word
