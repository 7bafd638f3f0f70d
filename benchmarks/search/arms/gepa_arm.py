"""GEPA as an arm: `gepa.optimize` with its default adapter, prompt and merge. Runs where `gepa` is installed.

    python -m benchmarks.search.arms.gepa_arm URL FAMILY SEED MINIBATCH BUDGET...

One run to the largest budget; for each budget the candidate is taken that was best on val when the server had counted
so many calls. Prints the result as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gepa
from gepa.adapters.default_adapter.default_adapter import EvaluationResult

from benchmarks.search.arms.result import Reached, Spent
from benchmarks.search.endpoint import Endpoint
from benchmarks.search.judge import score
from benchmarks.search.worlds import make_world
from benchmarks.search.worlds.world import Row, World

COMPONENT = "system_prompt"


class Watch:
    """Notes what the server had counted when each candidate was known on val."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.known: list[tuple[Spent, float, str]] = []
        """(what the search had used, val mean, prompt)."""

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """A candidate was scored on all of val."""
        self.known.append((Spent.now(self.endpoint), event["average_score"], event["candidate"][COMPONENT]))


class Quiet:
    """A logger that says nothing."""

    def log(self, message: str) -> None:
        """Drop it."""


def feedback(world: World, row: Row, output: str) -> tuple[float, str]:
    """(score, text): the reason as our own metrics word it, and the row's expected answer."""
    value, reason = score(world, row, output)
    return value, f"{reason or 'The answer is right.'}\nExpected: {world.wanted_text(row)}"


def run(endpoint: Endpoint, world: World, minibatch: int, budgets: Sequence[int]) -> tuple[Reached, ...]:
    """One run, to the largest budget."""
    watch = Watch(endpoint)
    rows = world.by_text

    def evaluate(data: Mapping[str, Any], response: str) -> EvaluationResult:
        value, text = feedback(world, rows[data["input"]], response)
        return EvaluationResult(score=value, feedback=text)

    gepa.optimize(
        seed_candidate={COMPONENT: world.prompt},
        trainset=_data(world, "train"),
        valset=_data(world, "val"),
        task_lm=lambda messages: endpoint.chat(world, "task", list(messages)),
        evaluator=evaluate,
        reflection_lm=lambda prompt: endpoint.chat(world, "reflection", _messages(prompt)),
        reflection_minibatch_size=minibatch,
        use_merge=True,
        stop_callbacks=lambda state: endpoint.search_calls() >= max(budgets),
        callbacks=[watch],
        logger=Quiet(),
        seed=world.seed,
    )
    return tuple(_at(endpoint, world, watch, budget) for budget in sorted(budgets))


def _at(endpoint: Endpoint, world: World, watch: Watch, budget: int) -> Reached:
    """The best candidate at a budget; the seed where the budget did not even score it."""
    known = [found for found in watch.known if found[0].calls <= budget] or watch.known[:1]
    _, val, prompt = max(known, key=lambda found: found[1])
    spent = known[-1][0]
    return Reached(
        budget=budget,
        spent=spent,
        score=endpoint.measure(world, prompt),
        prompt=prompt,
        extra={"val": val, "candidates": len(known)},
    )


def _messages(prompt: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _data(world: World, split: str) -> list[dict[str, Any]]:
    return [
        {"input": row.text, "additional_context": {}, "answer": world.wanted_text(row)} for row in world.split(split)
    ]


def main(arguments: list[str]) -> None:
    """Run and print."""
    url, family, seed, minibatch, *budgets = arguments
    endpoint = Endpoint(url=url)
    reached = run(endpoint, make_world(family, int(seed)), int(minibatch), [int(budget) for budget in budgets])
    sys.stdout.write(json.dumps([asdict(found) for found in reached]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
