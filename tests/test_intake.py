"""What is said of an eval set before anything is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from optimizer.dataset import Split
from optimizer.intake import take_in
from optimizer.readers.config import load_config
from optimizer.scored import score

EVAL = "prompt: p.txt\ndata: d.jsonl\nmodel: offline\nmetrics: [contains]\n"
SHOWN = ("train-3", "test-4", "gone-1")


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


def test_rows_that_the_prompt_shows_are_named_and_judge_nothing(tmp_path):
    rows = [
        {"id": f"{split}-{n}", "q": f"q {split} {n}", "expected": "yes", "split": split}
        for split in ("train", "val", "test")
        for n in range(10)
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    demos = [{"id": f"D{n}", "row": row, "inputs": {"q": row}, "output": "yes"} for n, row in enumerate(SHOWN, 1)]
    prompt = {"messages": [{"role": "user", "content": "Answer: {{ q }}"}], "demos": demos}
    (tmp_path / "p.yaml").write_text(json.dumps(prompt), encoding="utf-8")
    (tmp_path / "e.yaml").write_text(EVAL.replace("p.txt", "p.yaml"), encoding="utf-8")
    config = load_config(tmp_path / "e.yaml")
    (warning,) = (told for told in take_in(config).warnings if "demos" in told)
    assert warning.endswith("p.yaml: demos: rows train-3, test-4 of the eval set, left out of every score")
    scored = asyncio.run(score(config, root=tmp_path, splits=list(Split)))
    assert {split.value: len(found.results) for split, found in scored.evaluations.items()} == {
        "train": 9,
        "val": 10,
        "test": 9,
    }
