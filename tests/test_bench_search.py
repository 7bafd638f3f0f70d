from __future__ import annotations

import ast
import asyncio
import dataclasses
import json
from pathlib import Path
from random import Random

import pytest

from benchmarks.search import plot, reflection, report, task
from benchmarks.search import run as bench
from benchmarks.search.arms import miner, ours
from benchmarks.search.endpoint import Endpoint, running_endpoint
from benchmarks.search.judge import score
from benchmarks.search.prompts import ceiling_prompt
from benchmarks.search.statements import read_prompt
from benchmarks.search.wording import phrase, plainly
from benchmarks.search.worlds import FAMILIES, make_world, making
from benchmarks.search.worlds.world import World
from optimizer.dataset import Example
from optimizer.intake import take_in as load
from optimizer.metrics.base import MetricContext
from optimizer.readers.config import load_config
from optimizer.results import Completion, Score

ROOT = Path(__file__).parent.parent
SEED = 900
"""A seed that no tuning uses."""
MINER_LIMIT = 0.35
FLAWED = ("style", "taxonomy", "facts")
CURABLE = [family for family in FAMILIES if make_world(family, SEED).curable]


def said(world: World, prompt: str, text: str) -> str:
    return task.answer(world, [{"role": "system", "content": prompt}, {"role": "user", "content": text}])


