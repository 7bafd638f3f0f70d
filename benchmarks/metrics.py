"""What a metric costs: a trivial check of each kind, in calls a second and microseconds of our time a call.

    python benchmarks/metrics.py             # print the table
    python benchmarks/metrics.py --write     # and keep it in benchmarks/results/metrics.md

All run in turns in one process on the same 2,000 outputs, three times; the table has the median of each. The last
column is the ratio to `contains`, which does next to nothing and so shows what the seam itself costs. Run it on a
quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from optimizer.config import MetricSpec  # noqa: E402
from optimizer.dataset import Example  # noqa: E402
from optimizer.metrics import Check, MetricContext, Negated, build_metric  # noqa: E402
from optimizer.metrics.process import SIDE_BY_SIDE, processes  # noqa: E402
from optimizer.results import Completion  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "metrics.md"
CALLS = 2_000
TURNS = 3
FUNCTION = "def score(context):\n    return 'Bob' in context.output\n"
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}
LONG = 20_000
"""Characters of an output that a pattern is not searched on here."""


def contexts(length: int) -> list[MetricContext]:
    """Rows with outputs of a length."""
    question = "Who is the one that loves Juliet, and what is he called in this house?"
    text = '{"name": "Bob", "said": "' + "It is the east, and Juliet is the sun. " * (length // 39 + 1)
    output = text[: length - 2] + '"}'
    return [
        MetricContext(
            example=Example(id=f"row-{number}", inputs={"question": question}, expected="Bob"),
            completion=Completion(text=output),
        )
        for number in range(CALLS)
    ]


async def timed(metric: Check | Negated, rows: list[MetricContext], at_once: int) -> tuple[float, float]:
    """(seconds, processor seconds of this process)."""
    waiting = iter(rows)

    async def work() -> None:
        for context in waiting:
            await metric.score(context)

    await metric.make_ready()
    await metric.score(rows[0])
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.perf_counter() - began, time.process_time() - used


async def measured(folder: Path) -> list[tuple[str, float, float]]:
    """(what, calls a second, microseconds of our time a call), medians."""
    (folder / "checks.py").write_text(FUNCTION, encoding="utf-8")
    plain, long = contexts(300), contexts(LONG)
    cases: list[tuple[str, MetricSpec, list[MetricContext], int]] = [
        ("contains", MetricSpec(name="contains"), plain, 1),
        ("regex, here", MetricSpec(name="regex", args={"pattern": r"\bBob\b"}), plain, 1),
        ("regex, in a process", MetricSpec(name="regex", args={"pattern": r"\bBob\b"}), long, 1),
        ("json with a schema, here", MetricSpec(name="json", args={"schema": SCHEMA}), plain, 1),
        ("python, one row at a time", MetricSpec(name="python", args={"function": "checks.py:score"}), plain, 1),
        (
            f"python, {SIDE_BY_SIDE} rows at a time",
            MetricSpec(name="python", args={"function": "checks.py:score"}),
            plain,
            SIDE_BY_SIDE,
        ),
    ]
    metrics = {what: build_metric(spec, folder) for what, spec, _, _ in cases}
    times: dict[str, list[tuple[float, float]]] = {what: [] for what in metrics}
    with processes():
        for _ in range(TURNS):
            for what, _, rows, at_once in cases:
                times[what].append(await timed(metrics[what], rows, at_once))
    return [
        (
            what,
            CALLS / statistics.median(seconds for seconds, _ in found),
            1e6 * statistics.median(used for _, used in found) / CALLS,
        )
        for what, found in times.items()
    ]


def table(figures: list[tuple[str, float, float]]) -> str:
    """As Markdown."""
    first = figures[0][1]
    lines = [
        f"| metric, {CALLS:,} calls | calls a second | our processor time a call, us | time, contains = 1 |",
        "|---|---:|---:|---:|",
        *(f"| {what} | {rate:,.0f} | {used:.0f} | {first / rate:.1f} |" for what, rate, used in figures),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep where asked."""
    parser = argparse.ArgumentParser(description="What a metric costs.")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/metrics.md")
    wanted = parser.parse_args()
    with TemporaryDirectory() as name:
        figures = asyncio.run(measured(Path(name)))
    text = table(figures)
    print(text)
    if wanted.write:
        where = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
        RESULTS.write_text(
            f"# What a metric costs\n\n`python benchmarks/metrics.py --write`, {where}.\n\n{text}\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
