"""What is said of an eval set before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path

from optimizer.intake import take_in
from optimizer.readers.config import load_config

EVAL = "prompt: p.txt\ndata: d.jsonl\nmodel: offline\nmetrics: [contains]\n"


def said(folder: Path, size: int) -> str:
    """The first line of a run on 120 test rows in groups of this size."""
    folder.mkdir()
    rows = [
        {"q": f"q {split} {n}", "expected": "yes", "split": split, "group": f"{split} {n // size}"}
        for split, count in (("train", 10), ("val", 10), ("test", 120))
        for n in range(count)
    ]
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "p.txt").write_text("Answer: {{ q }}", encoding="utf-8")
    (folder / "e.yaml").write_text(EVAL, encoding="utf-8")
    return take_in(load_config(folder / "e.yaml")).told()[0].reason


def test_what_a_test_can_show_depends_on_its_groups(tmp_path):
    assert said(tmp_path / "alone", 1).endswith("gains of about 11 points or more")
    assert said(tmp_path / "groups", 4).endswith("11 points or more, or 29 if rows of one group change together")
