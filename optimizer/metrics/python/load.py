"""Loading a user's function from the file or module that the eval file names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from optimizer.errors import ConfigError
from optimizer.metrics.base import MetricContext
from optimizer.wording import nearest, quote

Function = Callable[[MetricContext], Any]


@lru_cache(maxsize=64)
def load(function: str, root: Path, source: str) -> Function:
    """The function, loaded once for one content of its file. Raises ConfigError.

    Args:
        function: `file.py:name` or `module:name`.
        root: folder that a file is relative to.
        source: sha256 of the file's content.
    """
    place, _, name = function.rpartition(":")
    try:
        module = _module(place, root, source)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{quote(place)} cannot be loaded: {fault_words(error, module_name(place, root, source))}"
        ) from error
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"{quote(place)} has no function {quote(name)}; {nearest(name, known) or 'add it'}")
    if not callable(found):
        raise ConfigError(f"{quote(name)} of {quote(place)} cannot be called; name a function")
    called: Function = found
    return called


def is_file(place: str) -> bool:
    """Whether the part before the colon names a file, not a module."""
    return place.endswith(".py") or "/" in place or "\\" in place


def source_file(place: str, root: Path) -> Path:
    """The file that holds the function. Raises ConfigError where there is none."""
    import importlib.util

    if is_file(place):
        return root / place
    try:
        spec = importlib.util.find_spec(place)
    except (Exception, SystemExit) as error:
        # A package on the way is imported, and may fail in any way.
        raise ConfigError(f"{quote(place)} cannot be loaded: {fault_words(error)}") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise ConfigError(f"no module {quote(place)} is installed; a file is named as path/file.py:name")
    return Path(spec.origin)


def hash_file(file: Path) -> str:
    """sha256 of a file's content. Raises ConfigError."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{quote(file.name)} cannot be read: {error.strerror}") from error


def _module(place: str, root: Path, source: str) -> Any:
    import importlib
    import importlib.util
    import sys
    from importlib.machinery import SourceFileLoader

    if not is_file(place):
        return importlib.import_module(place)

    class FreshLoader(SourceFileLoader):
        """Compiles the file itself: a cached one may be older, and writing one would litter the user's folder."""

        def get_code(self, fullname: str) -> CodeType:
            return self.source_to_code(self.get_data(self.path), self.path)

    file = (root / place).resolve()
    name = module_name(place, root, source)
    spec = importlib.util.spec_from_loader(name, FreshLoader(name, str(file)))
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


def module_name(place: str, root: Path, source: str) -> str:
    """The name under which a file is loaded: one for each path and content."""
    if not is_file(place):
        return place
    return "metric_" + hashlib.sha256(f"{(root / place).resolve()}:{source}".encode()).hexdigest()[:16]


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
