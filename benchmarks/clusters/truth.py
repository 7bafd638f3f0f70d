"""Failures whose causes are known: the worlds of the search benchmark, answered and scored in process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.search.arms.ours import metrics as metrics_of
from benchmarks.search.prompts import ceiling_prompt
from benchmarks.search.statements import Statement, read_prompt
from benchmarks.search.task import answer
from benchmarks.search.worlds.world import Row, Rule, World
from optimizer.config import MetricSpec
from optimizer.dataset import Example
from optimizer.metrics import build_metrics, score_output
from optimizer.metrics.base import Metric, MetricContext
from optimizer.results import Completion, Evaluation, Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One prompt's results on the rows of a split, with the true causes of every failure."""

    examples: Mapping[str, Example]
    """By id."""
    evaluation: Evaluation
    """Of one prompt."""
    causes: Mapping[str, frozenset[str]]
    """Id of a failing row -> its true causes, at least one."""


def seed_prompt(world: World) -> str:
    """The world's own prompt: no rule is stated."""
    return world.prompt


def half_mended(world: World) -> str:
    """The seed prompt and half of the true rules, drawn by the world's seed."""
    rng = Random(f"half:{world.family}:{world.seed}")
    rules = ceiling_prompt(world).splitlines()[-len(world.rules) :] if world.rules else []
    return "\n".join([world.prompt, *rng.sample(rules, len(rules) // 2)])


PROMPTS: Mapping[str, Callable[[World], str]] = {"seed": seed_prompt, "half": half_mended}
"""Name -> prompt of a world."""


def known(world: World, prompt: str, split: str = "train") -> Known:
    """Answer the rows of a split with a prompt, score them with our metrics, and tell why each failure fails."""
    rows = {row.id: row for row in world.split(split)}
    examples = {key: Example(id=key, inputs={"text": r.text}, expected=world.wanted(r)) for key, r in rows.items()}
    outputs = {key: _said(world, prompt, row) for key, row in rows.items()}
    results = asyncio.run(_scored(build_metrics(_specs(world), Path()), examples, outputs))
    evaluation = Evaluation(candidate="prompt", results=results)
    stated = read_prompt(world, prompt).statements
    causes = {r.example: true_causes(world, stated, rows[r.example], outputs[r.example]) for r in evaluation.failures}
    return Known(examples=examples, evaluation=evaluation, causes=causes)


def true_causes(world: World, stated: Sequence[Statement], row: Row, output: str) -> frozenset[str]:
    """Why an output is wrong: what would have to change before it could be right.

    A rule that is not stated or not obeyed, a wrong line of the seed prompt that was obeyed, or both. A wrong label
    or a slip is a cause of this one row.
    """
    got = world.read(output)
    wrong = [name for name in world.fields if got.get(name) != row.expected[name]]
    return frozenset(cause for name in wrong for cause in _causes(world, stated, row, name, got.get(name)))


def _causes(world: World, stated: Sequence[Statement], row: Row, name: str, got: str | None) -> list[str]:
    if row.expected[name] != row.truth[name]:
        return [f"wrong label of {row.id}"]
    obeyed = [one for one in stated if one.field == name and one.value == got and one.holds(row)]
    misled = [one for one in obeyed if not any(_states(one, true) for true in world.rules)]
    rule = world.by_rule.get(row.cause.get(name, ""))
    if not misled:
        return [rule.id if rule else f"slip on {name} of {row.id}"]
    known = rule is None or any(_states(one, rule) for one in stated)
    return [*(f"line for {one.value}" for one in misled), *([] if known or rule is None else [rule.id])]


def _states(statement: Statement, rule: Rule) -> bool:
    same = (statement.field, statement.value, statement.when) == (rule.field, rule.value, rule.when)
    return same and (statement.above, statement.upto) == (rule.above, rule.upto)


def _said(world: World, prompt: str, row: Row) -> str:
    return answer(world, [{"role": "system", "content": prompt}, {"role": "user", "content": row.text}])


def _specs(world: World) -> list[MetricSpec]:
    named = [item if isinstance(item, dict) else {item: None} for item in metrics_of(world)]
    return [
        MetricSpec(name=name, args={} if value is None else {"value": value})
        for item in named
        for name, value in item.items()
    ]


async def _scored(
    metrics: tuple[Metric, ...], examples: Mapping[str, Example], outputs: Mapping[str, str]
) -> dict[str, Result]:
    results = {}
    for key, example in examples.items():
        completion = Completion(text=outputs[key])
        scores = await score_output(metrics, MetricContext(example=example, completion=completion))
        results[key] = Result(example=key, candidate="prompt", completion=completion, scores=scores)
    return results
