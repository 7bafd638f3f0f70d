"""What the stand-in's seed does to the two eval sets: the whole run, seed by seed, no seed chosen.

    python benchmarks/stand_in.py                      # 20 seeds of each
    python benchmarks/stand_in.py --seeds 5 --sets reviews

Every figure is of the offline stand-in, which reads its prompt and obeys it imperfectly; none says anything of a real
model. The same runs with a real model: `optimizer run evals/romeo-bob.yaml --model openai/gpt-4o-mini`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
from pathlib import Path

from optimizer.build import Ended, Order, execute
from optimizer.outcome import Verdict
from optimizer.readers.config import load_config

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


def main() -> None:
    """Print one line a seed and a summary a set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sets", nargs="+", default=["romeo-bob", "reviews"])
    parser.add_argument("--model", default="offline")
    chosen = parser.parse_args()
    for name in chosen.sets:
        before, after, shown = [], [], 0
        for seed in range(chosen.seeds):
            ended = one(name, chosen.model, seed)
            tested = ended.outcome.test
            shown += ended.outcome.verdict is Verdict.GAIN_SHOWN
            if tested is None:
                print(f"{name} seed {seed:2}: {ended.outcome.verdict}, no test")
                continue
            before.append(tested.baseline)
            after.append(tested.winner)
            lines = len(ended.outcome.lines)
            print(
                f"{name} seed {seed:2}: {ended.outcome.verdict}  test {tested.baseline:.3f} -> {tested.winner:.3f}, "
                f"{lines} lines changed",
                flush=True,
            )
        print(
            f"{name}, {chosen.model} (stand-in), {chosen.seeds} seeds: GAIN SHOWN {shown} times; test before "
            f"{statistics.mean(before):.3f}; after: mean {statistics.mean(after):.3f}, median "
            f"{statistics.median(after):.3f}, worst {min(after):.3f}, best {max(after):.3f}"
        )


if __name__ == "__main__":
    main()
