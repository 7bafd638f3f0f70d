"""Opik's HRPO as an arm: `HierarchicalReflectiveOptimizer` with its own prompts. Runs where `opik-optimizer` is.

    python -m benchmarks.search.arms.hrpo_arm URL FAMILY SEED SETTING BUDGET...

It runs without Opik's server: its tracking is off, and rows are scored by its `evaluate_on_dict_items`. One run, until
it finds itself converged or the largest budget is used; for each budget the prompt is taken that was best on val when
the server had counted so many calls. Prints the result as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

# Read when opik is imported: no traces, no reports, and an address at which nobody listens.
os.environ.update(
    OPIK_TRACK_DISABLE="true",
    OPIK_URL_OVERRIDE="http://localhost:9/api",
    OPIK_SENTRY_ENABLE="false",
    OPIK_ANALYTICS_ENABLE="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
)

from opik import Dataset
from opik.evaluation.metrics.score_result import ScoreResult
from opik_optimizer import ChatPrompt, HierarchicalReflectiveOptimizer, OptimizableAgent, constants

from benchmarks.search.arms.result import Reached, Spent
from benchmarks.search.endpoint import Endpoint
from benchmarks.search.judge import score
from benchmarks.search.worlds import make_world
from benchmarks.search.worlds.world import World

THREADS = 1
"""Rows come back in the order in which threads end, and batches with them: one thread makes a run repeatable."""
NO_TRIAL_LIMIT = 10_000
"""Its default of 10 trials ends some runs before 1,000 calls; the budget does that here."""


class Rows(Dataset):  # type: ignore[misc]
    """A dataset of Opik's that is on no server."""

    def __init__(self, name: str, items: Sequence[Mapping[str, Any]]) -> None:
        self._name = name
        self._id = name
        self._items = items

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def id(self) -> str:
        """Its id."""
        return self._id

    def get_items(self, nb_samples: int | None = None, **rest: Any) -> list[dict[str, Any]]:
        """The rows, or the first ones."""
        return [dict(item) for item in self._items[:nb_samples]]


class App(OptimizableAgent):  # type: ignore[misc]
    """The app whose prompt is optimized: one call of the task model."""

    def __init__(self, endpoint: Endpoint, world: World) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.world = world

    def invoke_agent(
        self, prompts: dict[str, Any], dataset_item: dict[str, Any], allow_tool_use: bool = False, **rest: Any
    ) -> str:
        """Answer one row."""
        (prompt,) = prompts.values()
        return self.endpoint.chat(self.world, "task", prompt.get_messages(dataset_item))


class Watched(HierarchicalReflectiveOptimizer):  # type: ignore[misc]
    """Notes what the server had counted when each candidate was known on val, and stops at the largest budget."""

    endpoint: Endpoint
    most: int
    known: list[tuple[Spent, float, str]]

    def _run_baseline(self, context: Any) -> float:
        """The seed prompt on all of val."""
        value = float(super()._run_baseline(context))
        self._note(context.prompts, value)
        return value

    def on_trial(self, context: Any, prompts: Any, score: float, prev_best_score: float | None = None) -> None:
        """A candidate was scored on all of val."""
        super().on_trial(context, prompts, score, prev_best_score)
        if self._note(prompts, score).calls >= self.most:
            context.should_stop = True

    def _note(self, prompts: Any, value: float) -> Spent:
        (prompt,) = prompts.values()
        spent = Spent.now(self.endpoint)
        self.known.append((spent, value, prompt.get_messages()[0]["content"]))
        return spent


def run(endpoint: Endpoint, world: World, budgets: Sequence[int]) -> tuple[Reached, ...]:
    """One run, to its own end or the largest budget."""
    constants.ENABLE_EVALUATE_ON_DICT_ITEMS = True
    rows = world.by_text

    def answer_score(dataset_item: Mapping[str, Any], llm_output: str) -> Any:
        value, reason = score(world, rows[dataset_item["text"]], llm_output)
        # Its analysis sees reasons alone: without the row in it, nothing could be found.
        told = f"{reason or 'The answer is right.'}\nInput: {dataset_item['text']}\nExpected: {dataset_item['answer']}"
        return ScoreResult(name="answer_score", value=value, reason=f"{told}\nOutput: {llm_output}")

    optimizer = Watched(
        model=f"openai/{world.family}-{world.seed}-reflection",
        model_parameters={"api_base": endpoint.base_url, "api_key": "none"},
        n_threads=THREADS,
        seed=world.seed,
        verbose=0,
    )
    optimizer.endpoint, optimizer.most, optimizer.known = endpoint, max(budgets), []
    messages = [{"role": "system", "content": world.prompt}, {"role": "user", "content": "{text}"}]
    optimizer.optimize_prompt(
        prompt=ChatPrompt(name="task", messages=messages),
        dataset=_rows(world, "train"),
        validation_dataset=_rows(world, "val"),
        metric=answer_score,
        agent=App(endpoint, world),
        max_trials=NO_TRIAL_LIMIT,
    )
    return tuple(_at(endpoint, world, optimizer.known, budget) for budget in sorted(budgets))


def _at(endpoint: Endpoint, world: World, found: list[tuple[Spent, float, str]], budget: int) -> Reached:
    """The best candidate at a budget."""
    known = [one for one in found if one[0].calls <= budget] or found[:1]
    _, val, prompt = max(known, key=lambda one: one[1])
    return Reached(
        budget=budget,
        spent=known[-1][0],
        score=endpoint.measure(world, prompt),
        prompt=prompt,
        extra={"val": val, "candidates": len(known)},
    )


def _rows(world: World, split: str) -> Rows:
    items = [{"id": row.id, "text": row.text, "answer": world.wanted_text(row)} for row in world.split(split)]
    # A world deals its causes out in turn; a data set of a user is in no order, and batches of 25 feel the difference.
    Random(world.seed).shuffle(items)
    return Rows(split, items)


def main(arguments: list[str]) -> None:
    """Run and print."""
    url, family, seed, _, *budgets = arguments
    logging.disable(logging.WARNING)
    reached = run(Endpoint(url=url), make_world(family, int(seed)), [int(budget) for budget in budgets])
    sys.stdout.write("\n" + json.dumps([asdict(found) for found in reached]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
