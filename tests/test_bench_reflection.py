from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import pytest

from benchmarks.search import hierarchical, requests
from benchmarks.search.arms import ours
from benchmarks.search.judge import score
from benchmarks.search.statements import read_prompt
from benchmarks.search.worlds import make_world
from benchmarks.search.worlds.world import Row, World
from optimizer.dataset import Example
from optimizer.failures import Cluster, Failure
from optimizer.mutate import rewrite
from optimizer.prompt import build
from optimizer.results import Completion, Result, Score

SEED = 900
"""A seed that no tuning uses."""
FLAWED = ("style", "taxonomy", "facts")


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
