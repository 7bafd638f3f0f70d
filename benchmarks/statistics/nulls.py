"""How often a claim is made where two candidates are equally good.

    python benchmarks/statistics/nulls.py             # the tables, printed
    python benchmarks/statistics/nulls.py --write     # and kept in benchmarks/results/statistics-nulls.md

Nothing is searched here: two columns of outcomes are drawn and compared as the end of a run compares them, through
`compare` and `verdict`, with looks counted in a ledger on disk. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from optimizer.intervals import pass_fail_interval  # noqa: E402
from optimizer.outcome import Comparison, Verdict  # noqa: E402
from optimizer.results import Evaluation, Result, Score  # noqa: E402
from optimizer.stats import compare, gain_is_shown, mid_p  # noqa: E402
from optimizer.store.looks import Look, count_look  # noqa: E402
from optimizer.verdict import verdict  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "statistics-nulls.md"
SIZES = (24, 40, 60, 80, 120, 200, 400)
SHARES = (0.05, 0.1, 0.15, 0.2)
MOST = 0.04
"""Claims that are bearable."""
LOOKS = 10
MOST_EVER = 0.05
"""Series of ten runs on one split that may ever claim."""
RIGHT = 0.7
"""Part of the rows that do not change which pass under both candidates."""


@cache
def _result(row: int, passed: bool) -> Result:
    score = Score(metric="m", value=float(passed), passed=passed)
    return Result(example=f"r{row:04}", candidate="c", scores=(score,))


def evaluation(outcomes: Sequence[bool]) -> Evaluation:
    """One candidate's rows."""
    results = (_result(row, passed) for row, passed in enumerate(outcomes))
    return Evaluation(candidate="c", results={result.example: result for result in results})


def claim(
    before: Sequence[bool], after: Sequence[bool], look: int = 1, groups: Mapping[str, str] | None = None
) -> Verdict:
    """What a run would say of these outcomes."""
    found = compare(evaluation(before), evaluation(after), look=look, groups=groups)
    return verdict(found, rows=len(before))[0]


def equal_pair(rng: random.Random, n: int, share: float) -> tuple[list[bool], list[bool]]:
    """Outcomes of two candidates: this share of the rows is expected to differ, either way alike."""
    before, after = [], []
    for _ in range(n):
        differs, first = rng.random() < share, rng.random()
        before.append(first < (0.5 if differs else RIGHT))
        after.append(before[-1] is not differs)
    return before, after


def single(tests: int) -> str:
    """The table of single tests."""
    lines = [
        f"| n | {' | '.join(f'{100 * share:.0f}% differ: drawn | exact' for share in SHARES)} |",
        f"|---:|{'---:|---:|' * len(SHARES)}",
    ]
    claims, losses, highest = 0, 0, 0.0
    for n in SIZES:
        shown = []
        for share in SHARES:
            rng = random.Random(f"{n} {share}")
            made = [claim(*equal_pair(rng, n, share)) for _ in range(tests)]
            gains = made.count(Verdict.GAIN_SHOWN)
            claims, losses = claims + gains, losses + made.count(Verdict.WORSE)
            exact = exact_rate(n, share)
            highest = max(highest, gains / tests, exact)
            shown.append(f"{100 * gains / tests:.2f} | {100 * exact:.2f}")
        lines.append(f"| {n} | {' | '.join(shown)} |")
        print(lines[-1], flush=True)
    total = tests * len(SIZES) * len(SHARES)
    met = "met" if highest <= MOST else "NOT met"
    lines += [
        "",
        f"Of all {total:,} tests {claims} said GAIN SHOWN ({100 * claims / total:.2f}%), and {losses} said WORSE "
        f"({100 * losses / total:.2f}%). Target, GAIN SHOWN in at most 4% in every cell: {met} "
        f"(highest {100 * highest:.2f}%).",
    ]
    return "\n".join(lines)


def exact_rate(n: int, share: float) -> float:
    """Chance of GAIN SHOWN, every number of rows up and down enumerated."""
    rate = 0.0
    for differ in range(n + 1):
        chance = math.comb(n, differ) * share**differ * (1 - share) ** (n - differ)
        if chance > 1e-12:
            ways = sum(math.comb(differ, up) for up in range(differ + 1) if _claimed(up, differ - up, n))
            rate += chance * (ways / 2**differ)
    return rate


@cache
def _claimed(up: int, down: int, n: int) -> bool:
    if up <= down:
        return False
    made = Comparison(
        n=n,
        baseline=0.5,
        winner=0.5,
        gain=(up - down) / n,
        ci=pass_fail_interval(up, down, n),
        p=mid_p(up, down),
        discordant=up + down,
        look=1,
    )
    return gain_is_shown(made)


