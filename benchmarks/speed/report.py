"""The page of the figures: medians and ranges, our ratio to each peer turn by turn, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.speed.task import Cell, Found

NAMES = {
    "ours": "a run's baseline: gate, cache and run store",
    "command": "`optimizer eval`, net of its start",
    "bare": "bare aiohttp, nothing kept",
    "dspy": "DSPy `Evaluate`",
    "gepa": "GEPA default adapter",
    "promptfoo": "promptfoo, net of its start",
    "ours-50": "a run's baseline: gate, cache and run store",
    "bare-50": "bare aiohttp, nothing kept",
    "rerun-eval": "`optimizer eval` again: cache",
    "rerun-run": "a run's baseline again: cache and run store",
    "rerun-dspy": "DSPy `Evaluate` again: its disk cache",
}
CPU_TARGET = 0.5
"""CPU milliseconds a call."""


def page(found: Found, *, rows: int, longer: int, in_flight: int, repeats: int) -> str:
    """Markdown."""
    cells = found.cells
    gone = f"Not installed, and left out: {', '.join(found.missing)}." if found.missing else ""
    parts = [
        "# Speed beside the peers",
        f"{rows:,} rows, {in_flight} in flight, one OpenAI-protocol server on loopback; {repeats} turns of each, in "
        "turn, each in a process of its own. Median (least to most). A ratio is that of two figures of the same turn; "
        "its median counts. Start-up, imports and warm-up are nobody's.",
        gone,
        f"## {rows:,} rows, 20 ms a call",
        table(cells, ("ours", "command", "bare", "dspy", "gepa", "promptfoo")),
        goals(
            cells,
            (
                ("ours", "dspy", 6.0, "DSPy"),
                ("ours", "gepa", 15.0, "GEPA's adapter"),
                ("ours", "promptfoo", 10.0, "promptfoo"),
                ("command", "promptfoo", 10.0, "promptfoo, command against command"),
            ),
        ),
        f"## {longer * rows:,} rows, 50 ms a call",
        table(cells, ("ours-50", "bare-50")),
        goals(cells, (("ours-50", "bare-50", 0.75, "bare aiohttp"),)),
        cpu_goal(cells, ("ours", "ours-50")),
        f"## {rows:,} rows again, all in the cache",
        table(cells, ("rerun-eval", "rerun-run", "rerun-dspy")),
        goals(cells, (("rerun-eval", "rerun-dspy", 20.0, "DSPy"), ("rerun-run", "rerun-dspy", 20.0, "DSPy, store on"))),
        server_line(cells),
    ]
    return "\n\n".join(part for part in parts if part)


def table(cells: dict[str, list[Cell]], names: Sequence[str]) -> str:
    """One row a contestant."""
    lines = ["| | rows/s | CPU ms a row | requests | at once |", "|---|---:|---:|---:|---:|"]
    for name in names:
        if name in cells:
            turns = cells[name]
            rate = spread([one.took.rows / one.took.wall for one in turns], ",.0f")
            cost = spread(cpu(turns), ".2f")
            lines.append(f"| {NAMES[name]} | {rate} | {cost} | {turns[-1].requests:,} | {turns[-1].peak} |")
    return "\n".join(lines)


def goals(cells: dict[str, list[Cell]], wanted: Sequence[tuple[str, str, float, str]]) -> str:
    """What was to be reached, and whether it was."""
    lines = ["| rate against | wanted | is | | CPU a row, theirs by ours |", "|---|---:|---:|---|---:|"]
    for ours, theirs, least, name in wanted:
        if ours in cells and theirs in cells:
            found = ratios(cells[ours], cells[theirs])
            form = ".2f" if least < 1 else ".1f"
            met = "met" if statistics.median(found) >= least else "**missed**"
            cost = statistics.median(cpu(cells[theirs])) / statistics.median(cpu(cells[ours]))
            lines.append(f"| {name} | {least:g} x | {spread(found, form)} x | {met} | {cost:{form}} x |")
    return "\n".join(lines) if len(lines) > 2 else ""


def cpu(turns: Sequence[Cell]) -> list[float]:
    """CPU milliseconds a row."""
    return [1000 * one.took.cpu / one.took.rows for one in turns]


def ratios(ours: Sequence[Cell], theirs: Sequence[Cell]) -> list[float]:
    """How often our rate is theirs, turn by turn."""
    return [
        (one.took.rows / one.took.wall) / (other.took.rows / other.took.wall)
        for one, other in zip(ours, theirs, strict=True)
    ]


def cpu_goal(cells: dict[str, list[Cell]], names: Sequence[str]) -> str:
    """Whether a call costs no more CPU than it may."""
    said = []
    for name in names:
        if name in cells:
            cost = statistics.median(cpu(cells[name]))
            bare = cpu(cells[name.replace("ours", "bare")])
            latency = 50 if name.endswith("50") else 20
            met = "met" if cost <= CPU_TARGET else "**missed**"
            said.append(
                f"{cost:.2f} ms at {latency} ms a call ({met}), {cost / statistics.median(bare):.1f} times bare aiohttp"
            )
    return f"CPU of a call on the whole path, at most {CPU_TARGET:g} ms wanted: {'; '.join(said)}."


def server_line(cells: dict[str, list[Cell]]) -> str:
    """How far the server is from being what is measured."""
    turns = [one for name in ("ours", "bare", "ours-50", "bare-50") for one in cells.get(name, []) if one.requests]
    cost = statistics.median(one.server / one.requests for one in turns)
    fastest = max(one.took.rows / one.took.wall for one in turns)
    return (
        f"The server spent {1e6 * cost:.0f} us of CPU a request, so it could answer {1 / cost:,.0f} a second: "
        f"{1 / cost / fastest:.0f} times the fastest rate above. It shares the cores with the contestants."
    )


def spread(values: Sequence[float], form: str) -> str:
    """`12 (10 to 15)`."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({least:{form}} to {most:{form}})"
