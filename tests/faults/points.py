"""Ends commands at named points; `tests.faults.watched` says which there are."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults import kept
from tests.faults.lab import Ended, Lab

WATCHED = ("-m", "tests.faults.watched")


def ended_at(here: Lab, point: str, *flags: object, command: str = "run", loss: Path | None = None) -> Ended:
    """Run a command that is killed at a point; it ends well where it never comes to it."""
    env = {"KILL_AT": point, **({"POWER_LOSS_TO": str(loss)} if loss else {})}
    done = here.start(*flags, command=command, env=env, program=WATCHED).end()
    assert done.code in (-signal.SIGKILL, 0), (point, done.err)
    return done


def points_of(here: Lab, *flags: object, command: str = "run") -> list[str]:
    """Every point that a command passes, in order."""
    file = here.aside / "points"
    file.unlink(missing_ok=True)
    done = here.start(*flags, command=command, env={"POINTS_TO": str(file)}, program=WATCHED).end()
    assert done.code == 0, done.err
    return file.read_text("utf-8").split()


def few_of_each(points: Sequence[str]) -> list[str]:
    """Of the points of one name the first two, one from the middle, and the last; writes also half-way."""
    counts = Counter(point.rpartition(":")[0] for point in points)
    chosen = []
    for name, count in counts.items():
        moment, _, rest = name.partition(":")
        moments = [moment, "half"] if moment == "before" and rest.startswith("write:") else [moment]
        for number in sorted({1, min(2, count), (count + 1) // 2, max(count * 9 // 10, 1)}):
            chosen += [f"{one}:{rest}:{number}" for one in moments]
    return chosen


def lose_power(here: Lab, point: str) -> bool:
    """Run until a point, and leave of the workspace what a power loss would; False where it never came to it.

    Asserts that every answer that was on the disk as the program saw it is there afterwards.
    """
    image = here.aside / "image"
    shutil.rmtree(image, ignore_errors=True)
    done = ended_at(here, point, loss=image)
    if done.code == 0:
        return False
    left = kept.acknowledged(image, here.keys())
    assert left >= done.kept, f"{len(done.kept - left)} answers were told to be on the disk, and are not ({point})"
    shutil.rmtree(here.folder)
    shutil.copytree(image, here.folder)
    return True
