"""A disk of a few hundred kilobytes, and real runs on it. A process of its own, since a mount is seen by its own alone.

`unshare --mount python -m tests.faults.full_disk FOLDER WHAT=KB...` ends with code 0 where every invariant held.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.faults.lab import RUN, Lab, lab

ROOM = 64 * 1024
"""Kilobytes of the disk; what is too much is filled."""
ROWS = 12
CALLS = 120


def full(folder: Path, kilobytes: int, what: str) -> None:
    """Fill a disk but for some kilobytes, run into its end, free it, and go on.

    Args:
        folder: an empty one.
        kilobytes: what is left free.
        what: `workspace` or `cache`: what lies on that disk.
    """
    with lab(folder, rows=ROWS, calls=CALLS, concurrency=4) as here:
        disk = here.folder if what == "workspace" else here.folder / ".optimizer" / "cache"
        files = {path: path.read_bytes() for path in here.folder.rglob("*") if path.is_file()}
        disk.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}k", "tmpfs", str(disk)], check=True)
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        filler = disk / "filler"
        with filler.open("wb") as file:
            left = ROOM - kilobytes
            file.write(b"x" * left * 1024)
        try:
            _runs_into_it(here, files, what)
            filler.unlink()
            done = here.run()
            here.check(done, code=0, says="verdict:", same=True)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _runs_into_it(here: Lab, files: dict[Path, bytes], what: str) -> None:
    done = here.run()
    here.check(done, code=7, says=("no space left", "run paused, ", " answers kept; go on with: optimizer run"))
    # Where both lie on the disk, either may find it full.
    files_named = (".optimizer/cache", f"runs/{RUN}/")[: 1 + (what == "workspace")]
    assert any(file in done.err for file in files_named), done.err
    assert len(here.meter.log) < len(here.keys()) + here.concurrency
    assert {path: path.read_bytes() for path in files} == files, "what was there before is as it was"
    told = int(done.err.partition("run paused, ")[2].split()[0])
    assert len(here.meter.log) - here.concurrency <= told <= len(here.meter.log), done.err


if __name__ == "__main__":
    for number, case in enumerate(sys.argv[2:]):
        lies_there, _, free = case.partition("=")
        folder = Path(sys.argv[1]) / str(number)
        folder.mkdir()
        full(folder, int(free), lies_there)
