from __future__ import annotations

import ast
import asyncio
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from benchmarks.search import hierarchical, plot, reflection, report, requests, task
from benchmarks.search import run as bench
from benchmarks.search.arms import miner, ours
from benchmarks.search.endpoint import Endpoint, running_endpoint
from benchmarks.search.judge import score
from benchmarks.search.prompts import ceiling_prompt
from benchmarks.search.statements import read_prompt
from benchmarks.search.wording import phrase, plainly
from benchmarks.search.worlds import FAMILIES, make_world, making
from benchmarks.search.worlds.world import Row, World
from optimizer.dataset import Example
from optimizer.failures import Cluster, Failure
from optimizer.intake import take_in as load
from optimizer.metrics.base import MetricContext
from optimizer.mutate import rewrite
from optimizer.prompt import build
from optimizer.readers.config import load_config
from optimizer.results import Completion, Result, Score

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


def mutation(world: World, rows: Sequence[Row]) -> list[dict[str, str]]:
    shown = [
        {"input": {"text": row.text}, "output": world.write(row.base), "expected": world.wanted(row)} for row in rows
    ]
    failures = "\n".join(json.dumps(item) for item in shown)
    material = f"<prompt-a1>\nL1| {world.prompt}\n</prompt-a1>\n\n<failures-a1>\n{failures}\n</failures-a1>"
    return [{"role": "system", "content": "Propose edits."}, {"role": "user", "content": material}]


def hurt_rows(world: World) -> tuple[str, list[Row]]:
    """The line that hurts, and rows that it gets wrong."""
    line = next(line for line in world.prompt.split("\n") if read_prompt(world, line).statements)
    (stated,) = read_prompt(world, line).statements
    rows = [row for row in world.split("train") if stated.holds(row) and row.expected["answer"] != stated.value]
    return line, [dataclasses.replace(row, base={"answer": stated.value}) for row in rows]


@pytest.mark.parametrize("family", FLAWED)
def test_failures_show_that_a_stated_line_is_wrong(family: str) -> None:
    world = make_world(family, SEED)
    line, rows = hurt_rows(world)
    material = mutation(world, rows)
    prompt = f"<prompt-b2>\nL7| {line}\nL8| {next(iter(world.locked))}  (locked)\n</prompt-b2>"
    aimed = 0
    for turn in range(20):
        user = f"Turn {turn}.\n{prompt}\n\n" + material[1]["content"].partition("\n\n")[2]
        found = json.loads(requests.answer(world, [material[0], {"role": "user", "content": user}]))["edits"]
        targets = [edit["target"] for edit in found]
        assert "L8" not in targets
        aimed += "L7" in targets
    assert aimed > 10


@pytest.mark.parametrize("family", FLAWED)
def test_a_rewrite_drops_a_line_that_failures_speak_against(family: str) -> None:
    world = make_world(family, SEED)
    line, rows = hurt_rows(world)
    dropped = sum(line not in rewritten(world, world.prompt, rows * copies) for copies in range(1, 21))
    assert dropped > 10


def rewritten(world: World, prompt: str, rows: Sequence[Row]) -> str:
    """The new instruction that GEPA is given for failures."""
    told = "\n\n".join(
        f"# Example {number}\n## Inputs\n{row.text}\n\n## Generated Outputs\n{world.write(row.base)}\n\n"
        f"## Feedback\nWrong.\nExpected: {world.wanted_text(row)}\n\n"
        for number, row in enumerate(rows, 1)
    )
    message = (
        "I provided an assistant with the following instructions to perform a task for me:\n"
        f"```\n{prompt}\n```\n\nThe following are examples:\n```\n{told}\n```\n\nProvide the new instructions."
    )
    return asked(world, message).split("```")[1].strip()


@pytest.mark.parametrize("family", FLAWED)
def test_a_whole_prompt_is_written_as_our_rewriter_asks_for_it(family: str) -> None:
    world = make_world(family, SEED)
    rows = [row for row in world.split("train") if row.cause and row.truth == row.expected != row.base][:8]
    prompt = build("world", [("system", ours.written(world)), ("user", "{{ text }}")])
    found = Cluster(id="c0", label="wrong", share=1.0, members=tuple(failure(world, row) for row in rows))
    user = rewrite.material(prompt, [found], ())
    messages = [{"role": "system", "content": rewrite.SYSTEM}, {"role": "user", "content": user}]
    made = rewrite.parse_rewrite(requests.answer(world, messages), prompt)
    assert [message.role for message in made.messages] == ["system", "user"]
    assert made.messages[1].text == "{{ text }}"
    assert {line.content for line in made.lines if line.locked} == world.locked
    stated = read_prompt(world, made.messages[0].text).statements
    assert any(statement.value == row.expected["answer"] for statement in stated for row in rows)


