"""Finding the file that holds the user's function, without running a line of it."""

from __future__ import annotations

import hashlib
import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from optimizer.errors import ConfigError
from optimizer.wording import quote


def is_file(place: str) -> bool:
    """Whether the part before the colon names a file, not a module."""
    return place.endswith(".py") or "/" in place or "\\" in place


def source_file(place: str, root: Path) -> Path:
    """The file that holds the function. Raises ConfigError where there is none, or one that no metric comes from.

    Args:
        place: path relative to `root`, or the import name of a module.
        root: folder of the eval file.
    """
    file = _followed(root / place) if is_file(place) else _module_file(place)
    for folder in file.parents:
        # A run's folder holds what models said; code from there is code of theirs.
        if folder.name == ".optimizer" or (folder / "run.sqlite").exists():
            raise ConfigError(
                f"{quote(place)} lies in the folder of a run or of the cache; put it beside the eval file"
            )
    return file


def _followed(named: Path) -> Path:
    try:
        return named.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # Links in a circle, a name that no file can have.
        raise ConfigError(f"{quote(named.name)} cannot be read: its links lead to no file") from error


def hash_file(file: Path) -> str:
    """sha256 of a file's content. Raises ConfigError where it cannot be read, or is no Python."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{quote(file.name)} cannot be read: {error.strerror}") from error
    try:
        compile(content, file.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(f"{quote(file.name)} cannot be loaded: SyntaxError at line {error.lineno}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{quote(file.name)} cannot be loaded: {type(error).__name__}") from error
    return hashlib.sha256(content).hexdigest()


def _module_file(place: str) -> Path:
    spec = _spec(place)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise ConfigError(f"no module {quote(place)} is installed; a file is named as path/file.py:name")
    return Path(spec.origin)


def _spec(place: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which would import the packages on the way."""
    importlib.invalidate_caches()
    path = None
    found: ModuleSpec | None = None
    name = ""
    for part in place.split("."):
        name = f"{name}.{part}" if name else part
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        found = next((spec for find in finders if find and (spec := find(name, path, None))), None)
        if found is None:
            return None
        path = found.submodule_search_locations
        if path is None and name != place:
            return None
    return found
