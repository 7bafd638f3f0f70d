"""The search benchmark: every arm on every family and seed, one row a budget, appended as each run ends.

    python benchmarks/search/run.py --tune --peers .venv-bench/bin/python       # GEPA's minibatch, on tuning seeds
    python benchmarks/search/run.py --peers .venv-bench/bin/python              # everything that is not there yet
    python benchmarks/search/run.py --families slots --arms ours --seeds 0:3    # our arm alone needs no peers

Rows that are in the results file are not run again; `report.py` makes the table and the plot of them. Without
`--arms`, GEPA runs with the minibatch that did best on the tuning seeds, family by family.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.search.arms import miner, ours  # noqa: E402
from benchmarks.search.endpoint import Endpoint, running_endpoint  # noqa: E402
from benchmarks.search.prompts import ceiling_prompt  # noqa: E402
from benchmarks.search.worlds import FAMILIES, make_world  # noqa: E402
from benchmarks.search.worlds.world import World  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "search.jsonl"
BUDGETS = (600, 1000, 1500, 2000, 4000)
SEEDS = tuple(range(200, 215))
"""Seeds that nothing is tuned on."""
TUNING = RESULTS.with_name("search-tuning.jsonl")
TUNING_SEEDS = (100, 101, 102)
PEERS = {
    "gepa-3": ("gepa_arm", "3"),
    "gepa-8": ("gepa_arm", "8"),
    "gepa-16": ("gepa_arm", "16"),
    "mipro-light": ("mipro_arm", "light"),
    "mipro-medium": ("mipro_arm", "medium"),
    "hrpo": ("hrpo_arm", "default"),
}
"""Arm -> module and its setting."""
PACKAGES = {"gepa_arm": "gepa", "mipro_arm": "dspy", "hrpo_arm": "opik-optimizer"}
"""Module -> the package whose version goes into its rows."""
ARMS = ("label-miner", *ours.WAYS, *PEERS)
GEPA = ("gepa-3", "gepa-8", "gepa-16")
WORLDS_VERSION = 3
"""Raised with every change of the worlds or their models; rows of another version are not mixed in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One run: its budgets come from one search, or from one each."""

    family: str
    """The world's family."""
    arm: str
    """Who searches."""
    seed: int
    """The world's seed."""
    budgets: tuple[int, ...]
    """Search calls."""


def jobs(families: Sequence[str], arms: Sequence[str], seeds: Sequence[int], budgets: Sequence[int]) -> Iterator[Job]:
    """All runs: a peer runs once for all budgets, our arms once a budget, the label-miner once."""
    for seed in seeds:
        for family in families:
            for arm in arms:
                if arm in PEERS:
                    yield Job(family=family, arm=arm, seed=seed, budgets=tuple(budgets))
                else:
                    for budget in budgets[:1] if arm == "label-miner" else budgets:
                        yield Job(family=family, arm=arm, seed=seed, budgets=(budget,))


def rows_of(results: Path) -> list[dict[str, Any]]:
    """Rows of this version of the worlds; a last line that was cut off is left out."""
    if not results.exists():
        return []
    rows = []
    for line in results.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("worlds") == WORLDS_VERSION:
            rows.append(row)
    return rows


