"""What an edit may not exceed, and what a change of a line may not lose: known to proposers and to their judge."""

from __future__ import annotations

import re

from optimizer.prompt import VARIABLE, Demo, Line, Prompt, demo_messages

MOST_CHARACTERS = 600
"""Longest line that an edit may write."""
MOST_DEMOS = 8
"""Demos that a prompt may hold, those of its author included."""
MOST_DEMO_CHARACTERS = 1200
"""Longest demo, question and answer together as they are sent."""
FORMAT_WORDS = re.compile(r"\b(?:json|yaml|xml|csv|schema|keys?)\b", re.IGNORECASE)
FORMAT_PARTS = re.compile(r'"[^"]+"|\{[^{}]*\}|`[^`]+`')


def variables_of(text: str, prompt: Prompt) -> frozenset[str]:
    """Variables of the prompt that a text names."""
    return frozenset(VARIABLE.findall(text)) & prompt.variables


def is_format(line: Line) -> bool:
    """Whether a line speaks of the output's format."""
    return FORMAT_WORDS.search(line.content) is not None


def loss(line: Line, text: str | None, prompt: Prompt) -> str | None:
    """What no edit may drop and this change of a line would, in words; None where it may be made.

    Args:
        line: a line of the prompt.
        text: what would stand in its place; None where it would be removed.
        prompt: the prompt.
    """
    if line.locked:
        return f"line {line.id} is locked"
    said = text or ""
    written = {found.group() for found in VARIABLE.finditer(line.content) if found.group(1) in prompt.variables}
    if any(variable not in said for variable in written):
        return "it would drop a variable"
    if is_format(line) and (text is None or any(part not in said for part in FORMAT_PARTS.findall(line.content))):
        return "it would drop part of the output format"
    return None


def demo_size(prompt: Prompt, demo: Demo) -> int:
    """Characters of a demo as it is sent. Raises UserError where it lacks a variable of the prompt."""
    return sum(len(message.content) for message in demo_messages(prompt, demo))
