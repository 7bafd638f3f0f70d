"""The user's function, on the side of the process that runs it: loaded from its file or module, and called."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from optimizer.dataset import Example
from optimizer.metrics.base import MetricContext
from optimizer.metrics.process import Refused
from optimizer.metrics.python.find import is_file
from optimizer.metrics.python.result import PARTS, BadResult, read_result
from optimizer.results import Completion, Usage
from optimizer.wording import nearest, quote

Function = Callable[[MetricContext], Any]


def load(function: str, file: str, source: str) -> None:
    """Load the function, so that calls find it. Raises Refused; see `call` for the arguments."""
    _loaded(function, file, source)


def call(
    function: str, file: str, source: str, example: Mapping[str, Any], completion: Mapping[str, Any]
) -> dict[str, Any]:
    """What the function says of one output: the fields of a `Finding`. Raises Refused.

    Args:
        function: `file.py:name` or `module:name`, as the eval file says.
        file: the file that holds it.
        source: sha256 of the file's content.
        example: fields of an Example.
        completion: fields of a Completion.
    """
    found = _loaded(function, file, source)
    usage = Usage(**completion["usage"])
    context = MetricContext(
        example=Example(**{**example, "tags": tuple(example["tags"])}),
        completion=Completion(**{**completion, "usage": usage}),
    )
    try:
        result = found(context)
        if inspect.isawaitable(result):
            result = _runner().run(_awaited(result))
        finding = read_result(result)
        return {name: getattr(finding, name) for name in PARTS}
    except BadResult as error:
        raise Refused(str(error)) from error
    except MemoryError:
        raise
    except BaseException as error:  # Whatever it is, it belongs to the row.
        raise Refused(f"raised {fault_words(error, _module_name(function, file, source))}") from error


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


@lru_cache(maxsize=1)
def _runner() -> asyncio.Runner:
    """One event loop for all calls: what a function keeps open between them belongs to it."""
    return asyncio.Runner()


@lru_cache(maxsize=64)
def _loaded(function: str, file: str, source: str) -> Function:
    place, _, name = function.rpartition(":")
    try:
        module = _module(place, Path(file), source)
    except (MemoryError, Refused):
        raise
    except BaseException as error:  # Whatever it is, the module raised it.
        words = fault_words(error, _module_name(function, file, source))
        raise Refused(f"cannot be loaded from {quote(place)}: {words}") from error
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise Refused(
            f"cannot be loaded: {quote(place)} has no function {quote(name)}; {nearest(name, known) or 'add it'}"
        )
    if not callable(found):
        raise Refused(f"cannot be loaded: {quote(name)} of {quote(place)} cannot be called; name a function")
    called: Function = found
    return called


def _module(place: str, file: Path, source: str) -> Any:
    import importlib
    import importlib.util
    import sys
    from importlib.machinery import SourceFileLoader

    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != source:
        raise Refused(f"cannot be loaded: {quote(file.name)} changed since the run began; begin a new run")
    if not is_file(place):
        return importlib.import_module(place)

    class Exactly(SourceFileLoader):
        """Compiles what was hashed: a cached one may be older, and writing one would litter the user's folder."""

        def get_code(self, fullname: str) -> CodeType:
            return self.source_to_code(content, self.path)

    name = _module_name(f"{place}:", str(file), source)
    spec = importlib.util.spec_from_loader(name, Exactly(name, str(file)))
    assert spec is not None and spec.loader is not None  # A loader was given.
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while it is being loaded.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_name(function: str, file: str, source: str) -> str:
    """The name under which a file is loaded: one for each path and content."""
    place = function.rpartition(":")[0]
    if not is_file(place):
        return place
    return "metric_" + hashlib.sha256(f"{file}:{source}".encode()).hexdigest()[:16]


def fault_words(error: BaseException, module: str = "") -> str:
    """Type and place of an exception. Its text is left out: it may hold anything, a key included.

    Args:
        error: what was raised.
        module: name of the module whose line is meant; where it is not on the way, the line that raised.
    """
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} at line {error.lineno}"
    frames = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if not str(trace.tb_frame.f_globals.get("__name__")).startswith("optimizer."):
            frames.append((trace.tb_frame.f_globals.get("__name__"), trace))
        trace = trace.tb_next
    own = [trace for name, trace in frames if name == module] or [trace for _, trace in frames]
    if not own:
        return type(error).__name__
    return f"{type(error).__name__} at {Path(own[-1].tb_frame.f_code.co_filename).name} line {own[-1].tb_lineno}"
