"""What an edit may not do, whoever proposed it. A proposal is untrusted text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from optimizer.dataset import Example, display
from optimizer.edits import END, Edit, Op
from optimizer.prompt import KEEP, VARIABLE, Prompt

MOST_CHARACTERS = 600
"""Longest line that an edit may write."""
COPIED_WORDS = 8
"""So many words in a row of eval text count as a copy."""
WORD = re.compile(r"\w+(?:['’]\w+)*")
LINK = re.compile(r"(?:(?:https?|ftp)://|www\.)\S*|\b[\w.+-]+@[\w-]+\.\w{2,}|\bjavascript:", re.IGNORECASE)
KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{8,}|\bAKIA[0-9A-Z]{12,}|\b[0-9a-f]{32,}\b")
FORMAT_WORDS = re.compile(r"\b(?:json|yaml|xml|csv|schema|keys?)\b", re.IGNORECASE)
FORMAT_PARTS = re.compile(r'"[^"]+"|\{[^{}]*\}|`[^`]+`')
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")
"""Zero-width joiners are part of emoji and of several scripts."""


def copied_runs(texts: Iterable[str], examples: Iterable[Example]) -> frozenset[tuple[str, ...]]:
    """Those runs of 8 words of the texts that stand in the eval set, too: what a prompt must not copy.

    The texts are few and short; all runs of a large eval set would fill the memory.
    """
    wanted = {run for text in texts for run in _runs(text)}
    found: set[tuple[str, ...]] = set()
    for example in examples if wanted else ():
        for value in (*example.inputs.values(), example.expected):
            if value is not None:
                found.update(run for run in _runs(display(value)) if run in wanted)
    return frozenset(found)


def objection(edit: Edit, prompt: Prompt, copied: frozenset[tuple[str, ...]]) -> str | None:
    """Why an edit is refused, in words; None where it is fit to be tried.

    Args:
        edit: the proposal.
        prompt: the champion that it would change.
        copied: runs of eval words from `copied_runs`.
    """
    return _place(edit, prompt) or (None if edit.text is None else _text(edit.text, edit, prompt, copied))


def _place(edit: Edit, prompt: Prompt) -> str | None:
    lines = {line.id: line for line in prompt.lines}
    if edit.op is Op.ADD_LINE:
        known = edit.after in (None, END) or edit.after in lines
        return None if known else f"it names line {edit.after}, which is not there"
    old = lines.get(edit.target or "")
    if old is None:
        return f"it changes line {edit.target}, which is not there"
    if old.locked:
        return f"line {old.id} is locked"
    gone = {match.group(0) for match in VARIABLE.finditer(old.content) if match.group(1) in prompt.variables}
    text = edit.text or ""
    if any(variable not in text for variable in gone):
        return "it would drop a variable"
    if FORMAT_WORDS.search(old.content):
        lost = [part for part in FORMAT_PARTS.findall(old.content) if part not in text]
        if edit.op is Op.REMOVE_LINE or lost:
            return "it would drop part of the output format"
    return None


def _text(text: str, edit: Edit, prompt: Prompt, copied: frozenset[tuple[str, ...]]) -> str | None:
    content = KEEP.sub("", text)
    if not content.strip():
        return "it is empty"
    if content != text and edit.source != "user":
        return "it holds the mark by which users lock a line"
    if "\n" in text or len(text) > MOST_CHARACTERS:
        return f"it is longer than one line of {MOST_CHARACTERS} characters"
    if any(_hidden(character) for character in text):
        return "it holds invisible or control characters"
    for pattern, what in ((LINK, "a link or address"), (KEY_LIKE, "something like a key")):
        if _found(pattern, text) - _found(pattern, prompt.text):
            return f"it brings in {what}"
    old = prompt.line(edit.target).content if edit.target else ""
    variables = {name for name in VARIABLE.findall(text) if name in prompt.variables}
    if not variables <= set(VARIABLE.findall(old)):
        return "it repeats a variable of the prompt"
    if any(run in copied for run in _runs(text)):
        return f"it copies {COPIED_WORDS} words in a row from the eval set"
    if edit.op is Op.ADD_LINE and any(line.content.strip() == content.strip() for line in prompt.lines):
        return "the prompt says it already"
    return None


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    """Whole matches, without the punctuation that a sentence puts behind them."""
    return {match.group(0).rstrip(".,;:!?)]}>'\"`") for match in pattern.finditer(text)}


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return (tuple(words[i : i + COPIED_WORDS]) for i in range(len(words) - COPIED_WORDS + 1))


def _hidden(character: str) -> bool:
    if character in JOINERS:
        return False
    return character in BIDI or (character != "\t" and unicodedata.category(character) in INVISIBLE)
