"""What a row costs: memory of `eval`, and CPU of keeping a row under way.

`eval` scores 1,000 and 100,000 rows in processes of their own, every row of train and val one call; a fifth of the
answers is wrong. Rows and results lie in temporary files, so that the largest resident set hardly grows. Beside it:
the CPU time that the executor takes for a row whose call costs nothing.

    python benchmarks/scale/memory.py                  # about 2 minutes
    python benchmarks/scale/memory.py --rows 20000
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.scale.server import serving  # noqa: E402
from benchmarks.scale.workspace import Ended, make, optimizer  # noqa: E402

if TYPE_CHECKING:
    from optimizer.dataset import Example
    from optimizer.outcome import Phase
    from optimizer.prompt import Prompt
    from optimizer.targets.base import Output

FEW = 1_000
MANY = 100_000
GROWTH = 1.3
"""Most that the peak may grow from few rows to many."""
SCHEDULING = 10.0
"""Most microseconds of CPU to keep a row under way."""


def score(rows: int, *, again: bool) -> tuple[Ended, ...]:
    """`eval` of so many rows; with `again` once more, everything cached."""
    with serving() as server, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eval_file = make(folder, rows, server.base_url)
        ended = tuple(optimizer(folder, "eval", str(eval_file)) for _ in range(1 + again))
    for one in ended:
        if one.code != 0:
            raise SystemExit(f"eval ended with {one.code}: {one.err[-500:]}")
    return ended


class Idle:
    """A target whose calls cost nothing."""

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        """Let others run, and answer."""
        from optimizer.results import Completion
        from optimizer.targets.base import Output

        await asyncio.sleep(0)
        return Output(completion=Completion(text="yes"))


def scheduling(rows: int) -> float:
    """Microseconds of CPU a row, the pass through the event loop included that each row's call makes."""
    from optimizer.dataset import Example
    from optimizer.executors.base import Job
    from optimizer.executors.local import LocalExecutor
    from optimizer.outcome import Phase
    from optimizer.prompt import Prompt

    prompt, target = Prompt(name="p", messages=(), variables=frozenset()), Idle()
    row = Example(id="r", inputs={})

    async def side_by_side() -> None:
        jobs = (Job(candidate=prompt, example=row, phase=Phase.SEARCH) for _ in range(rows))
        async with aclosing(LocalExecutor(concurrency=64).map(target, jobs)) as done:
            async for _ in done:
                pass

    start = time.process_time()
    asyncio.run(side_by_side())
    return (time.process_time() - start) / rows * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description="Memory of eval at many rows, CPU of scheduling a row.")
    parser.add_argument("--rows", type=int, default=MANY, help=f"how many are many ({MANY:,})")
    rows = max(parser.parse_args(arguments).rows, FEW)
    (few,), (many, cached) = score(FEW, again=False), score(rows, again=True)
    ratio = max(many.peak, cached.peak) / few.peak
    cost = min(scheduling(20_000) for _ in range(3))
    print("| rows | peak MB | wall s | CPU s |")
    print("|---|---:|---:|---:|")
    for name, one in ((f"{FEW:,}", few), (f"{rows:,}", many), (f"{rows:,}, all cached", cached)):
        print(f"| {name} | {one.peak:.0f} | {one.wall:.0f} | {one.cpu:.1f} |")
    print(f"\npeak grows {ratio:.2f}x (limit {GROWTH}); scheduling a row {cost:.1f} us of CPU (limit {SCHEDULING:.0f})")
    return 1 if ratio > GROWTH or cost > SCHEDULING else 0


if __name__ == "__main__":
    sys.exit(main())
