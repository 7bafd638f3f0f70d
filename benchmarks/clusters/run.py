"""How well clusters of failures agree with the true causes, where these are known.

python benchmarks/clusters/run.py                       # 20 seeds of everything, half a minute
python benchmarks/clusters/run.py --seeds 300:305 --only slots,heldout
python benchmarks/clusters/run.py --write               # and keep the tables in benchmarks/results/clusters.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import median

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.clusters import shipped  # noqa: E402
from benchmarks.clusters.agreement import Agreement, agreement, compared  # noqa: E402
from benchmarks.clusters.reasons import draw, large  # noqa: E402
from benchmarks.clusters.truth import PROMPTS, known  # noqa: E402
from benchmarks.search.worlds import FAMILIES, make_world  # noqa: E402
from optimizer.cluster import cluster  # noqa: E402
from optimizer.failures import Cluster  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "clusters.md"
SEEDS = range(300, 320)
"""None of them was looked at while the clusters were made."""
BANKS = {
    "tuning": "causes that the grouping was tuned on",
    "heldout": "others",
    "confusable": "causes that share words",
}
RAND, BCUBED = 0.85, 0.8
"""Targets."""
HEAD = (
    "| failures | rows | of one cause | causes | clusters | adjusted Rand | by what metrics say | extended B-cubed F1 |"
)
RULE = "|---|---:|---:|---:|---:|---:|---:|---:|"
INTRO = """\
# Clusters and true causes

Each figure is the median over seeds, with the worst seed in brackets. The adjusted Rand index is over failures with a \
single cause, of causes with 3 rows or more; extended B-cubed over all failures, whatever number of causes they have. \
Rows, causes and clusters are medians too. "By what metrics say" is the index of the partition by place, wanted and \
got: a prompt whose causes share all three cannot be told apart by them.
"""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=f"{SEEDS.start}:{SEEDS.stop}", help="FROM:TO, the end left out")
    parser.add_argument("--only", default="", help="families and banks, with commas between")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition(":")
    seeds = range(int(first), int(last))
    only = tuple(filter(None, asked.only.split(",")))
    text = "\n".join(_report(seeds, only))
    print(text)
    if asked.write:
        RESULTS.write_text(text + "\n", encoding="utf-8")


def _report(seeds: Sequence[int], only: Sequence[str]) -> Iterator[str]:
    yield INTRO
    yield f"Seeds {seeds[0]} to {seeds[-1]}. Targets: {RAND} and {BCUBED}.\n"
    families = [name for name in FAMILIES if make_world(name, seeds[0]).curable and (not only or name in only)]
    yield from _worlds(families, seeds)
    banks = [name for name in BANKS if not only or name in only]
    if banks:
        yield "\n## Reasons in free words\n\n" + HEAD + "\n" + RULE
    for name in banks:
        yield _row(f"`{name}`: {BANKS[name]}", [agreement(draw(name, seed)) for seed in seeds])
    if not only:
        yield from _shipped()
        yield from _speed()


def _worlds(families: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    if families:
        yield "## Worlds of the search benchmark, 100 train rows each\n\n" + HEAD + "\n" + RULE
    over: dict[int, list[Agreement]] = {seed: [] for seed in seeds}
    for family in families:
        for name, prompt in PROMPTS.items():
            found = []
            for seed in seeds:
                world = make_world(family, seed)
                found.append(agreement(known(world, prompt(world))))
                over[seed].append(found[-1])
            yield _row(f"`{family}`, {name}", found)
    if families:
        yield _mean(list(over.values()))


def _row(name: str, found: Sequence[Agreement]) -> str:
    rands = [one.rand for one in found if one.rand is not None]
    ceilings = [one.ceiling for one in found if one.ceiling is not None]
    counts = (
        [one.failures for one in found],
        [one.single for one in found],
        [one.causes for one in found],
        [one.clusters for one in found],
    )
    cells = [name, *(f"{median(values):.0f}" for values in counts)]
    return _line(
        [
            *cells,
            _told(rands, RAND),
            _told(ceilings) if ceilings else "",
            _told([one.bcubed.f1 for one in found], BCUBED),
        ]
    )


def _mean(seeds: Sequence[Sequence[Agreement]]) -> str:
    """The mean over families and prompts, seed by seed."""
    rands = [_average([one.rand for one in found if one.rand is not None]) for found in seeds]
    bcubed = [_average([one.bcubed.f1 for one in found]) for found in seeds]
    return _line(["**mean of these**", "", "", "", "", _told(rands, RAND), "", _told(bcubed, BCUBED)])


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _told(values: Sequence[float], target: float = 0.0) -> str:
    if not values:
        return "too few rows"
    short = "" if median(values) >= target else ", **below the target**"
    return f"{median(values):.2f} ({min(values):.2f}){short}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shipped() -> Iterator[str]:
    yield "\n## Eval sets that ship, train and val, offline stand-in\n\n" + HEAD + "\n" + RULE
    sets: dict[str, Callable[[], tuple[shipped.Causes, Sequence[Cluster]]]] = {
        "`romeo-bob`, seed": shipped.romeo_bob,
        "`reviews`, seed": lambda: shipped.reviews(json_asked=False),
        "`reviews`, JSON asked for": lambda: shipped.reviews(json_asked=True),
    }
    for name, made in sets.items():
        yield _row(name, [compared(*made())])


def _speed() -> Iterator[str]:
    yield "\n## Time for 10,000 failures\n\n| failures | clusters | CPU seconds |\n|---|---:|---:|"
    for name, made in large(Random(0)).items():
        start = time.process_time()
        found = cluster(made.examples, made.evaluation)
        yield f"| {name} | {len(found):,} | {time.process_time() - start:.1f} |"


if __name__ == "__main__":
    main()
