"""DSPy's MIPROv2 as an arm, with its own settings and formats. Runs where `dspy` and `optuna` are installed.

    python -m benchmarks.search.arms.mipro_arm URL FAMILY SEED light|medium BUDGET...

Its number of calls is its own, so it comes back with one prompt, under the first budget that its calls fit in.
Prints the result as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

# Read when dspy is imported.
os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp()
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy
from dspy.teleprompt import MIPROv2

from benchmarks.search.arms.result import Reached, Spent
from benchmarks.search.endpoint import Endpoint
from benchmarks.search.judge import score
from benchmarks.search.worlds import make_world
from benchmarks.search.worlds.world import World

THREADS = 4


def run(endpoint: Endpoint, world: World, auto: str, budgets: Sequence[int]) -> tuple[Reached, ...]:
    """One run of its own length."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    task, reflection = _model(endpoint, world, "task"), _model(endpoint, world, "reflection")
    dspy.configure(lm=task)
    rows = world.by_text

    def metric(example: Any, prediction: Any, trace: Any = None) -> Any:
        value, _ = score(world, rows[example.text], prediction.answer)
        return value if trace is None else value >= 1.0

    optimizer = MIPROv2(
        metric=metric,
        prompt_model=reflection,
        task_model=task,
        auto=auto,
        num_threads=THREADS,
        seed=world.seed + 1,  # a zero would mean its default
        verbose=False,
    )
    program = dspy.Predict(dspy.Signature("text -> answer", world.prompt))
    best = optimizer.compile(program, trainset=_data(world, "train"), valset=_data(world, "val"))
    spent = Spent.now(endpoint)
    value = endpoint.mean(world, lambda row: _answer(best, task, row.text))
    prompt = json.dumps({"instructions": best.signature.instructions, "demos": len(best.demos)})
    budget = next((budget for budget in sorted(budgets) if budget >= spent.calls), max(budgets))
    return (Reached(budget=budget, spent=spent, score=value, prompt=prompt, extra={"val": float(best.score)}),)


def _answer(program: Any, task: Any, text: str) -> str:
    with dspy.context(lm=task):
        return str(program(text=text).answer)


def _model(endpoint: Endpoint, world: World, role: str) -> Any:
    name = f"openai/{world.family}-{world.seed}-{role}"
    return dspy.LM(name, api_base=endpoint.base_url, api_key="none", cache=False)


def _data(world: World, split: str) -> list[Any]:
    return [
        dspy.Example(text=row.text, answer=world.wanted_text(row)).with_inputs("text") for row in world.split(split)
    ]


def main(arguments: list[str]) -> None:
    """Run and print."""
    url, family, seed, auto, *budgets = arguments
    logging.disable(logging.WARNING)
    reached = run(Endpoint(url=url), make_world(family, int(seed)), auto, [int(budget) for budget in budgets])
    sys.stdout.write(json.dumps([asdict(found) for found in reached]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
