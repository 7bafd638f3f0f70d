"""Rows that a metric could not score: told in one line, and the end of a run where they are all there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from optimizer.errors import ErrorKind, UserError
from optimizer.results import Result
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
        if result.error is None:
            self._failed.clear()
        elif _is_unscored(result):
            self._failed.append(result)
            if len(self._failed) >= STRAIGHT:
                raise stopped(self._failed)


def stopped(failed: Iterable[Result]) -> UserError:
    """What ends a run whose metrics score nothing."""
    return _end(_tally(failed))


def told(results: Iterable[Result]) -> str:
    """`metric failed on 3 rows: "python: checks.py:f" raised KeyError ...`, the largest group first; empty for none."""
    return _told(_tally(results))


def told_or_stopped(results: Iterable[Result]) -> str:
    """`told` of all results of a command; raises UserError where a metric failed on each of them."""
    tally = _tally(results)
    if tally.rows and not tally.others:
        raise _end(tally)
    return _told(tally)


def mostly_unscored(errors: Sequence[Result]) -> bool:
    """Whether metrics are what failed on most of the rows that ended in an error."""
    return 2 * sum(map(_is_unscored, errors)) > len(errors)


@dataclass(kw_only=True, slots=True)
class _Group:
    rows: int = 0
    named: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class _Tally:
    groups: dict[str, _Group] = field(default_factory=dict)
    """By what is said of the fault."""
    others: int = 0
    """Rows with a score, or with an error of another kind."""

    @property
    def rows(self) -> int:
        return sum(group.rows for group in self.groups.values())


def _tally(results: Iterable[Result]) -> _Tally:
    """However many results there are, only a few are held."""
    tally = _Tally()
    for result in results:
        if result.error is None or not _is_unscored(result):
            tally.others += 1
            continue
        problem = result.error.message.removeprefix("metric ").removesuffix(f" (row {quote(result.example)})")
        group = tally.groups.setdefault(problem, _Group())
        group.rows += 1
        if group.rows <= NAMED:
            group.named.append(quote(result.example))
    return tally


def _told(tally: _Tally) -> str:
    if not tally.groups:
        return ""
    problem, first = max(tally.groups.items(), key=lambda group: group[1].rows)
    rows = tally.rows
    names = ", ".join(first.named) + (", ..." if first.rows > NAMED else "")
    others = f"; {rows - first.rows} in other ways" if rows > first.rows else ""
    counted = "1 row" if rows == 1 else f"{rows:,} rows"
    return f"metric failed on {counted}: {problem} ({'row' if first.rows == 1 else 'rows'} {names}){others}"


def _end(tally: _Tally) -> UserError:
    return UserError(
        f"{_told(tally)}; nothing can be said of the prompt. Mend the metric and run again: what is paid for is in "
        "the cache"
    )


def _is_unscored(result: Result) -> bool:
    return result.error is not None and result.error.kind is ErrorKind.METRIC