def failure(world: World, row: Row) -> Failure:
    """A row as our own run knows it when the model failed on it."""
    scores = (Score(metric="label", value=0.0, passed=False, reason=score(world, row, world.write(row.base))[1]),)
    output = Completion(text=world.write(row.base))
    result = Result(example=row.id, candidate="seed", completion=output, scores=scores)
    example = Example(id=row.id, inputs={"text": row.text}, expected=world.wanted(row))
    return Failure(example=example, result=result)


def test_more_failures_of_one_cause_make_it_surer_to_be_found() -> None:
    world = make_world("slots", SEED)
    found = {1: 0, 4: 0}
    for rule in world.rules:
        rows = [row for row in world.split("train") if row.cause.get("answer") == rule.id and row.truth == row.expected]
        for shown in found:
            reply = requests.answer(world, mutation(world, rows[:shown]))
            texts = [edit["text"] for edit in json.loads(reply)["edits"]]
            found[shown] += any(rule.value in text for text in texts)
    assert found[4] > found[1]


def test_a_rewrite_of_the_whole_prompt_keeps_its_frame_and_adds_what_failures_show() -> None:
    world = make_world("slots", SEED)
    rows = [row for row in world.split("train") if row.cause and row.truth == row.expected][:8]
    made = rewritten(world, world.prompt, rows)
    assert made.startswith(world.prompt)
    assert any(
        statement.value == row.expected["answer"] for statement in read_prompt(world, made).statements for row in rows
    )


def test_root_causes_of_batches_become_rules_of_the_prompt() -> None:
    world = make_world("slots", SEED)
    rows = [row for row in world.split("train") if row.cause and row.truth == row.expected][:20]
    cases = "\n\n".join(
        f"Test Case #{number} (ID: x, Trial: None)\nScores:\n  - answer_score: 0.000\n    Reason: wrong\n"
        f"Input: {row.text}\nExpected: {world.wanted_text(row)}\nOutput: {world.write(row.base)}"
        for number, row in enumerate(rows, 1)
    )
    batch = json.loads(asked(world, f"{hierarchical.BATCH}\n\nTEST RESULTS:\n```\n{cases}\n```"))["failure_modes"]
    assert batch
    told = "\n".join(
        f"  - {mode['name']}\n    Description: {mode['description']}\n    Root Cause: {mode['root_cause']}"
        for mode in batch
    )
    synthesis = f"{hierarchical.SYNTHESIS}\n\nBatch 1 (Test Cases 1-20):\n{told}\nBatch 2 (Test Cases 21-25):\n{told}"
    unified = json.loads(asked(world, synthesis))
    assert (unified["total_test_cases"], unified["num_batches"]) == (25, 2)
    modes = unified["unified_failure_modes"]
    assert {mode["root_cause"] for mode in modes} <= {mode["root_cause"] for mode in batch}
    assert len(modes) == len({mode["root_cause"] for mode in modes})
    messages = [{"role": "system", "content": world.prompt}, {"role": "user", "content": "{text}"}]
    mode = modes[0]
    improve = (
        f"{hierarchical.IMPROVE} identified.\n\n--- Prompt: task ---\n```\n{messages}\n```\n\n - Name: {mode['name']}\n"
        f" - Description: {mode['description']}\n - Root Cause: {mode['root_cause']}\n"
    )
    made = json.loads(asked(world, improve))["task"]["messages"]
    assert made[1] == messages[1]
    (stated,) = read_prompt(world, made[0]["content"]).statements
    assert stated.key == read_prompt(world, mode["root_cause"]).statements[0].key


def asked(world: World, text: str) -> str:
    """What the reflection model says to one message."""
    return requests.answer(world, [{"role": "user", "content": text}])


def test_a_proposer_of_data_gets_its_marked_fields() -> None:
    world = make_world("slots", SEED)
    system = "Your input fields are:\n1. `examples` (str)\nYour output fields are:\n1. `observations` (str)"
    shown = "[" + ", ".join(f"Example({{'text': {row.text!r}}})" for row in world.split("train")[:40]) + "]"
    user = f"[[ ## examples ## ]]\n{shown}\n\nRespond with the corresponding output fields"
    reply = requests.answer(world, [{"role": "system", "content": system}, {"role": "user", "content": user}])
    assert reply.startswith("[[ ## observations ## ]]\n")
    assert reply.endswith("[[ ## completed ## ]]")


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
