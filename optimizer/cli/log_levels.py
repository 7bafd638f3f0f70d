"""The values of --log-level; apart from what obeys it, which the help need not load."""

from enum import StrEnum


class LogLevel(StrEnum):
    """What is told, least important first."""

    DEBUG = "debug"
    """Every event of the run, as `log.jsonl` has it."""
    INFO = "info"
    """What the program does about faults: a lower concurrency, a rest."""
    WARNING = "warning"
    """What may need somebody: a damaged entry of the cache."""
    ERROR = "error"
    """Nothing besides progress and the fault that ends a command."""
