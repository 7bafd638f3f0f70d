"""Which two prompts a diff means, and the run that knows both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from optimizer.cli import find
from optimizer.diff import PromptDiff, diff
from optimizer.errors import StoreError, UserError
from optimizer.prompt import Prompt
from optimizer.store import RunReader, list_runs


def compared(first: str | None, second: str | None) -> PromptDiff:
    """The diff of two targets, or of one and what it was made from.

    Raises UserError where a target stands for nothing, or nothing is known that it was made from.
    """
    after = find.taken(first if second is None else second)
    runs = [after.run]
    if second is None:
        before = after.base
        if before is None:
            raise UserError(f"{after.prompt.ref}: what it was made from is not known (give two prompts: diff A B)")
    else:
        other = find.taken(first)
        before = other.prompt
        runs.append(other.run)
    with _knowing(before, after.prompt, runs) as reader:
        return diff(before, after.prompt, reader=reader)


@contextlib.contextmanager
def _knowing(before: Prompt, after: Prompt, runs: list[str]) -> Iterator[RunReader | None]:
    """A run that has seen both prompts: one that made them, else the latest; None where there is none."""
    for run in dict.fromkeys([*filter(None, runs), *(info.id for info in list_runs(find.ROOT) if info.status)]):
        try:
            reader = RunReader(find.ROOT, run)
        except (UserError, StoreError):
            # Gone or damaged: the diff itself needs no run.
            continue
        with reader:
            if reader.prompt(before.fingerprint) and reader.prompt(after.fingerprint):
                yield reader
                return
    yield None
