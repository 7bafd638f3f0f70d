"""What changed between two versions of a prompt: lines, words, why, and what each change is worth."""

from optimizer.diff.lines import LineChange, Price, PromptDiff, Words, diff, words
from optimizer.diff.page import render

__all__ = ["LineChange", "Price", "PromptDiff", "Words", "diff", "render", "words"]
