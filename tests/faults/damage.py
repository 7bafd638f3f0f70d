"""Damage to every file of a workspace, at chosen places, and what must hold after it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizer.errors import OptimizerError
from optimizer.models.cache import CompletionCache
from optimizer.results import Completion, Result
from optimizer.store import RunReader
from tests.cli_case import Done, cli, inside

RUN = "r"
WAYS = ("flip", "cut", "zero", "empty", "delete")
KINDS: dict[str, str] = {
    "cache": ".optimizer/cache/cache.db",
    "cache log": ".optimizer/cache/cache.db-wal",
    "run": "runs/r/run.sqlite",
    "run log": "runs/r/run.sqlite-wal",
    "log": "runs/r/log.jsonl",
    "config": "runs/r/config.yaml",
    "lock": "runs/r/lock",
    "newest": ".optimizer/cache/newest",
    "looks": ".optimizer/looks.jsonl",
    "splits": "evals/example.splits.json",
    "rows": "evals/example.jsonl",
    "eval file": "evals/example.yaml",
    "prompt": "prompts/example/v1.yaml",
    "version": "prompts/example/v2.yaml",
}
"""What is damaged -> its file."""
FORESEEN = {0, 2, 3, 4, 5, 6, 7}
COMMANDS = (
    ("show", RUN, "--json"),
    ("runs", "--json"),
    ("failures", RUN),
    ("log", "example"),
    ("cache", "stats"),
    ("export", "json", "--out", "out.json"),
)


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A workspace, and what its files say while they are whole."""

    folder: Path
    results: dict[tuple[str, str], Result]
    """(candidate, row) -> result."""
    answers: dict[str, Completion]
    """Key -> answer of the cache."""
    screen: Any
    """`show --json`; None where the run has not ended."""


@dataclass(kw_only=True)
class Tally:
    """What came of it."""

    cases: int = 0
    unharmed: int = 0
    told: int = 0
    problems: list[str] = field(default_factory=list)


def hurt(path: Path, way: str, dice: random.Random) -> str:
    """Damage a file; returns how, for a message."""
    raw = bytearray(path.read_bytes())
    at = dice.randrange(max(len(raw), 1))
    if way == "delete":
        path.unlink()
    elif way == "empty" or not raw:
        path.write_bytes(b"")
    elif way == "cut":
        path.write_bytes(raw[:at])
    elif way == "zero":
        raw[at : at + 512] = bytes(len(raw[at : at + 512]))
        path.write_bytes(raw)
    else:
        raw[at] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
    return f"{way} at {at} of {len(raw)}"


def results(root: Path) -> dict[tuple[str, str], Result]:
    with RunReader(root, RUN) as reader:
        return {(stored.result.candidate, stored.result.example): stored.result for stored in reader.results()}


def answers(folder: Path, keys: Iterator[str] | list[str]) -> dict[str, Completion]:
    with CompletionCache(folder / ".optimizer" / "cache") as cache:
        return {key: found for key in keys if (found := cache.get(key)) is not None}


def known(folder: Path) -> Workspace:
    """Read a whole workspace, without changing a byte of it."""
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.copytree(folder, copy)
    with contextlib.closing(sqlite3.connect(copy / KINDS["cache"])) as db:
        keys = [key for (key,) in db.execute("SELECT key FROM Cache")]
    with inside(copy):
        shown = cli("show", RUN, "--json")
    found = Workspace(
        folder=folder,
        results=results(copy),
        answers=answers(copy, keys),
        screen=shown.json if shown.json["status"] == "complete" else None,
    )
    shutil.rmtree(copy)
    return found


def one_case(whole: Workspace, target: Path, kind: str, way: str, seed: str, tally: Tally) -> None:
    """Damage one file of a copy, use the copy, and note what should not have happened."""
    dice = random.Random(seed)
    shutil.copytree(whole.folder, target)
    path = target / KINDS[kind]
    if not path.exists():
        shutil.rmtree(target)
        return
    how = f"{kind}: {hurt(path, way, dice)} (seed {seed})"
    tally.cases += 1
    told: list[Done] = []

    def note(what: str) -> None:
        tally.problems.append(f"{how}: {what}")

    with inside(target):
        for command in COMMANDS:
            told.append(_use(command, note))
        for step in (_same_answers, _same_results, _same_screen):
            step(whole, target, told, note)
        told.append(_use(("run", "evals/example.yaml", "--run-id", RUN, "--resume"), note))
        _same_results(whole, target, told, note)
    words = "".join(done.err for done in told)
    tally.told += "damaged" in words or any(done.code in (2, 7) for done in told)
    shutil.rmtree(target)


def _use(command: tuple[str, ...], note: Callable[[str], None]) -> Done:
    done = cli(*command)
    if done.code not in FORESEEN or "Traceback" in done.err or "this is a bug" in done.err:
        note(f"{' '.join(command)}: code {done.code}: {done.err[-300:]}")
    if done.code in (2, 7) and done.err.count("error: ") != 1:
        note(f"{' '.join(command)}: not one line: {done.err[-300:]}")
    return done


def _same_answers(whole: Workspace, target: Path, told: list[Done], note: Callable[[str], None]) -> None:
    try:
        found = answers(target, list(whole.answers))
    except OptimizerError:
        return
    if any(whole.answers[key] != answer for key, answer in found.items()):
        note("a wrong answer")


def _same_results(whole: Workspace, target: Path, told: list[Done], note: Callable[[str], None]) -> None:
    try:
        found = results(target)
    except OptimizerError:
        return
    for key, result in found.items():
        known = whole.results.get(key, result)
        # Had again from the cache, it came without delay.
        if (known.output, known.scores) != (result.output, result.scores):
            note(f"a wrong result of {key[1]}")


def _same_screen(whole: Workspace, target: Path, told: list[Done], note: Callable[[str], None]) -> None:
    shown = told[0]
    if shown.code or whole.screen is None:
        return
    with contextlib.suppress(json.JSONDecodeError):
        found = json.loads(shown.out)
        if found != whole.screen and "damaged" not in shown.err:
            wrong = [name for name in whole.screen if found.get(name) != whole.screen[name]]
            note(f"another screen, and nothing told: {wrong}: {[found.get(name) for name in wrong][:2]}"[:400])


def interrupted(folder: Path, after: int) -> None:
    """A workspace whose run was killed once it had so many answers; the logs of both databases are still there."""
    code = (
        "import os, sys\n"
        "from optimizer import events\n"
        "from optimizer.cli import progress\n"
        "take = progress.Display.record\n"
        "left = [int(sys.argv.pop())]\n"
        "async def record(self, event):\n"
        "    await take(self, event)\n"
        "    left[0] -= isinstance(event, events.CallEnded)\n"
        "    left[0] or os._exit(9)\n"
        "progress.Display.record = record\n"
        "from optimizer.cli.entry import run\n"
        "sys.exit(run())\n"
    )
    import subprocess
    import sys

    arguments = ["run", "evals/example.yaml", "--run-id", RUN, "--resume", str(after)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=env, check=False, capture_output=True
    )
    assert done.returncode == 9, done.stderr.decode()
