"""Every error this package raises on purpose.

    OptimizerError                 exit code
    ├── UserError                  2   a flag, file or value that the user can mend
    │   ├── ConfigError                the eval file
    │   └── DataError                  rows and splits: carries every problem found
    ├── GateError                  3   a gate or a protected row failed
    ├── GainNotShown               4   --require-gain and the verdict is not GAIN SHOWN
    ├── BudgetExceeded             5   the budget ended before a result
    ├── ProviderError              6   the provider failed for the run as a whole
    ├── StoreError                 7   a run, cache or prompt file cannot be read or written
    └── ModelError                 6   one call failed; a Result keeps it as a value

Exit codes besides: 0 ok, 1 a bug of ours, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class OptimizerError(Exception):
    """Base of all foreseen faults. `str(error)` is one line: what, where, what to do."""

    exit_code: ClassVar[int] = 1


class UserError(OptimizerError):
    """The command, a file or a value is wrong, and the message says how to mend it."""

    exit_code = 2


class ConfigError(UserError):
    """The eval file is wrong. `place`: keys and indexes that lead to the fault, where its finder knows them."""

    def __init__(self, message: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong at one place of a file."""

    where: str
    """`file:line`, or `file` where no line applies."""
    field: str
    """Name of the field or column; empty where the whole row is meant."""
    problem: str
    """What is wrong, in a few words."""
    fix: str
    """What to do about it."""

    def __str__(self) -> str:
        field = f" {_plain(self.field, 120)}:" if self.field else ""
        return f"{_plain(self.where, 1000)}:{field} {_plain(self.problem, 400)} ({_plain(self.fix, 400)})"


def _plain(text: str, most: int) -> str:
    """Text of a file as a message may show it: no control, bidi or line-end characters, cut where it is long."""
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


class DataError(UserError):
    """Rows, splits or prompt files are wrong; `problems` holds all that were found.

    The message tells up to 20 of them. What is wrong in the same way on several lines of a file is told once, with
    the lines.
    """

    shown: ClassVar[int] = 20
    same: ClassVar[int] = 3
    """Lines from which a problem is told once for all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        alike: dict[tuple[str, ...], list[Problem]] = {}
        for problem in self.problems:
            file, _, line = problem.where.rpartition(":")
            key = (file, problem.field, problem.problem, problem.fix) if line.isdecimal() else (str(problem),)
            alike.setdefault(key, []).append(problem)
        told = [lines for found in alike.values() for lines in self._told(found)]
        if len(told) > self.shown:
            told = [*told[: self.shown], f"... and {len(told) - self.shown} more"]
        super().__init__("\n".join(told))

    def _told(self, found: Sequence[Problem]) -> list[str]:
        """One line a problem; for several of one kind the first, and the lines of the others."""
        if len(found) < self.same or found[0].where == found[-1].where:
            return [str(problem) for problem in found]
        file = _plain(found[0].where.rpartition(":")[0], 1000)
        lines = [problem.where.rpartition(":")[2] for problem in found[1:]]
        more = ", ..." if len(lines) > self.shown else ""
        return [str(found[0]), f"{file}: the same on {len(lines)} more lines: {', '.join(lines[: self.shown])}{more}"]


class GateError(OptimizerError):
    """A gate failed, or a protected row broke."""

    exit_code = 3


class GainNotShown(OptimizerError):
    """`--require-gain` was asked for and the gain was not shown."""

    exit_code = 4


class BudgetExceeded(OptimizerError):
    """The budget cannot pay for the next call."""

    exit_code = 5


class ProviderError(OptimizerError):
    """The provider failed so often or so finally that the run cannot go on."""

    exit_code = 6


class StoreError(OptimizerError):
    """Something on disk cannot be read or written."""

    exit_code = 7


class ErrorKind(StrEnum):
    """Why one call failed. The first nine are the openai package's classes in snake case."""

    AUTHENTICATION = "authentication"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    UNPROCESSABLE_ENTITY = "unprocessable_entity"
    CONFLICT = "conflict"
    RATE_LIMIT = "rate_limit"
    INTERNAL_SERVER = "internal_server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    INSUFFICIENT_QUOTA = "insufficient_quota"
    MALFORMED = "malformed"
    """The body is not the JSON that the protocol asks for."""
    EMPTY = "empty"
    """No choice, or no text in it."""
    CUT_OFF = "cut_off"
    """The answer ended at the length limit."""
    CONTENT_FILTER = "content_filter"
    TARGET = "target"
    """The user's own program failed."""
    METRIC = "metric"
    """A metric failed, or overran its deadline."""


RETRYABLE = frozenset(
    {
        ErrorKind.CONFLICT,
        ErrorKind.RATE_LIMIT,
        ErrorKind.INTERNAL_SERVER,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECTION,
        ErrorKind.MALFORMED,
        ErrorKind.EMPTY,
    }
)
"""Kinds that may succeed when the same request is sent again."""

FATAL = frozenset(
    {ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION_DENIED, ErrorKind.NOT_FOUND, ErrorKind.INSUFFICIENT_QUOTA}
)
"""Kinds that every further call would meet too: the run pauses at once."""


class ModelError(OptimizerError):
    """One call failed.

    Holds plain data alone, so that it survives pickling and never carries a request header.
    """

    exit_code = 6

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        """HTTP status, where there was one."""
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait; None where it did not."""
        self.attempts = attempts
        """Attempts made so far, this one included."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.kind, self.message, self.status, self.retry_after, self.attempts))


def _rebuild(kind: ErrorKind, message: str, status: int | None, retry_after: float | None, attempts: int) -> ModelError:
    return ModelError(kind, message, status=status, retry_after=retry_after, attempts=attempts)
