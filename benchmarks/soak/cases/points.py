"""kill -9 and power loss at every kind of file operation."""

from __future__ import annotations

import functools
import shutil
import signal
import tempfile
from pathlib import Path

from benchmarks.soak.case import Case, Turn
from tests.faults.lab import lab
from tests.faults.points import ended_at, few_of_each, lose_power, points_of

ROWS = 24
OLD = "prompt: |\n  old words\nother: 1\n"
EXPORT = ("text", "reviews@v1", "--out", "out.txt")
APPLY = ("reviews@v1", "--file", "app.yaml", "--key", "prompt", "--message", "system")


@functools.cache
def points(command: str) -> tuple[str, ...]:
    """Points of a run, or of `apply`; few of each name, since one name is one line of the program."""
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), rows=ROWS) as here:
        (here.folder / "app.yaml").write_text(OLD, "utf-8")
        flags = {"apply": APPLY, "export": EXPORT}.get(command, ())
        found = points_of(here, *flags, command=command)
    return tuple(few_of_each(found))


def losses() -> tuple[str, ...]:
    """Points at which a power loss leaves something else than a kill."""
    return tuple(point for point in points("run") if point.startswith("after:"))


def kill_thrice(turn: Turn) -> None:
    """Kill a run at a point, and twice more while it goes on."""
    point = points("run")[turn.number]
    with turn.lab(rows=ROWS) as here:
        codes = [ended_at(here, point).code for _ in range(3)]
        # How many commits there are depends on what waits together; the first of each kind is always reached.
        assert codes[0] == -signal.SIGKILL or not point.endswith(":1"), f"it never came to {point}"
        turn.injected(sum(code != 0 for code in codes))
        here.check(here.run(), code=0, same=True)


def power(turn: Turn) -> None:
    """Cut the power at a point, and again while it goes on."""
    point = losses()[turn.number]
    with turn.lab(rows=ROWS) as here:
        lost = [lose_power(here, point) for _ in range(2)]
        assert lost[0] or not point.endswith(":1"), f"it never came to {point}"
        turn.injected(sum(lost))
        here.check(here.run(), code=0, same=True)


def apply(turn: Turn) -> None:
    """Kill `apply` at a point: the file is the old one or the new one, and the same command ends the work."""
    point = points("apply")[turn.number]
    with turn.lab(rows=ROWS) as here:
        app = here.folder / "app.yaml"
        app.write_text(OLD, "utf-8")
        here.check(here.command("apply", *APPLY), code=0)
        new = app.read_text("utf-8")
        app.write_text(OLD, "utf-8")
        shutil.rmtree(here.folder / ".optimizer")  # The points were named where nothing had been applied before.
        turn.injected(ended_at(here, point, *APPLY, command="apply").code != 0)
        assert app.read_text("utf-8") in (OLD, new), f"{point}: the file is neither the old one nor the new one"
        here.check(here.command("apply", *APPLY), code=0)
        assert app.read_text("utf-8") == new


def export(turn: Turn) -> None:
    """Kill `export` at a point: each file is the old one or the new one."""
    point = points("export")[turn.number]
    with turn.lab(rows=ROWS) as here:
        here.check(here.command("export", *EXPORT), code=0)
        new = {path: path.read_text("utf-8") for path in here.folder.glob("out.*")}
        for path in new:
            path.write_text(OLD, "utf-8")
        turn.injected(ended_at(here, point, *EXPORT, command="export").code != 0)
        for path, text in new.items():
            assert path.read_text("utf-8") in (OLD, text), (
                f"{point}: {path.name} is neither the old one nor the new one"
            )


CASES = (
    Case(name="kill -9 at a named point, and twice on resume", turn=kill_thrice, turns=lambda: len(points("run"))),
    Case(name="power loss at a named point, and again on resume", turn=power, turns=lambda: len(losses())),
    Case(name="kill -9 of apply at a named point", turn=apply, turns=lambda: len(points("apply"))),
    Case(name="kill -9 of export at a named point", turn=export, turns=lambda: len(points("export"))),
)
