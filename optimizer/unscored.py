"""Rows that a metric could not score: told in one line, and the end of a run where they are all there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from optimizer.errors import ErrorKind, UserError
from optimizer.results import Evaluation, Result
from optimizer.wording import quote

STRAIGHT: Final = 20
"""Rows in a row that metrics could not score, from which the fault is not in the rows."""
NAMED: Final = 5
"""Rows that are named."""


class Straight:
    """Counts rows that metrics could not score, one after the other."""

    def __init__(self) -> None:
        """Nothing failed yet."""
        self._failed: list[Result] = []

    def take(self, result: Result) -> None:
        """Count a result. Raises UserError where too many in a row failed by a metric; the answers are kept."""
        if not _is_unscored(result):
            if result.error is None:
                self._failed.clear()
            return
        self._failed.append(result)
        if len(self._failed) >= STRAIGHT:
            raise stopped(self._failed)


def stopped(failed: Sequence[Result]) -> UserError:
    """What ends a run whose metrics score nothing."""
    return UserError(
        f"{told(failed)}; nothing can be said of the prompt. Mend the metric and run again: what is paid for is in "
        "the cache"
    )


def told(results: Iterable[Result]) -> str:
    """`metric failed on 3 rows: "python: checks.py:f" raised KeyError ...`, the largest group first; empty for none."""
    groups: dict[str, list[str]] = {}
    for result in results:
        if result.error is not None and _is_unscored(result):
            problem = result.error.message.removeprefix("metric ").removesuffix(f" (row {quote(result.example)})")
            groups.setdefault(problem, []).append(result.example)
    if not groups:
        return ""
    rows = sum(map(len, groups.values()))
    problem, first = max(groups.items(), key=lambda group: len(group[1]))
    names = ", ".join(map(quote, first[:NAMED])) + (", ..." if len(first) > NAMED else "")
    others = f"; {rows - len(first)} in other ways" if rows > len(first) else ""
    return f"metric failed on {_rows(rows)}: {problem} ({'row' if len(first) == 1 else 'rows'} {names}){others}"


def told_or_stopped(evaluations: Iterable[Evaluation]) -> str:
    """`told` of all results; raises UserError where a metric failed on each of them."""
    results = [result for found in evaluations for result in found.results.values()]
    if results and all(map(_is_unscored, results)):
        raise stopped(results)
    return told(results)


def mostly_unscored(errors: Sequence[Result]) -> bool:
    """Whether metrics are what failed on most of the rows that ended in an error."""
    return 2 * sum(map(_is_unscored, errors)) > len(errors)


def _is_unscored(result: Result) -> bool:
    return result.error is not None and result.error.kind is ErrorKind.METRIC


def _rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"