def series(times: int) -> str:
    """The table of ten runs on one split, each with a new candidate that is no better than the seed."""
    lines = ["| n | rows that differ | ever claimed | of these at the first look | counted as first looks |"]
    lines.append("|---:|---:|---:|---:|---:|")
    highest = 0.0
    for n in (40, 120, 400):
        for share in (0.1, 0.2):
            rng = random.Random(f"series {n} {share}")
            ever, first, uncounted = 0, 0, 0
            for _ in range(times):
                verdicts, careless = ten_runs(rng, n, share)
                ever += Verdict.GAIN_SHOWN in verdicts
                first += verdicts[0] is Verdict.GAIN_SHOWN
                uncounted += careless
            highest = max(highest, ever / times)
            lines.append(
                f"| {n} | {100 * share:.0f}% | {100 * ever / times:.2f}% | {100 * first / times:.2f}% | "
                f"{100 * uncounted / times:.2f}% |"
            )
            print(lines[-1], flush=True)
    met = "met" if highest <= MOST_EVER else "NOT met"
    lines += ["", f"Target, at most 5% ever claim: {met} (highest {100 * highest:.2f}%)."]
    return "\n".join(lines)


def ten_runs(rng: random.Random, n: int, share: float) -> tuple[list[Verdict], bool]:
    """Verdicts of ten runs from one seed on one test split, and whether any would have claimed at a first look.

    A part of the rows is right one time in two under any prompt, the others always or never. The seed's outcomes are
    drawn once: where it had bad luck, all ten candidates look better, as they would.
    """
    unsure = [rng.random() < 2 * share for _ in range(n)]
    steady = [rng.random() < RIGHT for _ in range(n)]
    seed = [rng.random() < 0.5 if open_ else sure for open_, sure in zip(unsure, steady, strict=True)]
    verdicts, careless = [], False
    with tempfile.TemporaryDirectory() as folder:
        for run in range(LOOKS):
            after = [rng.random() < 0.5 if open_ else sure for open_, sure in zip(unsure, steady, strict=True)]
            look = Look(split="rows", baseline="seed", winner=f"winner {run}", model="m", metrics="m")
            number = count_look(Path(folder), look)
            found = compare(evaluation(seed), evaluation(after), look=number)
            verdicts.append(verdict(found, rows=n)[0])
            careless |= gain_is_shown(replace(found, look=1))
    return verdicts, careless


def grouped(tests: int) -> str:
    """The table of groups whose rows change together."""
    lines = ["| groups | rows alike | by group | as if rows were independent |", "|---|---:|---:|---:|"]
    highest = 0.0
    for count, sizes in ((12, (5,)), (24, (5,)), (60, (3,)), (40, (1, 1, 1, 20))):
        for alike in (0.0, 0.5, 1.0):
            rng = random.Random(f"groups {count} {sizes} {alike}")
            told, naive = 0, 0
            for _ in range(tests):
                before, after, groups = equal_groups(rng, count, sizes, alike)
                told += claim(before, after, groups=groups) is Verdict.GAIN_SHOWN
                naive += claim(before, after) is Verdict.GAIN_SHOWN
            highest = max(highest, told / tests)
            sized = " or ".join(str(size) for size in dict.fromkeys(sizes))
            lines.append(
                f"| {count} of {sized} | {100 * alike:.0f}% | {100 * told / tests:.2f}% | {100 * naive / tests:.2f}% |"
            )
            print(lines[-1], flush=True)
    met = "met" if highest <= MOST else "NOT met"
    lines += ["", f"Target, GAIN SHOWN in at most 4%: {met} by group (highest {100 * highest:.2f}%)."]
    return "\n".join(lines)


def equal_groups(
    rng: random.Random, count: int, sizes: Sequence[int], alike: float
) -> tuple[list[bool], list[bool], dict[str, str]]:
    """Two equal candidates on rows in groups; a row shares its group's outcomes with this chance."""
    before: list[bool] = []
    after: list[bool] = []
    groups = {}
    for group in range(count):
        ((first,), (second,)) = equal_pair(rng, 1, 0.3)
        for _ in range(rng.choice(sizes)):
            groups[f"r{len(before):04}"] = f"g{group}"
            if rng.random() >= alike:
                ((first_own,), (second_own,)) = equal_pair(rng, 1, 0.3)
                before.append(first_own)
                after.append(second_own)
            else:
                before.append(first)
                after.append(second)
    return before, after, groups


def page(tests: int) -> str:
    """All tables with what they mean."""
    return "\n\n".join(
        [
            "# Claims where nothing is better",
            "Two candidates that are equally good, compared as the end of a run compares them. In percent: how often "
            "the verdict was GAIN SHOWN all the same.",
            "## One test",
            f"{tests:,} tests a cell, through `compare` and `verdict`; *exact* is the same rule with every number of "
            "rows up and down enumerated.",
            single(tests),
            "## Ten runs on one test split",
            f"{tests:,} series. The seed's outcomes are drawn once a series, ten candidates after it; looks are "
            "counted in the ledger, so that the k-th is held to 0.025 / 2^(k-1). The last column is what would be "
            "claimed if each of the ten took itself for the first.",
            series(tests),
            "## Groups",
            f"{tests:,} tests a row; 30% of the outcomes differ. Rows of one group change together with the stated "
            "probability.",
            grouped(tests),
            f"`python benchmarks/statistics/nulls.py --write`, Python {platform.python_version()}, seeds fixed.\n",
        ]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Claims where nothing is better.")
    parser.add_argument("--tests", type=int, default=2000, help="tests a cell, and series")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    chosen = parser.parse_args()
    told = page(chosen.tests)
    print(told)
    if chosen.write:
        RESULTS.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
