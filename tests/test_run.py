"""Whole runs from an eval file: in process and over HTTP, again, and with other names in the rows."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from optimizer.build import Ended, Order, execute
from optimizer.dataset import Example, Split
from optimizer.errors import ConfigError, ProviderError, UserError
from optimizer.outcome import Phase, Role, Verdict
from optimizer.prompt import Prompt
from optimizer.readers.config import load_config
from optimizer.readers.evalset import load_eval_set
from optimizer.readers.prompts import load_prompt
from optimizer.store import RunReader, spending
from optimizer.testing.faults import refuse
from optimizer.testing.server import running_server

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the eval sets and their seed prompts."""
    shutil.copytree(ROOT / "evals", tmp_path / "evals")
    for name in ("romeo-bob", "reviews"):
        (tmp_path / "prompts" / name).mkdir(parents=True)
        shutil.copy(ROOT / "prompts" / name / "v1.yaml", tmp_path / "prompts" / name / "v1.yaml")
    return tmp_path


def run(workspace: Path, name: str, run_id: str, **overrides: object) -> Ended:
    config = load_config(workspace / "evals" / f"{name}.yaml", overrides)
    return asyncio.run(execute(Order(config=config, root=workspace, run_id=run_id)))


def winner(ended: Ended) -> Prompt:
    assert ended.written is not None
    return load_prompt(ended.written)


def test_mined_edits_alone_mend_romeo_bob(workspace):
    ended = run(workspace, "romeo-bob", "r1", mutator="none")
    assert ended.outcome.verdict is Verdict.GAIN_SHOWN
    assert ended.outcome.test is not None
    assert ended.outcome.test.n >= 36
    assert ended.outcome.test.baseline < 0.35
    assert ended.outcome.test.winner >= 0.97
    assert any("Bob" in line.text for line in ended.outcome.lines)
    assert len(ended.outcome.lines) <= 3


def test_a_second_identical_run_sends_nothing_and_writes_no_second_copy(workspace):
    first = run(workspace, "romeo-bob", "r1")
    again = run(workspace, "romeo-bob", "r2")
    with RunReader(workspace, "r2") as reader:
        spent = spending(reader)
    assert spent.calls == 0
    assert spent.saved > 0
    assert again.outcome == first.outcome
    assert again.written == first.written


@pytest.mark.parametrize("name", ["Ben", "Balduin"])
def test_the_stand_in_knows_no_answer_another_name_does_as_well(workspace, name):
    rows = workspace / "evals" / "romeo-bob.jsonl"
    rows.write_text(re.sub(r"\bBob\b", name, rows.read_text(encoding="utf-8")), encoding="utf-8")
    ended = run(workspace, "romeo-bob", "r1")
    assert ended.outcome.verdict is Verdict.GAIN_SHOWN
    assert ended.outcome.test is not None
    assert ended.outcome.test.winner >= 0.97
    assert name in winner(ended).text and "Bob" not in winner(ended).text


def test_reviews_are_mended_in_rounds(workspace):
    ended = run(workspace, "reviews", "r1")
    assert ended.outcome.test is not None
    assert ended.outcome.test.baseline < 0.40
    assert ended.outcome.test.winner >= 0.85
    assert ended.outcome.verdict is Verdict.GAIN_SHOWN


@pytest.mark.parametrize(
    "labels",
    [
        {"positive": "pleased", "negative": "displeased", "neutral": "factual", "mixed": "divided"},
        {"positive": "S1", "negative": "S2", "neutral": "S3", "mixed": "S4"},
        {"positive": "neutral", "negative": "positive", "neutral": "mixed", "mixed": "negative"},
    ],
)
def test_other_names_of_labels_do_as_well(workspace, labels):
    rows = workspace / "evals" / "reviews.jsonl"
    renamed = []
    for line in rows.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row["expected"]["sentiment"] = labels[row["expected"]["sentiment"]]
        renamed.append(json.dumps(row))
    rows.write_text("\n".join(renamed) + "\n", encoding="utf-8")
    ended = run(workspace, "reviews", "r1")
    assert ended.outcome.test is not None
    # The set as it is ends between 0.85 and 0.95, by the stand-in's seed.
    assert ended.outcome.test.winner >= 0.80


def over_http(base_url: str, name: str, model: str) -> dict[str, object]:
    prefix = "litellm/openai/" if name == "litellm" else "openai/"
    return {
        "model": {"name": f"{prefix}{model}", "base_url": base_url},
        "mutator": {"name": f"{prefix}offline", "base_url": base_url},
    }


