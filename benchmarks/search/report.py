"""The table and the plot of the search benchmark, from its rows.

python benchmarks/search/report.py          # writes benchmarks/results/search.md and search.svg
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.search.plot import draw  # noqa: E402
from benchmarks.search.run import ARMS, RESULTS, rows_of  # noqa: E402
from benchmarks.search.worlds import FAMILIES, make_world  # noqa: E402

Row = Mapping[str, Any]
HEADLINE = "ours"
DRAWS = 4000
"""Bootstrap samples of an interval."""
TARGETS = ((600, 4000),)
"""Our budget and the peers' budget that it is held against."""
FEW_CALLS, OF_CEILING = 1500, 0.97
"""At so many calls, so much of the ceiling."""


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
        heads = [f"{budget:,}" for budget in budgets]
        lines.append(
            "| arm | " + " | ".join([*heads, "search calls", "of these reflection", "reflection tokens"]) + " |"
        )
        lines.append("|---|" + "---|" * (len(budgets) + 3))
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
    most = max(row["budget"] for row in rows)
    last = [row for row in rows if row["budget"] == most]
    for name in ("calls", "reflection_calls", "reflection_tokens"):
        cells.append(f"{fmean(row[name] for row in last):,.0f}")
    return f"| {arm} | " + " | ".join(cells) + " |"


def comparisons(rows: Sequence[Row]) -> list[str]:
    """Ours against each peer on the same worlds, and against the ceiling."""
    lines = ["", "## Paired differences", ""]
    lines += ["Ours minus the peer on the same worlds: mean, 95% bootstrap interval over seeds, worst seed.", ""]
    lines += ["| family | ours at | against | mean | 95% | worst | n |", "|---|---|---|---|---|---|---|"]
    for family in FAMILIES:
        at = _scores(row for row in rows if row["family"] == family)
        for few, many in TARGETS:
            for arm in ARMS:
                budgets = [budget for name, budget in at if name == arm]
                if arm.startswith("ours") or not budgets:
                    continue
                budget = max(known for known in budgets if known <= many)
                told = _paired(at.get((HEADLINE, few), {}), at[arm, budget])
                if told:
                    lines.append(f"| {family} | {few:,} | {arm} at {budget:,} | {told} |")
        told = _paired(at.get((HEADLINE, FEW_CALLS), {}), _ceilings(rows, family))
        if told and make_world(family, 0).curable:
            lines.append(f"| {family} | {FEW_CALLS:,} | {OF_CEILING} of the ceiling | {told} |")
    return lines


def _scores(rows: Iterable[Row]) -> dict[tuple[str, int], dict[int, float]]:
    """(arm, budget) -> seed -> score."""
    found: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for row in rows:
        found[row["arm"], row["budget"]][row["seed"]] = row["score"]
    return found


def _ceilings(rows: Sequence[Row], family: str) -> dict[int, float]:
    return {row["seed"]: OF_CEILING * row["ceiling"] for row in rows if row["family"] == family}


def _paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return ""
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    low, high = interval(differences)
    span = f"{low:+.3f} to {high:+.3f}" if len(seeds) > 1 else "one seed"
    return f"{fmean(differences):+.3f} | {span} | {min(differences):+.3f} | {len(seeds)}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95% percentile bootstrap of the mean."""
    rng = Random(0)
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(DRAWS))
    return means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS) - 1]


def page(rows: Sequence[Row]) -> str:
    """All of it."""
    versions = sorted({f"{name} {row[name]}" for row in rows for name in ("gepa", "dspy") if name in row})
    intro = [
        "# Search benchmark",
        "",
        "Synthetic worlds with known causes, served on loopback: see benchmarks/search/README.md. Search calls are",
        "task and reflection calls as the server counts them, baseline included; test and attribution are apart.",
        "The last three columns belong to the arm's largest budget. The worlds are a stand-in for real tasks: the",
        "figures compare searches on the same worlds, and say nothing of any real model.",
        f"Peers: {', '.join(versions) or 'none ran'}. MIPROv2 stands under the first budget that its own run fits in.",
        "",
        "![Test score against search calls](search.svg)",
    ]
    return "\n".join([*intro, *table(rows), *comparisons(rows)]) + "\n"


def main() -> None:
    """Write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    rows = rows_of(chosen.results)
    if not rows:
        sys.exit(f"{chosen.results}: no rows of these worlds yet; run benchmarks/search/run.py")
    chosen.results.with_suffix(".md").write_text(page(rows), encoding="utf-8")
    chosen.results.with_suffix(".svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
