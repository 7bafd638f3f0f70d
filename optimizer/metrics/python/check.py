"""The user's own check: `python`.

It runs code that the eval file names, with the rights of the user: that is what it is for. It runs in a process of its
own, so that a fault in it ends no run. Only the file or module that the eval file names is loaded, not before the run
has told its path, and only as it was when the run began. A function takes one `MetricContext` and gives a bool, a
number in [0, 1], a pair (value, reason), a mapping with `value` and any of `reason`, `place`, `wanted` and `got`, or a
`Score`. It may be `async`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.dataset import Example
from optimizer.errors import ConfigError
from optimizer.metrics.base import SECONDS, TEXT, Check, Finding, MetricContext, argument, metric_error
from optimizer.metrics.process import MEMORY, USERS, ProcessFault, Task
from optimizer.metrics.python.find import hash_file, source_file
from optimizer.metrics.python.result import read_finding
from optimizer.results import Completion
from optimizer.wording import quote

LOADING: Final = 120.0
"""Seconds that loading the function may take: what it imports may be large."""
LEAST_MEMORY: Final = 64
"""Megabytes; an interpreter alone takes a third of it."""
MEGABYTES: Final = argument(
    f"a whole number of megabytes from {LEAST_MEMORY} on", lambda value: type(value) is int and value >= LEAST_MEMORY
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Python(Check):
    """A function of the user says how good the output is."""

    name: ClassVar[str] = "python"
    short: ClassVar[str | None] = "function"

    function: str = field(metadata=TEXT)
    """`checks.py:polite`, relative to the eval file, or `package.module:polite`."""
    deadline: float = field(default=10.0, metadata=SECONDS)
    """Seconds that one call may take."""
    memory: int = field(default=MEMORY, metadata=MEGABYTES)
    """Megabytes that its process may take; held to on Linux alone."""
    threshold: float = 0.5
    """Value from which it passes, in (0, 1]."""
    file: Path = field(default=Path(), repr=False)
    """The file that holds the function."""
    source: str = field(default="", repr=False)
    """sha256 of that file; what it imports is not part of it."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """Finds the file. Nothing of it runs before `make_ready` or the first output."""
        place, separator, name = args["function"].rpartition(":")
        if not separator or not place or not name.isidentifier():
            raise ConfigError(f"{quote(args['function'])} is no function; write file.py:name or module:name")
        file = source_file(place, root)
        return {**args, "file": file, "source": hash_file(file)}

    async def make_ready(self) -> None:
        """Load the function in its process, so that a fault in it is found before the run."""
        try:
            await USERS.do(self._loading())
        except ProcessFault as fault:
            raise ConfigError(f"metric {quote(self.key)}: the function {fault}") from fault

    async def measure(self, context: MetricContext) -> Finding:
        """What the function says. Raises ModelError where it fails, overruns its deadline or gives no score."""
        loading = self._loading()
        asked = {"example": _example(context.example), "completion": _completion(context.completion)}
        task = Task(
            function="optimizer.metrics.python.load:call",
            arguments={**loading.arguments, **asked},
            seconds=self.deadline,
            memory=self.memory,
            before=loading,
        )
        try:
            finding = read_finding(await USERS.do(task))
        except (ProcessFault, ValueError) as fault:
            raise metric_error(self.key, context, str(fault)) from fault
        if finding.reason or finding.value >= self.threshold:
            return finding
        reason = f"{quote(self.function)} gave {finding.value:g}, expected at least {self.threshold:g}"
        return replace(finding, reason=reason)

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The function's own words, where it has any."""
        reason = f"{quote(self.function)} holds, which it must not"
        return replace(finding, reason=reason)

    def sources(self) -> Mapping[str, str]:
        """The file or module that holds the function."""
        return {self.function.rpartition(":")[0]: self.source}

    def code(self) -> Path:
        """The file whose code runs."""
        return self.file

    def revision(self) -> str:
        """Changes with the file."""
        return f"{self.version}-{self.source[:12]}"

    def _loading(self) -> Task:
        return _loading(self.function, self.file, self.source, self.memory)


@lru_cache(maxsize=256)
def _loading(function: str, file: Path, source: str, memory: int) -> Task:
    """One object for one function, which is how processes tell whether they have it."""
    arguments = {"function": function, "file": str(file), "source": source}
    return Task(function="optimizer.metrics.python.load:load", arguments=arguments, seconds=LOADING, memory=memory)


def _example(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "inputs": dict(example.inputs),
        "expected": example.expected,
        "tags": list(example.tags),
        "group": example.group,
        "source": example.source,
    }


def _completion(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    return {
        "text": completion.text,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "cost": completion.cost,
        "latency": completion.latency,
        "cached": completion.cached,
        "finish_reason": completion.finish_reason,
    }
