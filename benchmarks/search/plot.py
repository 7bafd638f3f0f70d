"""The plot: mean test score against search calls, a panel a family, as SVG written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

COLOURS = {
    "ours": "#0b6e4f",
    "ours+mined": "#5fb49c",
    "ours-mined-alone": "#b7d8cc",
    "gepa-3": "#e7a977",
    "gepa-8": "#d9822b",
    "gepa-16": "#a8480f",
    "mipro-light": "#8e9aaf",
    "mipro-medium": "#4a5a7a",
    "hrpo": "#9a4f96",
    "label-miner": "#bbbbbb",
}
WIDTH, HEIGHT = 340, 230
LEFT, TOP, RIGHT, BOTTOM = 40, 28, 10, 30
COLUMNS = 3
LEGEND = 30
FEWEST, MOST = 150, 4500
"""Ends of the logarithmic axis of calls."""
MANY = 4000
"""GEPA at so many calls is drawn as a dotted line, and so is part of the ceiling: what our arm is held to."""
OF_CEILING = 0.97


def draw(rows: Sequence[Mapping[str, Any]]) -> str:
    """The whole picture."""
    families = list(dict.fromkeys(row["family"] for row in rows))
    arms = [arm for arm in COLOURS if any(row["arm"] == arm for row in rows)]
    width = WIDTH * min(COLUMNS, len(families))
    height = HEIGHT * math.ceil(len(families) / COLUMNS) + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="10">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, family in enumerate(families):
        x, y = WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS)
        mine = [row for row in rows if row["family"] == family]
        parts += [f'<g transform="translate({x},{y})">', *_panel(family, mine, arms), "</g>"]
    foot = height - 10
    for number, arm in enumerate(arms):
        left = 12 + number * (width - 12) / len(arms)
        parts.append(f'<rect x="{left:.0f}" y="{foot - 8}" width="9" height="9" fill="{COLOURS[arm]}"/>')
        parts.append(f'<text x="{left + 13:.0f}" y="{foot}">{arm}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(family: str, rows: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> list[str]:
    ceiling = fmean(row["ceiling"] for row in rows)
    right = WIDTH - RIGHT
    parts = [f'<text x="{LEFT}" y="{TOP - 12}" font-weight="bold">{family}</text>']
    for score in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{_y(score):.1f}" y2="{_y(score):.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(score) + 3:.1f}" text-anchor="end">{score:.2f}</text>')
    for calls in (200, 600, 1500, 4000):
        parts.append(f'<text x="{_x(calls):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{calls:,}</text>')
    lines = {"ceiling": (ceiling, "#444", "4 3"), f"{OF_CEILING} of it": (OF_CEILING * ceiling, "#444", "1 3")}
    gepa = [row["score"] for row in rows if row["arm"].startswith("gepa") and row["budget"] == MANY]
    if gepa:
        lines[f"GEPA at {MANY:,}"] = (fmean(gepa), COLOURS["gepa-16"], "1 3")
    for told, (score, colour, dashes) in lines.items():
        y = f"{_y(score):.1f}"
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="{colour}" stroke-dasharray="{dashes}">'
            f"<title>{told}: {score:.3f}</title></line>"
        )
    for arm in arms:
        parts += _curve(arm, [row for row in rows if row["arm"] == arm])
    return parts


def _curve(arm: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    points = []
    # A run of MIPROv2 has a length of its own: one point. The label-miner stands at the left end, without calls.
    budgets = [None] if arm.startswith("mipro") else sorted({row["budget"] for row in rows})
    for budget in budgets:
        found = [row for row in rows if budget in (None, row["budget"])]
        if not found:
            continue
        points.append((_x(fmean(row["calls"] for row in found)), _y(fmean(row["score"] for row in found))))
    points.sort()
    colour = COLOURS[arm]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>', *dots]


def _x(calls: float) -> float:
    share = math.log(max(calls, FEWEST) / FEWEST) / math.log(MOST / FEWEST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(score: float) -> float:
    return HEIGHT - BOTTOM - score * (HEIGHT - TOP - BOTTOM)