@pytest.mark.parametrize("client", ["openai", "litellm"])
@pytest.mark.parametrize(("eval_set", "model"), [("romeo-bob", "offline:perfect"), ("reviews", "offline")])
def test_over_http_the_winner_is_the_same_and_the_bill_is_the_servers(workspace, client, eval_set, model, monkeypatch):
    if client == "litellm":
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    inside = run(workspace, eval_set, "inside")
    with running_server() as server:
        outside = run(workspace, eval_set, "outside", **over_http(server.base_url, client, model))
    assert winner(outside).text == winner(inside).text
    assert inside.outcome.test is not None and outside.outcome.test is not None
    assert outside.outcome.test.winner == inside.outcome.test.winner
    with RunReader(workspace, "outside") as reader:
        spent = spending(reader)
        calls = list(reader.calls())
        # Prices are asked of the winner with lines left out, of itself, and of both with a line that says nothing.
        made = [one for one in reader.candidates() if one.round == 0 and one.origin != "seed"]
        left_out = {one.prompt.messages[0].text for one in made}
        test_rows = {str(next(iter(row.inputs.values()))) for row in rows_of(workspace, eval_set, Split.TEST)}
    assert spent.calls == len(server.log) == server.stats()["answered"]
    assert len(calls) == spent.calls + spent.saved
    # What the server saw, by what it was asked: sealed rows, prompts with a line left out, proposals, the rest.
    asked = [[message["content"] for message in seen.body["messages"]] for seen in server.log]
    tested = [texts for texts in asked if texts[-1] in test_rows]
    assert len(tested) == spent.by_phase[Phase.TEST] == 2 * outside.outcome.test.n
    assert asked[-len(tested) :] == tested, "sealed rows are opened last"
    priced = asked[spent.by_phase[Phase.SEARCH] : -len(tested)]
    assert len(priced) == spent.by_phase[Phase.ATTRIBUTION]
    assert all(texts[0] in left_out for texts in priced)
    assert spent.by_role[Role.MUTATOR] == sum("response_format" in seen.body for seen in server.log)


def rows_of(workspace: Path, eval_set: str, split: Split) -> Sequence[Example]:
    config = load_config(workspace / "evals" / f"{eval_set}.yaml")
    return load_eval_set(config, write=False)[0].split(split)


def test_mined_edits_alone_mend_the_format_of_reviews(workspace):
    ended = run(workspace, "reviews", "r1", mutator="none")
    with RunReader(workspace, "r1") as reader:
        tested = list(reader.evaluation(ended.outcome.winner, Split.TEST).results.values())
    valid = [
        score.value
        for result in tested
        for score in result.scores
        if score.metric.startswith("json") and "field" not in score.metric
    ]
    assert len(valid) == 65
    assert sum(valid) / len(valid) >= 0.9
    assert ended.outcome.verdict is Verdict.GAIN_SHOWN


def test_a_run_that_a_failing_provider_ended_goes_on_once_it_answers(workspace):
    with running_server(faults=lambda seen: refuse(402) if seen.index >= 20 else None) as server:
        with pytest.raises(ProviderError, match="402.*; the run is paused: add credit to the account"):
            run(workspace, "romeo-bob", "r1", base_url=server.base_url, concurrency=4)
        server.faults = None
        failed = len(server.log)
        config = load_config(workspace / "evals" / "romeo-bob.yaml", {"base_url": server.base_url})
        ended = asyncio.run(execute(Order(config=config, root=workspace, resume=True)))
        answered = [seen.key for seen in server.log if seen.answered]
    assert ended.run_id == "r1"
    assert ended.outcome.verdict is Verdict.GAIN_SHOWN
    assert len(answered) == len(set(answered)), "what was answered is not asked again"
    assert failed < len(server.log)
    with RunReader(workspace, "r1") as reader:
        assert spending(reader).calls == len(server.log)
        assert not list(reader.evaluation(ended.outcome.winner, Split.TEST).errors)


def test_the_same_name_at_another_address_has_its_own_price(workspace):
    with running_server() as dear, running_server() as free:
        run(
            workspace,
            "romeo-bob",
            "r1",
            model={"name": "openai/offline", "base_url": dear.base_url, "price": {"input": 10, "output": 10}},
            mutator={"name": "openai/offline", "base_url": free.base_url, "price": {"input": 0, "output": 0}},
        )
    with RunReader(workspace, "r1") as reader:
        calls = list(reader.calls())
    cost = {
        role: sum(call.completion.cost or 0.0 for call in calls if call.role is role and call.completion)
        for role in Role
    }
    tokens = sum(
        call.completion.usage.input_tokens + call.completion.usage.output_tokens
        for call in calls
        if call.role is Role.TASK and call.completion
    )
    assert cost[Role.TASK] == pytest.approx(tokens * 10 / 1_000_000)
    assert cost[Role.MUTATOR] == 0


def test_a_budget_in_dollars_is_refused_where_the_dollars_so_far_cannot_be_told(workspace):
    with running_server(faults=lambda seen: refuse(401) if seen.index >= 20 else None) as server:
        model = {"name": "openai/m", "base_url": server.base_url}
        with pytest.raises(ProviderError):
            run(workspace, "romeo-bob", "r1", model=model, concurrency=4)
        sent = len(server.log)
        overrides = {"model": {**model, "price": {"input": 1, "output": 1}}, "usd": 5.0}
        config = load_config(workspace / "evals" / "romeo-bob.yaml", overrides)
        with pytest.raises(ConfigError, match="what run r1 has cost so far cannot be told"):
            asyncio.run(execute(Order(config=config, root=workspace, run_id="r1", resume=True)))
        assert len(server.log) == sent


def test_a_run_that_ended_is_not_shown_for_another_one(workspace):
    run(workspace, "romeo-bob", "r1", mutator="none")
    config = load_config(workspace / "evals" / "romeo-bob.yaml", {"mutator": "none", "model": "offline"})
    with pytest.raises(UserError, match="run r1 cannot go on: the model changed .offline:perfect -> offline."):
        asyncio.run(execute(Order(config=config, root=workspace, run_id="r1", resume=True)))
