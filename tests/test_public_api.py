"""The public surface is one sorted list."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import optimizer
from optimizer import _HOMES


def test_the_list_is_sorted_and_every_name_is_there():
    assert optimizer.__all__ == sorted(optimizer.__all__)
    assert sorted(name for names in _HOMES.values() for name in names) == optimizer.__all__
    assert all(getattr(optimizer, name).__doc__ for name in optimizer.__all__)


def test_what_is_not_listed_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = optimizer.optimise


def test_importing_the_package_imports_nothing_else_of_it():
    code = "import sys, optimizer; print([m for m in sys.modules if m.startswith('optimizer.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_no_module_has_the_name_of_a_function():
    # Importing a module binds its name in the package: it would take the function's place.
    modules = {module.name for module in pkgutil.iter_modules(optimizer.__path__)}
    assert modules.isdisjoint(optimizer.__all__)
