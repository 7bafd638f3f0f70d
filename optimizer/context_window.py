"""Rows that do not fit into the model's context window: found before anything is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from optimizer.config import RunConfig
from optimizer.dataset import Example, display
from optimizer.errors import DataError, Problem
from optimizer.models.prices import context_window
from optimizer.prompt import Prompt, prepare
from optimizer.tokens import MESSAGE_TOKENS, rough_tokens

SURE = 1.5
"""Windows that an estimate has to fill before a row is refused: it counts no model's own tokens."""
_MOST_TOKENS = 4
"""Tokens that one character may come to."""


def check_lengths(config: RunConfig, prompt: Prompt, examples: Sequence[Example]) -> tuple[str, ...]:
    """Check that every row fits beside the prompt, where the window of the task model is known; returns warnings.

    Raises DataError for rows that fill the window one and a half times by our estimate.
    """
    window = context_window(config.model)
    if window is None:
        return ()
    text = prompt.text
    frame = len(text) + sum(
        len(display(value)) for demo in prompt.demos for value in (*demo.inputs.values(), demo.output)
    )
    times = {name: text.count(name) for name in sorted({name for row in examples for name in row.inputs})}
    problems: list[Problem] = []
    doubtful: list[str] = []
    for row in examples:
        if _MOST_TOKENS * (frame + _characters(row, times)) <= window:
            continue
        size = sum(MESSAGE_TOKENS + rough_tokens(message.content) for message in prepare(prompt, row))
        where = row.source or f"row {row.id}"
        if size > SURE * window:
            told = f"about {size:,} tokens with the prompt, and {config.model.name} takes {window:,}"
            fix = "shorten the row, or take a model with a larger context window"
            problems.append(Problem(where=where, field=_longest(row), problem=told, fix=fix))
        elif size > window:
            doubtful.append(where)
    if problems:
        raise DataError(problems)
    return tuple(_warned(doubtful, config.model.name, window))


def _characters(row: Example, times: Mapping[str, int]) -> int:
    """Characters of the row's values in a request, each as often as the prompt may ask for it."""
    return sum(times[name] * len(display(value)) for name, value in row.inputs.items())


def _longest(row: Example) -> str:
    return max(sorted(row.inputs), key=lambda name: len(display(row.inputs[name])), default="")


def _warned(rows: Sequence[str], model: str, window: int) -> Iterator[str]:
    if rows:
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        yield f"{rows[0]}{more}: may not fit into the {window:,} tokens that {model} takes, by our estimate"
