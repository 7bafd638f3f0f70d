"""The table and the plot of the search benchmark, from its rows.

python benchmarks/search/report.py          # writes benchmarks/results/search.md and search.svg
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.search.plot import MANY, OF_CEILING, draw  # noqa: E402
from benchmarks.search.run import ARMS, PACKAGES, RESULTS, TUNING, best_gepa, rows_of  # noqa: E402
from benchmarks.search.worlds import FAMILIES, make_world  # noqa: E402
from optimizer.intervals import paired_interval  # noqa: E402

Row = Mapping[str, Any]
HEADLINE = "ours"
FEW = 600
"""Ours at so many search calls is held against GEPA at MANY."""
MORE = 1500
"""Ours at so many is held against OF_CEILING of the ceiling."""
LEAST_SEEDS = 6
"""With fewer there is no interval."""
COLUMNS = {
    "calls": "search calls",
    "reflection_calls": "of these reflection",
    "reflection_tokens": "reflection tokens",
    "task_tokens": "task tokens",
}
"""Key of a row -> head of its column."""
MOST_REFLECTION = 40
"""Reflection calls of one run of ours, at most."""


def table(rows: Sequence[Row]) -> list[str]:
    """Score by arm and budget, a table a family."""
    lines: list[str] = []
    for family in FAMILIES:
        mine = [row for row in rows if row["family"] == family]
        if not mine:
            continue
        budgets = sorted({row["budget"] for row in mine})
        seeds = sorted({row["seed"] for row in mine})
        start, top = fmean(row["seed_score"] for row in mine), fmean(row["ceiling"] for row in mine)
        lines += ["", f"## {family}", ""]
        lines += [f"Seed prompt {start:.2f}, ceiling {top:.2f}; {len(seeds)} seeds. Mean test score (runs).", ""]
        heads = [*(f"{budget:,}" for budget in budgets), *COLUMNS.values()]
        lines.append(f"| arm | {' | '.join(heads)} |")
        lines.append("|---|" + "---|" * len(heads))
        for arm in ARMS:
            found = [row for row in mine if row["arm"] == arm]
            if found:
                lines.append(_line(arm, found, budgets))
    return lines


def _line(arm: str, rows: Sequence[Row], budgets: Sequence[int]) -> str:
    cells = []
    for budget in budgets:
        scores = [row["score"] for row in rows if row["budget"] == budget]
        cells.append(f"{fmean(scores):.2f} ({len(scores)})" if scores else "")
    for name in COLUMNS:
        cells.append(f"{fmean(row[name] for row in _last(rows)):,.0f}")
    return f"| {arm} | " + " | ".join(cells) + " |"


def _last(rows: Iterable[Row]) -> list[Row]:
    """Of each seed the row with the largest budget."""
    found: dict[int, Row] = {}
    for row in sorted(rows, key=lambda row: row["budget"]):
        found[row["seed"]] = row
    return list(found.values())


def targets(rows: Sequence[Row], tuned: Sequence[Row]) -> list[str]:
    """What the headline arm is held to, family by family, and whether it holds."""
    lines = ["", "## Targets", ""]
    lines += [f"`{HEADLINE}` on seeds that nothing was tuned on: mean difference, 95% interval, whether it holds.", ""]
    lines += [
        f"| family | {FEW:,} calls against GEPA at {MANY:,} | {MORE:,} calls against {OF_CEILING} of the ceiling | "
        f"most reflection calls up to {MORE:,} | n |",
        "|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        mine = [row for row in rows if row["family"] == family]
        at = _scores(mine)
        if mine and make_world(family, 0).curable:
            gepa = at.get((best_gepa(family, tuned), MANY), {})
            top = {row["seed"]: OF_CEILING * row["ceiling"] for row in mine}
            asked = [r["reflection_calls"] for r in mine if r["arm"] == HEADLINE and r["budget"] <= MORE]
            few, more = _told(at.get((HEADLINE, FEW), {}), gepa), _told(at.get((HEADLINE, MORE), {}), top)
            kept = "holds" if max(asked, default=0) <= MOST_REFLECTION else "**does not hold**"
            told = f"{max(asked)}: {kept}" if asked else "not run"
            lines.append(f"| {family} | {few} | {more} | {told} | {len(at.get((HEADLINE, FEW), {}))} |")
    return lines


def _told(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not differences:
        return "not run"
    held = "holds" if fmean(differences) >= 0 else "**does not hold**"
    return f"{fmean(differences):+.3f} ({_span(differences)}): {held}"


def _span(differences: Sequence[float]) -> str:
    if len(differences) < LEAST_SEEDS:
        return "too few seeds"
    low, high = paired_interval([[difference] for difference in differences])
    return f"{low:+.3f} to {high:+.3f}"


def comparisons(rows: Sequence[Row]) -> list[str]:
    """Ours at each of two budgets against each other arm at the end of its run, on the same worlds."""
    lines = ["", "## Paired differences", ""]
    lines += ["Ours minus the peer on the same worlds: mean, 95% interval over seeds, worst seed.", ""]
    lines += ["| family | ours at | against | mean | 95% | worst | n |", "|---|---|---|---|---|---|---|"]
    for family in FAMILIES:
        mine = [row for row in rows if row["family"] == family]
        at = _scores(mine)
        for arm in ARMS:
            theirs = _last(row for row in mine if row["arm"] == arm)
            scores = {row["seed"]: row["score"] for row in theirs}
            for few in (FEW, MORE):
                ours = at.get((HEADLINE, few), {})
                differences = [ours[seed] - scores[seed] for seed in sorted(ours.keys() & scores.keys())]
                if differences and not arm.startswith(HEADLINE):
                    calls = fmean(row["calls"] for row in theirs)
                    lines.append(
                        f"| {family} | {few:,} | {arm} at {calls:,.0f} | {fmean(differences):+.3f} | "
                        f"{_span(differences)} | {min(differences):+.3f} | {len(differences)} |"
                    )
    return lines


def _scores(rows: Iterable[Row]) -> dict[tuple[str, int], dict[int, float]]:
    """(arm, budget) -> seed -> score."""
    found: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for row in rows:
        found[row["arm"], row["budget"]][row["seed"]] = row["score"]
    return found


def page(rows: Sequence[Row], tuned: Sequence[Row] = ()) -> str:
    """All of it; `tuned` are the rows that GEPA's minibatch is chosen by."""
    versions = sorted({f"{name} {row[name]}" for row in rows for name in PACKAGES.values() if name in row})
    intro = [
        "# Search benchmark",
        "",
        "Synthetic worlds with known causes, served on loopback: see benchmarks/search/README.md. Search calls are",
        "task and reflection calls as the server counts them, baseline included; test and attribution are apart.",
        "The last columns belong to the arm's largest budget. The worlds are a stand-in for real tasks: the",
        "figures compare searches on the same worlds, and say nothing of any real model.",
        f"Peers: {', '.join(versions) or 'none ran'}. MIPROv2 stands under the first budget that its own run fits in.",
        "",
        "![Test score against search calls](search.svg)",
        "",
        f"Dashed is the ceiling; dotted are {OF_CEILING} of it and, in GEPA's colour, GEPA at {MANY:,} calls.",
    ]
    return "\n".join([*intro, *targets(rows, tuned), *table(rows), *comparisons(rows)]) + "\n"


def main() -> None:
    """Write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    rows = rows_of(chosen.results)
    if not rows:
        sys.exit(f"{chosen.results}: no rows of these worlds yet; run benchmarks/search/run.py")
    chosen.results.with_suffix(".md").write_text(page(rows, rows_of(TUNING)), encoding="utf-8")
    chosen.results.with_suffix(".svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