def without(jobs_again: Sequence[Job], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that no run among these gave."""
    gone = {(job.family, job.arm, job.seed, budget) for job in jobs_again for budget in job.budgets}
    return [row for row in rows if (row["family"], row["arm"], row["seed"], row["budget"]) not in gone]


def is_done(job: Job, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the rows of a run are there: a run of MIPROv2 has one, of its own length."""
    mine = {
        row["budget"] for row in rows if (row["family"], row["arm"], row["seed"]) == (job.family, job.arm, job.seed)
    }
    return bool(mine) if job.arm.startswith("mipro") else set(job.budgets) <= mine


def run(job: Job, python: str | None) -> list[dict[str, Any]]:
    """Run, and measure seed prompt and ceiling beside it. Returns one row a budget."""
    world = make_world(job.family, job.seed)
    started = time.perf_counter()
    with running_endpoint() as endpoint:
        if job.arm in PEERS:
            reached, versions = _peer(job, endpoint, str(python))
        elif job.arm == "label-miner":
            reached, versions = [asdict(found) for found in miner.run(endpoint, world, job.budgets[0])], {}
        else:
            found = ours.run(endpoint, world, job.arm, job.budgets[0])
            reached, versions = [asdict(one) for one in found], {}
        counts = endpoint.counts()
        if counts.get("faults"):
            raise RuntimeError(
                f"{job.arm} on {job.family} {job.seed} sent {counts['faults']} requests that no world knows"
            )
        marks = _marks(endpoint, world)
    seconds = round(time.perf_counter() - started, 1)
    return [
        {
            "worlds": WORLDS_VERSION,
            "family": job.family,
            "arm": job.arm,
            "seed": job.seed,
            "budget": found["budget"],
            "calls": found["spent"]["task_calls"] + found["spent"]["reflection_calls"],
            **found["spent"],
            "score": round(found["score"], 4),
            **marks,
            "test_calls": counts.get("test/task/calls", 0),
            "attribution_calls": counts.get("attribution/task/calls", 0),
            "seconds": seconds,
            "extra": found["extra"],
            **versions,
            "prompt_lines": found["prompt"].count("\n") + 1,
            "prompt_sha256": sha256(found["prompt"].encode()).hexdigest(),
        }
        for found in reached
    ]


def _marks(endpoint: Endpoint, world: World) -> dict[str, float]:
    """Scores of the seed prompt and of the prompt with all true rules."""
    return {
        "seed_score": round(endpoint.measure(world, world.prompt), 4),
        "ceiling": round(endpoint.measure(world, ceiling_prompt(world)), 4),
    }


def _peer(job: Job, endpoint: Endpoint, python: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A peer in its own interpreter. Raises RuntimeError with the end of what it said where it fails."""
    module, setting = PEERS[job.arm]
    arguments = [endpoint.url, job.family, str(job.seed), setting, *map(str, job.budgets)]
    done = subprocess.run(
        [python, "-m", f"benchmarks.search.arms.{module}", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
    )
    if done.returncode:
        raise RuntimeError(f"{job.arm} on {job.family} {job.seed} failed:\n{done.stderr[-2000:]}")
    package = PACKAGES[module]
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    told = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), {package: told.stdout.strip()}


def numbers(text: str) -> tuple[int, ...]:
    """`0:3` is 0, 1 and 2; `4,7` is both."""
    if ":" in text:
        start, end = text.split(":")
        return tuple(range(int(start), int(end)))
    return tuple(int(part) for part in text.split(","))


def best_gepa(family: str, tuned: Sequence[Mapping[str, Any]]) -> str:
    """GEPA's arm with the best mean at the largest budget on the tuning seeds; its default where there is none."""
    rows = [row for row in tuned if row["family"] == family]
    most = max((row["budget"] for row in rows), default=0)
    scores = {arm: [row["score"] for row in rows if (row["arm"], row["budget"]) == (arm, most)] for arm in GEPA}
    return max(GEPA, key=lambda arm: fmean(scores[arm]) if scores[arm] else 0.0)


def planned(chosen: argparse.Namespace) -> Iterator[Job]:
    """The runs that the command line asks for."""
    families = chosen.families.split(",")
    if chosen.tune:
        yield from jobs(families, GEPA, TUNING_SEEDS, chosen.budgets)
        return
    tuned = rows_of(TUNING)
    best = {family: best_gepa(family, tuned) for family in families}
    # Seed by seed over all families: a benchmark that is cut short is balanced.
    for seed in chosen.seeds:
        for family in families:
            arms = chosen.arms.split(",") if chosen.arms else [a for a in ARMS if a not in GEPA or a == best[family]]
            kept = [arm for arm in arms if chosen.peers or arm not in PEERS]
            yield from jobs([family], kept, [seed], chosen.budgets)


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--families", default=",".join(FAMILIES), help="comma-separated")
    parser.add_argument("--arms", help="comma-separated; all of them, with GEPA's best minibatch, where left out")
    parser.add_argument("--seeds", type=numbers, default=SEEDS, help="200:215 or 3,5")
    parser.add_argument("--budgets", type=numbers, default=BUDGETS, help="search calls, comma-separated")
    parser.add_argument(
        "--peers", help="a Python that has gepa, dspy and opik-optimizer; without it the peers are left out"
    )
    parser.add_argument("--tune", action="store_true", help="run GEPA's minibatch sizes on the tuning seeds")
    parser.add_argument("--again", action="store_true", help="drop the rows of these arms, families and seeds first")
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    if chosen.tune and not chosen.peers:
        parser.error("--tune runs GEPA: name a Python that has it with --peers")
    results: Path = chosen.results or (TUNING if chosen.tune else RESULTS)
    known = rows_of(results)
    todo = list(planned(chosen))
    if chosen.again:
        known = without(todo, known)
        results.write_text("".join(json.dumps(row) + "\n" for row in known), encoding="utf-8")
    for job in todo:
        if is_done(job, known):
            continue
        rows = run(job, chosen.peers)
        known += rows
        with results.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        told = ", ".join(f"{row['score']:.3f} at {row['calls']}" for row in rows)
        print(f"{job.family} {job.seed} {job.arm}: {told} ({rows[0]['seconds']} s)", flush=True)


if __name__ == "__main__":
    main()
