"""What our own source may not do, read from the source: run text, unpickle, reach a terminal by another door."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_case import PACKAGE

SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted((PACKAGE / "optimizer").rglob("*.py"))}
SCRIPTS = {path.relative_to(PACKAGE).as_posix(): path for path in sorted((PACKAGE / "scripts").rglob("*.py"))}

UNPICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "_pickle"}
RUNS = {"eval", "exec", "__import__", "execfile"}
CALLS = {("os", "system"), ("os", "popen"), ("yaml", "load"), ("yaml", "load_all"), ("yaml", "full_load")}

STARTS_PROCESSES = {
    "optimizer/cli/out.py": "the user's own $PAGER, as a list of words, never through a shell",
    "optimizer/cli/marked_rows.py": "`git config user.name`, a fixed list of words",
    "optimizer/metrics/process/child.py": "the worker that runs the user's metrics, a fixed list of words",
}
"""Files that start a process, and what for."""
RUNS_TEXT = {
    "optimizer/metrics/python/load.py": "the metric that the eval file names: code execution is what it is for",
    "optimizer/metrics/python/find.py": "compiles a metric's file to find faults in it before the run",
    "optimizer/export/python.py": "compiles our own export to see that it is Python; it is never run",
}
"""Files that compile or run what is no source of ours."""
WRITES = {
    "optimizer/cli/out.py": "the way out: everything is cleaned here",
    "optimizer/cli/entry.py": "flushes the streams, and writes nothing",
    "optimizer/cli/interrupt.py": "shows the cursor again",
    "optimizer/cli/progress.py": "the live lines, each cleaned",
    "optimizer/metrics/process/": "the worker's own streams, which are pipes to us",
    "optimizer/terminal.py": "makes the console that out.py prints styles with",
    "optimizer/testing/server.py": "a program of its own, for tests and for people who try things",
}
"""Files that name a stream of the terminal."""


def parsed(files: dict[str, Path]) -> Iterator[tuple[str, ast.AST]]:
    """(name of the file, node), for every node of every file."""
    for name, path in files.items():
        for node in walked(path):
            yield name, node


@functools.cache
def walked(path: Path) -> tuple[ast.AST, ...]:
    wanted = (ast.Import, ast.ImportFrom, ast.Call, ast.Attribute)
    return tuple(node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, wanted))


def allowed(name: str, reasons: dict[str, str]) -> bool:
    return any(name == known or (known.endswith("/") and name.startswith(known)) for known in reasons)


@pytest.mark.parametrize("folder", [SOURCES, SCRIPTS], ids=["optimizer", "scripts"])
def test_nothing_is_unpickled_and_no_text_is_run(folder: dict[str, Path]) -> None:
    for name, node in parsed(folder):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not {module.split(".")[0] for module in modules} & UNPICKLES, f"{name}:{node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        where = f"{name}:{node.lineno}"
        if isinstance(node.func, ast.Name) and node.func.id in RUNS | {"compile"}:
            assert allowed(name, RUNS_TEXT), where
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            assert (node.func.value.id, node.func.attr) not in CALLS, where
        assert not any(one.arg == "shell" for one in node.keywords), where


def test_there_is_one_way_out_to_a_terminal() -> None:
    for name, node in parsed(SOURCES):
        words: set[str] = set()
        if isinstance(node, ast.Attribute):
            words = {node.attr} & {"stdout", "stderr", "__stdout__", "__stderr__", "echo", "secho", "print_exc"}
            if isinstance(node.value, ast.Name) and node.value.id == "subprocess":
                words = set()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            words = {node.func.id} & {"print", "Console", "input"}
        assert not words or allowed(name, WRITES), f"{name}:{getattr(node, 'lineno', 0)}: {words}"


def test_processes_are_started_for_known_reasons_alone() -> None:
    for name, node in parsed(SOURCES):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if {module.split(".")[0] for module in modules} & {"subprocess", "multiprocessing", "pty"}:
                assert allowed(name, STARTS_PROCESSES), name
        if isinstance(node, ast.Attribute) and node.attr in {
            "create_subprocess_exec",
            "create_subprocess_shell",
            "fork",
        }:
            assert allowed(name, STARTS_PROCESSES) and node.attr != "create_subprocess_shell", name


def test_reasons_are_of_files_that_are_there() -> None:
    for reasons in (RUNS_TEXT, WRITES, STARTS_PROCESSES):
        for name in reasons:
            assert any(known.startswith(name) for known in SOURCES), f"{name}: no such file any more"


def test_no_locals_are_shown_in_tracebacks_and_no_telemetry_is_sent() -> None:
    whole = "\n".join(path.read_text("utf-8") for path in SOURCES.values())
    assert "show_locals" not in whole.replace("pretty_exceptions_show_locals=False", "")
    assert "rich.traceback" not in whole and "capture_locals" not in whole
    hosts = set(re.findall(r"https?://([a-z0-9.-]+\.[a-z]{2,})", whole))
    ours = {"api.openai.com", "json-schema.org", "docs.python.org", "host.port"}
    for host in hosts - ours:
        lines = [line for line in whole.splitlines() if host in line]
        assert all(re.search(r"[\"'#:]", line) for line in lines) and not re.search(r"telemetry|analytics", host), host
