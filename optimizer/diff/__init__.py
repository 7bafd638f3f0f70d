"""What changed between two versions of a prompt: lines, words, why, and what each change is worth."""

from optimizer.diff.lines import LineChange, Price, PromptDiff, Words, diff
from optimizer.diff.page import render

__all__ = ["LineChange", "Price", "PromptDiff", "Words", "diff", "render"]
