"""Searching a pattern that may take for ever: here where it cannot, else in a process that can be killed.

The engine has a clock, which it looks at between steps. A step is short where the text and the written-out pattern
are, so those are searched here, for a moment; whatever needs longer, or is not short, goes to a process.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from optimizer.metrics.process import OURS, ProcessFault, Refused, Task
from optimizer.wording import VALUE_LIMIT

if TYPE_CHECKING:
    import regex

INLINE: Final = 0.01
"""Seconds a search may hold up the event loop."""
SHORT_TEXT: Final = 10_000
"""Characters of a text that is searched here."""
SHORT_PATTERN: Final = 5_000
"""Characters of a pattern that is, each repeat written out."""
COMPILING: Final = 10.0
"""Seconds that a pattern may take to compile."""
MEMORY: Final = 1024
"""Megabytes that a process may take for a search."""
_TIMES: Final = re.compile(r"\{ *([0-9]+)")
_UNRULY: Final = re.compile(r"\(\?(?:R|&|P>|[-+]?[0-9]|[a-z]*[be])|(?<!\\)(?<!\\[pPNx])\{(?! *[0-9,])")
"""Patterns that call themselves, and fuzzy ones, which try far more than they say."""
_slow: set[tuple[str, int]] = set()
"""Patterns that once took too long here, with their flags."""


class Overrun(Exception):
    """A search did not end in time, or took too much memory; the message says so, as the rest of a sentence."""


async def search(pattern: str, flags: int, text: str, seconds: float, *, full: bool = False) -> str | None:
    """The part of a text that matches, cut where it is long; None where none does. Raises Overrun.

    Args:
        pattern: of the `regex` package.
        flags: of the `regex` package.
        text: searched.
        seconds: time that the search has.
        full: whether the whole text must match.
    """
    if is_short(pattern) and len(text) <= SHORT_TEXT and (pattern, flags) not in _slow:
        try:
            return found(pattern, flags, text, min(INLINE, seconds), full=full)
        except TimeoutError:
            _slow.add((pattern, flags))
    arguments = {"pattern": pattern, "flags": flags, "text": text, "seconds": seconds, "full": full}
    task = Task(function=f"{__name__}:search_here", arguments=arguments, seconds=seconds + 1, memory=MEMORY)
    try:
        result: str | None = await OURS.do(task)
    except ProcessFault as fault:
        raise Overrun(str(fault)) from fault
    return result


def check(pattern: str, flags: int) -> None:
    """Raise ValueError where a pattern does not compile, with the reason."""
    if is_short(pattern):
        _compile(pattern, flags)
        return
    task = Task(
        function=f"{__name__}:compile_here",
        arguments={"pattern": pattern, "flags": flags},
        seconds=COMPILING,
        memory=MEMORY // 2,
    )
    try:
        fault = OURS.do_now(task)
    except ProcessFault as error:
        raise ValueError(f"it {error}") from error
    if fault:
        raise ValueError(fault)


def is_short(pattern: str) -> bool:
    """Whether a pattern with its repeats written out is short, and says what it tries."""
    times = math.prod(max(int(times[:9]), 1) for times in _TIMES.findall(pattern))
    return len(pattern) * times <= SHORT_PATTERN and _UNRULY.search(pattern) is None


def found(pattern: str, flags: int, text: str, seconds: float, *, full: bool = False) -> str | None:
    """The part that matches, cut where it is long. Raises TimeoutError, some while after its time."""
    known = compiled(pattern, flags)
    match = known.fullmatch(text, timeout=seconds) if full else known.search(text, timeout=seconds)
    # A character more than is kept: the cut shows.
    return None if match is None else str(match.group())[: VALUE_LIMIT + 1]


def search_here(pattern: str, flags: int, text: str, seconds: float, full: bool) -> str | None:
    """`found`, on the side of the process. Raises Refused."""
    try:
        return found(pattern, flags, text, seconds, full=full)
    except TimeoutError as error:
        raise Refused(f"did not end within {seconds:g} s") from error


def compile_here(pattern: str, flags: int) -> str:
    """Why a pattern does not compile, on the side of the process; empty where it does."""
    try:
        _compile(pattern, flags)
    except ValueError as error:
        return str(error)
    return ""


def _compile(pattern: str, flags: int) -> None:
    import regex

    try:
        compiled(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=256)
def compiled(pattern: str, flags: int) -> regex.Pattern[Any]:
    """The pattern, compiled once."""
    import regex

    return regex.compile(pattern, flags)