def mean(world: World, prompt: str, split: str = "test") -> float:
    rows = world.split(split)
    return sum(score(world, row, said(world, prompt, row.text))[0] for row in rows) / len(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_world_is_a_function_of_its_seed(family: str) -> None:
    maker = FAMILIES[family]
    first, again, other = maker(SEED), maker(SEED), maker(SEED + 1)
    assert first.rows == again.rows
    assert first.rules == again.rules
    assert first.rows != other.rows
    prompt = ceiling_prompt(first)
    assert [said(first, prompt, row.text) for row in first.rows] == [
        said(again, prompt, row.text) for row in first.rows
    ]


@pytest.mark.parametrize("family", CURABLE)
def test_the_true_rules_reach_the_ceiling_in_any_wording(family: str) -> None:
    world = make_world(family, SEED)
    reached = [mean(world, ceiling_prompt(world, wording)) for wording in range(3)]
    assert min(reached) > world.adherence - 0.12
    assert max(reached) - min(reached) < 0.12


@pytest.mark.parametrize("family", CURABLE)
def test_a_rule_is_understood_in_every_wording(family: str) -> None:
    world = make_world(family, SEED)
    for rule in world.rules:
        for wording in range(20):
            text = phrase(world, plainly(rule), Random(wording))
            (stated,) = read_prompt(world, text).statements
            assert (stated.field, stated.value, stated.when) == (rule.field, rule.value, rule.when), text
            assert (stated.above, stated.upto) == (rule.above, rule.upto), text


def test_adherence_differs_from_world_to_world() -> None:
    found = [making.adherence_of(family, seed) for family in FAMILIES for seed in range(SEED, SEED + 50)]
    assert 0.8 <= min(found) < 0.83 and 0.93 < max(found) <= 0.95
    assert 0.89 < sum(found) / len(found) < 0.91
    assert all(make_world(family, SEED).adherence == making.adherence_of(family, SEED) for family in FAMILIES)


@pytest.mark.parametrize("family", FLAWED)
def test_a_seed_prompt_holds_a_line_that_hurts_and_two_that_say_nothing(family: str) -> None:
    world = make_world(family, SEED)
    flaws = world.prompt.removeprefix(world.frame).strip().split("\n")
    wrong = [line for line in flaws if read_prompt(world, line).statements]
    assert (len(flaws), len(wrong), len(world.locked)) == (3, 1, 1)
    assert world.locked < {line for line in flaws if reflection.is_idle(world, line)}
    assert read_prompt(world, world.prompt).idle == 2
    best = ceiling_prompt(world)
    assert [line for line in flaws if line in best] == list(world.locked)
    hurt = [mean(world, best.replace(lock, f"{wrong[0]}\n{lock}")) for lock in world.locked]
    assert hurt[0] < mean(world, best) - 0.03


@pytest.mark.parametrize("family", FLAWED)
def test_our_seed_file_locks_what_its_user_locks(family: str, tmp_path: Path) -> None:
    world = make_world(family, SEED)
    ours.write_workspace(tmp_path, Endpoint(url="http://127.0.0.1:9"), world, "ours", 400)
    prompt = load(load_config(tmp_path / "evals" / "world.yaml")).prompt
    assert {line.content for line in prompt.lines if line.locked} == world.locked
    assert prompt.messages[0].text == world.prompt


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_are_wrong_now_and_then(family: str) -> None:
    world = make_world(family, SEED)
    wrong = sum(row.expected != row.truth for row in world.rows) / len(world.rows)
    assert 0.01 < wrong < 0.08


@pytest.mark.parametrize("family", CURABLE)
def test_counting_words_does_not_solve_a_world(family: str) -> None:
    world = make_world(family, SEED)
    assert mean(world, miner.mined(world)) < MINER_LIMIT


@pytest.mark.parametrize("family", FAMILIES)
def test_our_metrics_score_as_the_benchmark_does(family: str, tmp_path: Path) -> None:
    world = make_world(family, SEED)
    endpoint = Endpoint(url="http://127.0.0.1:9")
    ours.write_workspace(tmp_path, endpoint, world, "ours", 400)
    config = load_config(tmp_path / "evals" / "world.yaml")
    loaded = load(config)
    checks = loaded.metrics
    half = ceiling_prompt(world).rsplit("\n", len(world.rules) // 2)[0]

    async def scored(example: Example, output: str) -> list[Score]:
        context = MetricContext(example=example, completion=Completion(text=output))
        return [await check.score(context) for check in checks]

    examples = {example.id: example for example in loaded.evalset.examples}
    for row in world.split("val")[:20]:
        output = said(world, half, row.text)
        value, told = score(world, row, output)
        found = asyncio.run(scored(examples[row.id], output))
        assert sum(one.value for one in found) / len(found) == pytest.approx(value)
        # What GEPA is told is what our mutator is told.
        assert all(any(one.reason.startswith(part) for part in told.split("; ")) for one in found if not one.passed)


def test_the_task_model_answers_in_marked_fields_and_follows_examples() -> None:
    world = make_world("facts", SEED)
    rule = world.rules[0]
    rows = [row for row in world.rows if row.cause.get("answer") == rule.id and row.truth == row.expected]
    ask = "[[ ## text ## ]]\n{}\n\nRespond with the fields, starting with the field `[[ ## answer ## ]]`, and end."
    frame = "In adhering to this structure, your objective is:\n" + world.prompt
    demo = [
        {"role": "user", "content": f"[[ ## text ## ]]\n{rows[0].text}"},
        {"role": "assistant", "content": f"[[ ## answer ## ]]\n{rule.value}\n\n[[ ## completed ## ]]"},
    ]
    right = {"none": 0, "shown": 0}
    for row in rows[1:]:
        for name, demos in (("none", []), ("shown", demo)):
            messages = [{"role": "system", "content": frame}, *demos, {"role": "user", "content": ask.format(row.text)}]
            reply = task.answer(world, messages)
            assert reply.startswith("[[ ## answer ## ]]\n")
            right[name] += rule.value in reply
    assert right["shown"] > right["none"]


def test_finished_rows_are_known_again_and_make_a_report(tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    job = next(bench.jobs(["slots"], ["label-miner"], [SEED], [400, 600]))
    rows = bench.run(job, None)
    results.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"cut off', encoding="utf-8")
    assert bench.rows_of(results) == rows
    assert bench.is_done(job, rows)
    assert not bench.is_done(dataclasses.replace(job, seed=SEED + 1), rows)
    assert f"| label-miner | {rows[0]['score']:.2f} (1) |" in report.page(rows)
    assert plot.draw(rows).startswith("<svg")
    assert bench.without([job], rows) == []
    assert bench.without([dataclasses.replace(job, seed=SEED + 1)], rows) == rows


def test_the_report_says_where_a_target_does_not_hold() -> None:
    def row(arm: str, seed: int, budget: int, score: float, reflection: int) -> dict[str, object]:
        facts = {"seed_score": 0.1, "ceiling": 0.9, "calls": budget, "reflection_tokens": 1, "task_tokens": 1}
        return {"family": "slots", "arm": arm, "seed": seed, "budget": budget, "score": score, **facts} | {
            "reflection_calls": reflection
        }

    rows = [row("gepa-16", seed, 4000, 0.8, 60) for seed in range(15)]
    rows += [row("ours", seed, 600, 0.81 + seed / 1000, 20) for seed in range(15)]
    rows += [row("ours", seed, 1500, 0.85 + seed / 1000, 41) for seed in range(15)]
    tuned = [row("gepa-16", 100, 4000, 0.9, 60), row("gepa-3", 100, 4000, 0.7, 60)]
    (told,) = [line for line in report.targets(rows, tuned) if line.startswith("| slots")]
    few, more, asked = told.split("|")[2:5]
    assert few.strip().startswith("+0.017 (+0.01") and few.strip().endswith(": holds")
    assert more.strip().startswith("-0.016 (") and more.strip().endswith("**does not hold**")
    assert asked.strip() == "41: **does not hold**"
    assert bench.best_gepa("slots", tuned) == "gepa-16"


def test_our_search_improves_a_small_world_within_its_budget(tmp_path: Path) -> None:
    world = make_world("slots", SEED)
    with running_endpoint() as endpoint:
        (reached,) = ours.run(endpoint, world, "ours", 400, keep=tmp_path)
        counts = endpoint.counts()
    assert reached.score > mean(world, world.prompt) + 0.2
    assert reached.spent.calls == counts["search/task/calls"] + counts["search/reflection/calls"] <= 400
    assert counts["test/task/calls"] == 2 * len(world.split("test"))


def test_nothing_in_the_package_imports_the_worlds() -> None:
    for path in (ROOT / "optimizer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "benchmarks" for name in names), path
