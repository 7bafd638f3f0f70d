"""What the program says of itself on the error stream: its warnings, and with --log-level more or less than those."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from optimizer.cli.log_levels import LogLevel
from optimizer.events import Event
from optimizer.redaction import Scrubber
from optimizer.store.log import log_line, visible

Say = Callable[[str], object]
"""Takes one line for people."""


class _Lines(logging.Handler):
    """Hands every record to the display as one line without secrets; the display cleans what would steer a terminal."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._scrub = Scrubber().text

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        text = " ".join(self._scrub(record.getMessage()).split())
        self._say(f"{record.levelname.lower()}: {text}")


@contextmanager
def shown(say: Say, level: LogLevel = LogLevel.WARNING) -> Iterator[None]:
    """While inside, what the package's own loggers tell from this level on goes to `say`, and nowhere else."""
    logger = logging.getLogger("optimizer")
    before = logger.level, logger.propagate
    handler = _Lines(say)
    logger.addHandler(handler)
    logger.setLevel(level.value.upper())
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class EventLines:
    """A sink that says every event as its line of `log.jsonl`."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._scrub = Scrubber().json

    async def record(self, event: Event) -> None:
        """Say one event; what the log does not keep is not said."""
        if line := log_line(event, time.time()):
            self._say(visible(self._scrub(line)))
