"""What the stand-in's seed does to the two eval sets: the whole run, seed by seed, no seed chosen.

    python benchmarks/stand_in.py                      # 20 seeds of each
    python benchmarks/stand_in.py --seeds 5 --sets reviews
    python benchmarks/stand_in.py --without-placebo    # what the screen's placebo is worth

Every figure is of the offline stand-in, which reads its prompt and obeys it imperfectly; none says anything of a real
model. The same runs with a real model: `optimizer run evals/romeo-bob.yaml --model openai/gpt-4o-mini`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from optimizer.build import Ended, Order, execute
from optimizer.outcome import Verdict
from optimizer.readers.config import load_config
from optimizer.search import screen
from optimizer.search.screen import Screened

ROOT = Path(__file__).parent.parent


def one(name: str, model: str, seed: int) -> Ended:
    """One run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "evals", root / "evals")
        (root / "prompts" / name).mkdir(parents=True)
        shutil.copy(ROOT / "prompts" / name / "v1.yaml", root / "prompts" / name / "v1.yaml")
        overrides = {
            "model": {"name": model, "params": {"seed": seed}},
            "mutator": {"name": "offline", "params": {"seed": seed}},
        }
        config = load_config(root / "evals" / f"{name}.yaml", overrides)
        return asyncio.run(execute(Order(config=config, root=root)))


def without_placebo() -> AbstractContextManager[Any]:
    """Screens that let every edit pass that mends more rows than it worsens."""

    async def unchecked(_bench: object, _wanted: object, screened: Sequence[Screened], _round: int) -> object:
        return tuple(screened)

    return mock.patch.object(screen, "_against_placebo", unchecked)


def main() -> None:
    """Print one line a seed and a summary a set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sets", nargs="+", default=["romeo-bob", "reviews"])
    parser.add_argument("--model", default="offline")
    parser.add_argument("--without-placebo", action="store_true")
    chosen = parser.parse_args()
    with without_placebo() if chosen.without_placebo else nullcontext():
        run_all(chosen)


def run_all(chosen: argparse.Namespace) -> None:
    """All seeds of all sets."""
    for name in chosen.sets:
        before, after, changed, shown = [], [], [], 0
        for seed in range(chosen.seeds):
            ended = one(name, chosen.model, seed)
            tested = ended.outcome.test
            shown += ended.outcome.verdict is Verdict.GAIN_SHOWN
            if tested is None:
                print(f"{name} seed {seed:2}: {ended.outcome.verdict}, no test")
                continue
            before.append(tested.baseline)
            after.append(tested.winner)
            changed.append(len(ended.outcome.lines))
            print(
                f"{name} seed {seed:2}: {ended.outcome.verdict}  test {tested.baseline:.3f} -> {tested.winner:.3f}, "
                f"{changed[-1]} lines changed",
                flush=True,
            )
        print(
            f"{name}, {chosen.model} (stand-in), {chosen.seeds} seeds: GAIN SHOWN {shown} times; test before "
            f"{statistics.mean(before):.3f}; after: mean {statistics.mean(after):.3f}, median "
            f"{statistics.median(after):.3f}, worst {min(after):.3f}, best {max(after):.3f}; "
            f"lines changed: mean {statistics.mean(changed):.1f}, most {max(changed)}"
        )


if __name__ == "__main__":
    main()
