"""Our search on many worlds in one process, for tuning it: no server, no sockets, no files on a disk.

    python benchmarks/search/tune.py                                          # all families, seeds 100:103, 600 calls
    python benchmarks/search/tune.py --families slots,style --seeds 100:106 --budgets 600,1500
    python benchmarks/search/tune.py --families slots --seeds 100 --keep runs-here    # keeps the runs' folders
    python benchmarks/search/tune.py --profile                                # where the time goes, after the table

A line a run: score on test, ceiling, seed prompt, search calls and how many of them were reflection; then means by
family and budget. The figures are those of `run.py`: the same worlds, counts and phases, asked without a network.
Tune on seeds from 100 on; those of the comparison (200 and up) are for `run.py` alone.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory, gettempdir
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.search.arms import ours  # noqa: E402
from benchmarks.search.endpoint import Endpoint  # noqa: E402
from benchmarks.search.prompts import ceiling_prompt  # noqa: E402
from benchmarks.search.run import numbers  # noqa: E402
from benchmarks.search.server import Tally, complete  # noqa: E402
from benchmarks.search.worlds import FAMILIES, make_world  # noqa: E402
from benchmarks.search.worlds.world import World  # noqa: E402
from optimizer.config import ModelSpec  # noqa: E402
from optimizer.models import gate  # noqa: E402
from optimizer.models.base import Model, Request, check_usable, usage_of  # noqa: E402
from optimizer.results import Completion  # noqa: E402

MEMORY = Path("/dev/shm")
"""A folder in memory, where there is one: a run's files are synced often."""


@dataclass(frozen=True, kw_only=True)
class Inside(Endpoint):
    """The worlds' endpoint as calls of functions: counts as the server does."""

    url: str = "http://127.0.0.1:1"
    tally: Tally = field(default_factory=Tally)
    """What was asked so far."""

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the server would answer."""
        if path == "/_counts":
            return dict(self.tally.counts)
        if path == "/_phase":
            self.tally.phase = str((body or {})["phase"])
            return {}
        return complete(body or {}, self.tally)


@dataclass(frozen=True, slots=True)
class Direct:
    """A provider that asks the worlds at once."""

    endpoint: Inside

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        reply = complete({"model": request.model, "messages": messages}, self.endpoint.tally)
        usage = usage_of(reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"])
        text = reply["choices"][0]["message"]["content"]
        return check_usable(Completion(text=text, usage=usage, latency=0.0, finish_reason="stop"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """One run's figures."""

    family: str
    """The world's family."""
    seed: int
    """Its seed."""
    budget: int
    """Search calls allowed."""
    score: float
    """Mean on test."""
    start: float
    """Of the seed prompt."""
    ceiling: float
    """Of the prompt with all true rules."""
    calls: int
    """Search calls used."""
    reflection: int
    """Of these, calls of the reflection model."""
    verdict: str
    """What the run claims."""
    seconds: float
    """Of the run, measuring left out."""

    def __str__(self) -> str:
        return (
            f"{self.family:9} {self.seed:4} {self.budget:5}: {self.score:.3f} of {self.ceiling:.3f} "
            f"(seed {self.start:.3f}), {self.calls:4} calls, {self.reflection:2} reflection, "
            f"{self.seconds:.1f} s, {self.verdict}"
        )


def tuned(world: World, budget: int, arm: str = "ours", keep: Path | None = None) -> Tuned:
    """Run once."""
    endpoint = Inside()

    @asynccontextmanager
    async def opened(spec: ModelSpec, concurrency: int) -> AsyncIterator[Model]:
        yield Direct(endpoint)

    with patch.object(gate, "open_provider", opened):
        started = time.perf_counter()
        (reached,) = ours.run(endpoint, world, arm, budget, keep=keep)
        seconds = time.perf_counter() - started
    return Tuned(
        family=world.family,
        seed=world.seed,
        budget=budget,
        score=reached.score,
        start=endpoint.measure(world, world.prompt),
        ceiling=endpoint.measure(world, ceiling_prompt(world)),
        calls=reached.spent.calls,
        reflection=reached.spent.reflection_calls,
        verdict=str(reached.extra.get("verdict", "")),
        seconds=seconds,
    )


def means(runs: Sequence[Tuned]) -> Iterator[str]:
    """A line a family and budget."""
    groups: dict[tuple[str, int], list[Tuned]] = defaultdict(list)
    for one in runs:
        groups[one.family, one.budget].append(one)
        groups["all", one.budget].append(one)
    for (family, budget), found in sorted(groups.items(), key=lambda pair: (pair[0][0] == "all", pair[0])):
        score, top = fmean(one.score for one in found), fmean(one.ceiling for one in found)
        calls, reflection = fmean(one.calls for one in found), fmean(one.reflection for one in found)
        seconds = sum(one.seconds for one in found)
        yield (
            f"{family:9} mean {budget:5}: {score:.3f} of {top:.3f} ({score / top:.2f} of the ceiling), "
            f"{calls:.0f} calls, {reflection:.0f} reflection, {len(found)} runs in {seconds:.1f} s"
        )


def chosen() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--families", default=",".join(FAMILIES), help="comma-separated")
    parser.add_argument("--seeds", type=numbers, default=(100, 101, 102), help="100:106 or 100,104")
    parser.add_argument("--budgets", type=numbers, default=(600,), help="search calls, comma-separated")
    parser.add_argument("--arm", default="ours", choices=sorted(ours.WAYS))
    parser.add_argument("--keep", type=Path, help="a folder that keeps each run's folder, for ledger and store")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    return parser.parse_args()


def main() -> None:
    """Run and print."""
    asked = chosen()
    profile = cProfile.Profile()
    runs: list[Tuned] = []
    if asked.profile:
        profile.enable()
    for budget in asked.budgets:
        for family in asked.families.split(","):
            for seed in asked.seeds:
                with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else gettempdir()) as folder:
                    keep = asked.keep / f"{family}-{seed}-{budget}" if asked.keep else Path(folder)
                    runs.append(tuned(make_world(family, seed), budget, asked.arm, keep))
                print(runs[-1], flush=True)
    profile.disable()
    print("\n".join(means(runs)))
    if asked.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
