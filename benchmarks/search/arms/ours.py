"""Our own search as an arm: a real run from an eval file, in one of three ways to propose edits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.search.arms.result import Reached, Spent
from benchmarks.search.endpoint import Endpoint
from benchmarks.search.worlds.making import SIZES
from benchmarks.search.worlds.world import Row, World
from optimizer.dataset import Example
from optimizer.events import Event, Progress
from optimizer.plan import ATTRIBUTION_SHARE
from optimizer.prompt import Prompt, prepare

WAYS: Mapping[str, Mapping[str, bool]] = {
    "ours": {"model": True, "mined": False},
    "ours+mined": {"model": True, "mined": True},
    "ours-mined-alone": {"model": False, "mined": True},
}
"""Arm -> who proposes."""
KEEP = " <!-- keep -->"
"""What locks a line."""
PHASES = {
    "completing the winner": "attribution",
    "pricing lines": "attribution",
    "asking what is missed": "search",
    "test": "test",
}
"""Step of a run -> phase that the server counts from then on."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Tells the server when the search is over."""

    endpoint: Endpoint

    async def record(self, event: Event) -> None:
        """Look for the steps that are no search."""
        if isinstance(event, Progress) and event.step in PHASES:
            self.endpoint.phase(PHASES[event.step])


def budget_for(search: int) -> int:
    """The budget of calls whose search may use so many: the test and the reserve for attribution come on top."""
    rest = search
    while rest - int(rest * ATTRIBUTION_SHARE) < search:
        rest += 1
    return rest + 2 * SIZES["test"]


def run(endpoint: Endpoint, world: World, arm: str, budget: int, *, keep: Path | None = None) -> tuple[Reached, ...]:
    """Run one arm of ours at one budget of search calls.

    Args:
        endpoint: the server, fresh.
        world: the task.
        arm: a key of WAYS.
        budget: search calls.
        keep: folder for the run's files; None throws them away.
    """
    with TemporaryDirectory() as folder:
        root = keep or Path(folder)
        write_workspace(root, endpoint, world, arm, budget)
        winner, figures = asyncio.run(_optimized(root, endpoint))
    spent = Spent.now(endpoint)
    score = endpoint.mean(world, lambda row: endpoint.chat(world, "task", rendered(winner, row)))
    prompt = next(message.text for message in winner.messages if message.role == "system")
    return (Reached(budget=budget, spent=spent, score=score, prompt=prompt, extra=figures),)


def rendered(prompt: Prompt, row: Row) -> list[dict[str, str]]:
    """What is sent for a row, demos included."""
    example = Example(id=row.id, inputs={"text": row.text})
    return [{"role": message.role, "content": message.content} for message in prepare(prompt, example)]


async def _optimized(root: Path, endpoint: Endpoint) -> tuple[Prompt, dict[str, Any]]:
    from optimizer.build import Order, execute
    from optimizer.readers.config import load_config
    from optimizer.store import RunReader

    order = Order(config=load_config(root / "evals" / "world.yaml"), root=root, run_id="bench")
    ended = await execute(order, watch=[Phases(endpoint)])
    with RunReader(root, "bench") as reader:
        winner = reader.prompt(ended.outcome.winner)
    assert winner is not None
    return winner, {"verdict": str(ended.outcome.verdict), "demos": len(winner.demos)}


def write_workspace(root: Path, endpoint: Endpoint, world: World, arm: str, budget: int) -> None:
    """The world as a user's files."""
    way = WAYS[arm]
    (root / "evals").mkdir(parents=True, exist_ok=True)
    rows = [{"id": row.id, "split": row.split, "text": row.text, "expected": world.wanted(row)} for row in world.rows]
    (root / "evals" / "world.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    messages = [{"role": "system", "content": written(world)}, {"role": "user", "content": "{{ text }}"}]
    (root / "seed.json").write_text(json.dumps(messages), encoding="utf-8")
    config = {
        "prompt": "../seed.json",
        "data": "world.jsonl",
        "model": _model(endpoint, world, "task"),
        "mutator": _model(endpoint, world, "reflection") if way["model"] else "none",
        "mined": way["mined"],
        "metrics": metrics(world),
        "budget": {"calls": budget_for(budget)},
        "concurrency": 16,
        "seed": world.seed,
    }
    # JSON is YAML.
    (root / "evals" / "world.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")


def written(world: World) -> str:
    """The seed prompt as its user writes it: with the mark on locked lines."""
    return "\n".join(f"{line}{KEEP}" if line in world.locked else line for line in world.prompt.split("\n"))


def metrics(world: World) -> list[Any]:
    """Our metrics for an output of the world."""
    if world.form == "label":
        return ["label"]
    if world.form == "json":
        return [{"json-field": world.paths[name]} for name in world.fields]
    return ["contains"]


def _model(endpoint: Endpoint, world: World, role: str) -> dict[str, str]:
    return {"name": f"openai/{world.family}-{world.seed}-{role}", "base_url": endpoint.base_url}
