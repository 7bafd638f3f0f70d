from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.speed import commands, ours, report
from benchmarks.speed import run as bench
from benchmarks.speed.task import Cell, Found, Took
from optimizer.intake import take_in
from optimizer.readers.config import load_config

ROWS = 24


def test_what_is_timed_asks_each_row_once_and_then_never_again(tmp_path: Path) -> None:
    with bench.server() as url:
        bench.told(url, "latency/0.001")
        config = load_config(ours.workspace(tmp_path, url, ROWS, 4))
        loaded = take_in(config)
        first = asyncio.run(ours.run(config, loaded, tmp_path))
        asked = bench.told(url, "stats")
        again = [asyncio.run(work(config, loaded, tmp_path)) for work in (ours.run, ours.evaluate)]
        bare = asyncio.run(ours.bare(url, ROWS, 4))
        after = bench.told(url, "stats")
    assert [(took.rows, took.score) for took in (first, *again)] == [(ROWS, 1.0)] * 3
    assert (asked["requests"], after["requests"], bare) == (ROWS, 2 * ROWS, 1.0)
    assert 1 <= asked["peak"] <= 4
    assert after["cpu"] > 0


def test_peers_that_are_not_there_are_named_and_left_out() -> None:
    asked = bench.Asked(url="http://127.0.0.1:9", rows=1, peers="no-such-python", promptfoo=("no-such-promptfoo",))
    assert bench.installed(asked) == {}
    found = Found(cells={name: [cell(100.0)] for name in ("ours", "bare")}, missing=["dspy"])
    text = report.page(found, rows=2, longer=3, in_flight=4, repeats=1)
    assert "Not installed, and left out: dspy." in text
    assert "DSPy" not in text


def test_the_page_takes_ratios_turn_by_turn() -> None:
    cells = {
        "ours": [cell(700.0), cell(70.0), cell(650.0)],
        "dspy": [cell(100.0), cell(10.0), cell(130.0)],
        "bare": [cell(1000.0)] * 3,
        "ours-50": [cell(700.0)],
        "bare-50": [cell(1000.0)],
    }
    text = report.page(Found(cells=cells), rows=2, longer=3, in_flight=4, repeats=3)
    assert "| DSPy | 6 x | 7.0 (5.0 to 7.0) x | met | 1.0 x |" in text
    assert "| bare aiohttp | 0.75 x | 0.70 (0.70 to 0.70) x | **missed** | 1.00 x |" in text
    assert "at most 0.5 ms wanted: 0.40 ms at 20 ms a call (met)" in text


def test_commands_are_told_the_same_task(tmp_path: Path) -> None:
    arguments = commands.promptfoo(tmp_path, "http://127.0.0.1:9", 3, 8)
    written = (tmp_path / "promptfooconfig.yaml").read_text("utf-8")
    assert written.count("liked it") == 3 * 4
    assert "--no-cache" in arguments
    evaluated = commands.ours(tmp_path, "http://127.0.0.1:9", 3, 8)
    assert load_config(tmp_path / evaluated[1]).concurrency == 8


def cell(rate: float) -> Cell:
    took = Took(rows=100, wall=100 / rate, cpu=0.04, score=1.0)
    return Cell(took=took, requests=100, peak=4, server=0.003)


@pytest.mark.parametrize("answer", [0.0, 0.5])
def test_a_wrong_answer_ends_it(answer: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "told", lambda url, path: {"requests": 1, "peak": 1, "cpu": 0.1})
    asked = bench.Asked(url="", rows=1, peers="", promptfoo=())
    with pytest.raises(SystemExit, match="wrong answer"):
        bench.turn(asked, 0.0, lambda: Took(rows=1, wall=1.0, cpu=1.0, score=answer))
