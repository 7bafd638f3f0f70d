"""Where added lines go: a rule before its exceptions.

Of two lines that both fit, models tend to follow the later one. A longer line tends to name a narrower condition, so
among the lines that a search has added the longer one stands later. A place that a proposer names is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from optimizer.edits import END, Edit, Op, apply, end_message
from optimizer.prompt import Prompt


def made(prompt: Prompt, edits: Sequence[Edit], own: Collection[str]) -> Prompt:
    """The prompt with the edits made, lines without a place of their own put in order.

    Args:
        prompt: the champion.
        edits: no two of one line.
        own: ids of the lines of the prompt that the run began with; these keep their places, before all added ones.
    """
    free = [edit for edit in edits if edit.op is Op.ADD_LINE and edit.after in (None, END)]
    rest = [edit for edit in edits if edit not in free]
    lines = prompt.messages[end_message(prompt)].lines
    added = [line for line in lines if line.id not in own]
    placed = []
    for edit in sorted(free, key=lambda edit: _words(edit.text or "")):
        shorter = [line.id for line in added if _words(line.content) <= _words(edit.text or "")]
        before = [line.id for line in lines if line.id in own]
        anchor = shorter[-1] if shorter else (before[-1] if before and added else END)
        placed.append(replace(edit, after=anchor))
    return apply(prompt, [*rest, *placed])


def _words(text: str) -> int:
    return len(text.split())
