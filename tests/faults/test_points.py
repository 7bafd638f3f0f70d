"""A kill at any write, commit, rename or sync, and again while it goes on: nothing is lost or paid twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.lab import lab
from tests.faults.points import ended_at, few_of_each, lose_power, points_of

# The watch reads the name of an open file where Linux tells it.
pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system tells no names of open files")

ROWS = 24

BEFORE_CALLS = ("half:write:lock:1", "after:mode:run.sqlite:1")
AMONG_CALLS = ("half:write:log.jsonl:9", "before:commit:cache.db:3")
AFTER_CALLS = ("half:write:looks.jsonl:1", "after:link:v2.yaml:1")


def test_a_kill_at_a_point_and_again_when_it_goes_on(tmp_path: Path) -> None:
    with lab(tmp_path, rows=ROWS) as here:
        for point in (*BEFORE_CALLS, *AMONG_CALLS, *AFTER_CALLS):
            assert ended_at(here, point).code == -signal.SIGKILL, point
        here.check(here.run(), code=0, same=True)


def test_what_was_acknowledged_outlives_a_power_loss(tmp_path: Path) -> None:
    with lab(tmp_path, rows=ROWS) as here:
        for point in ("after:commit:cache.db:5", "before:link:v2.yaml:1"):
            assert lose_power(here, point), point
        here.check(here.run(), code=0, same=True)


def test_the_file_of_apply_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    old = "prompt: |\n  old words\nother: 1\n"
    asked = ("reviews@v1", "--file", "app.yaml", "--key", "prompt", "--message", "system")
    with lab(tmp_path, rows=ROWS) as here:
        app = here.folder / "app.yaml"
        app.write_text(old, "utf-8")
        here.check(here.command("apply", *asked), code=0, says="wrote app.yaml")
        new = app.read_text("utf-8")
        assert new != old
        found = []
        for point in ("half:write:app.yaml.new:1", "before:replace:app.yaml:1", "after:replace:app.yaml:1"):
            app.write_text(old, "utf-8")
            assert ended_at(here, point, *asked, command="apply").code == -signal.SIGKILL
            found.append(app.read_text("utf-8"))
        assert found == [old, old, new]
        app.write_text(old, "utf-8")
        here.check(here.command("apply", *asked), code=0)
        assert app.read_text("utf-8") == new


def test_the_watch_sees_every_kind_of_file(tmp_path: Path) -> None:
    with lab(tmp_path, rows=ROWS) as here:
        points = points_of(here)
    names = {point.split(":", 1)[1].rpartition(":")[0] for point in points}
    assert names >= {
        *("commit:run.sqlite", "commit:cache.db", "write:log.jsonl", "write:lock", "fsync:looks.jsonl"),
        *("replace:config.yaml", "link:v2.yaml", "fsync:v2.yaml.new", "link:cache.db", "fsync:r", "mkdir:r"),
    }
    chosen = few_of_each(points)
    assert "half:write:log.jsonl:1" in chosen and "after:commit:run.sqlite:2" in chosen
