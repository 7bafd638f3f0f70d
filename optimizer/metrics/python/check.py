"""The user's own check: `python`.

It runs code that the eval file names, with all rights of this process: that is what it is for. Only the file or
module that the eval file names is loaded, and only when a metric names it. A function takes one `MetricContext` and
gives a bool, a number in [0, 1], a pair (value, reason), a mapping with `value` and any of `reason`, `place`,
`wanted` and `got`, or a `Score`. It may be `async`.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.errors import ConfigError
from optimizer.metrics.base import SECONDS, TEXT, Check, Finding, MetricContext, metric_error
from optimizer.metrics.python.load import Function, fault_words, hash_file, load, source_file
from optimizer.metrics.python.result import BadResult, read_result
from optimizer.wording import quote

OVERRUN: Final = "metric overran its deadline"
"""Name of a thread whose function did not come back; Python cannot end it."""
MOST_OVERRUN: Final = 16
"""Threads that may be lost so; after that, calls are refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Python(Check):
    """A function of the user says how good the output is."""

    name: ClassVar[str] = "python"
    short: ClassVar[str | None] = "function"

    function: str = field(metadata=TEXT)
    """`checks.py:polite`, relative to the eval file, or `package.module:polite`."""
    deadline: float = field(default=10.0, metadata=SECONDS)
    """Seconds that one call may take."""
    threshold: float = 0.5
    """Value from which it passes, in (0, 1]."""
    root: Path = field(default=Path(), repr=False)
    """Folder of the eval file."""
    source: str = field(default="", repr=False)
    """sha256 of the file that holds the function; what that file imports is not part of it."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """Loads the function, so that a fault in it is found before the run."""
        place, separator, name = args["function"].rpartition(":")
        if not separator or not place or not name.isidentifier():
            raise ConfigError(f"{quote(args['function'])} is no function; write file.py:name or module:name")
        source = hash_file(source_file(place, root))
        load(args["function"], root, source)
        return {**args, "root": root, "source": source}

    async def measure(self, context: MetricContext) -> Finding:
        """What the function says. Raises ModelError where it fails, overruns its deadline or gives no score."""
        function = load(self.function, self.root, self.source)
        # A function that changes its row must not change it for the next candidate.
        example = context.example
        own = replace(example, inputs=copy.deepcopy(dict(example.inputs)), expected=copy.deepcopy(example.expected))
        try:
            async with asyncio.timeout(self.deadline) as timer:
                result = await self._call(function, replace(context, example=own))
            return self._finding(result)
        except BadResult as error:
            raise metric_error(self.key, context, str(error)) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise metric_error(self.key, context, "raised CancelledError") from error
        except (Exception, SystemExit) as error:
            late = isinstance(error, TimeoutError) and timer.expired()
            problem = (
                f"did not end within {self.deadline:g} s"
                if late
                else f"raised {fault_words(error, getattr(function, '__module__', ''))}"
            )
            raise metric_error(self.key, context, problem) from error

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The function's own words, where it has any."""
        reason = f"{quote(self.function)} holds, which it must not"
        return replace(finding, reason=reason)

    def sources(self) -> Mapping[str, str]:
        """The file or module that holds the function."""
        return {self.function.rpartition(":")[0]: self.source}

    def revision(self) -> str:
        """Changes with the file."""
        return f"{self.version}-{self.source[:12]}"

    async def _call(self, function: Function, context: MetricContext) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(context)
        result = await in_thread(lambda: function(context))
        return await result if inspect.isawaitable(result) else result

    def _finding(self, result: Any) -> Finding:
        finding = read_result(result)
        if finding.reason or finding.value >= self.threshold:
            return finding
        reason = f"{quote(self.function)} gave {finding.value:g}, expected at least {self.threshold:g}"
        return replace(finding, reason=reason)


async def in_thread(call: Callable[[], Any]) -> Any:
    """The result of a call in a thread of its own, so that a call that hangs holds up nothing, not even the exit.

    Raises what the call raises, and BadResult where too many earlier calls hang still.
    """
    lost = sum(thread.name == OVERRUN for thread in threading.enumerate())
    if lost >= MOST_OVERRUN:
        raise BadResult(f"was not called, since {lost} earlier calls overran their deadline and still run")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result((result, None))
        else:
            future.set_result((None, error))

    def work() -> None:
        result, fault = None, None
        try:
            result = call()
        except BaseException as error:  # Whatever it is, it belongs to the row, not to this thread.
            fault = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, result, fault)

    thread = threading.Thread(target=work, name="metric", daemon=True)
    thread.start()
    try:
        result, error = await future
    except asyncio.CancelledError:
        thread.name = OVERRUN
        raise
    if error is not None:
        raise error if isinstance(error, Exception | SystemExit) else BadResult(f"raised {fault_words(error)}")
    return result
