"""The shipped eval sets: fair, unlike each other across splits, and written without the stand-in's words."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from optimizer.config import RunConfig
from optimizer.dataset import EvalSet, Example, Split, display
from optimizer.metrics import build_metrics
from optimizer.metrics.base import MetricContext
from optimizer.models.offline.answer import reply
from optimizer.prompt import Prompt, build, prepare
from optimizer.readers.config import load_config
from optimizer.readers.evalset import load_eval_set, lock_path
from optimizer.readers.prompts import check_variables, load_prompt
from optimizer.readers.splits import read_lock
from optimizer.results import Completion

ROOT = Path(__file__).parents[1]
WORLD = ROOT / "optimizer" / "models" / "offline" / "world.json"
NAMES = ("romeo-bob", "reviews")
BUSINESSES = (
    "bakery",
    "bookstore",
    "dentist",
    "doctor's office",
    "garage",
    "golf range",
    "grocery store",
    "gym",
    "hair salon",
    "hotel",
    "pharmacy",
    "restaurant",
)
SENTIMENTS = ("positive", "negative", "neutral", "mixed")

HOUSE_RULES = {
    "romeo-bob": "Use the name Bob instead of Romeo.",
    "reviews": f"""
Answer with a JSON object with the keys "sentiment" and "business_type", and nothing else.
The sentiment is one of: {", ".join(SENTIMENTS)}.
Use mixed when the review both praises and complains.
Use neutral when the review only states facts and gives no opinion.
The business_type is one of: {", ".join(BUSINESSES)}.
""".strip(),
}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def fours(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return set(zip(found, found[1:], found[2:], found[3:], strict=False))


def config_of(name: str) -> RunConfig:
    return load_config(ROOT / "evals" / f"{name}.yaml")


def eval_set(name: str) -> EvalSet:
    return load_eval_set(config_of(name), write=False)[0]


def text_of(row: Example) -> str:
    (text,) = row.inputs.values()
    assert isinstance(text, str)
    return text


def tags_of(rows: Sequence[Example]) -> Counter[str]:
    return Counter(tag for row in rows for tag in row.tags)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain(value, *map(strings, value.values()))
    elif isinstance(value, list):
        # A list of words can be read in one go as well.
        yield " ".join(item for item in value if isinstance(item, str))
        yield from itertools.chain.from_iterable(map(strings, value))


@pytest.mark.parametrize(("name", "floor"), [("romeo-bob", 120), ("reviews", 200)])
def test_there_are_enough_rows_with_ids_of_their_own(name, floor):
    lines = (ROOT / "evals" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert len(ids) >= floor
    assert len(set(ids)) == len(ids)
    assert [row.id for row in eval_set(name).examples] == ids


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_file_lists_every_row(name):
    lock = read_lock(lock_path(config_of(name)))
    assert set(lock.rows) == {row.id for row in eval_set(name).examples}
    assert {split.value: share for split, share in lock.shares.items()} == dict(config_of(name).splits)


@pytest.mark.parametrize("name", NAMES)
def test_every_tag_is_in_every_split_near_its_share(name):
    rows = eval_set(name)
    total = tags_of(rows.examples)
    for split in Split:
        found = tags_of(rows.split(split))
        for tag, count in total.items():
            due = config_of(name).splits[split.value] * count
            assert found[tag] >= 1, (tag, split)
            assert abs(found[tag] - due) <= max(2.5, 0.2 * due), (tag, split)


def test_the_sealed_split_can_show_a_gain():
    assert len(eval_set("romeo-bob").split(Split.TEST)) >= 36


@pytest.mark.parametrize("name", NAMES)
def test_no_four_words_are_shared_with_the_stand_in(name):
    raw = WORLD.read_text(encoding="utf-8")
    known = fours(raw).union(*map(fours, strings(json.loads(raw))))
    shared = {row.id: found for row in eval_set(name).examples if (found := fours(text_of(row)) & known)}
    assert shared == {}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_rows_are_nearly_alike(name):
    bags = [(row.id, frozenset(words(text_of(row)))) for row in eval_set(name).examples]
    alike = [(a, b) for (a, x), (b, y) in itertools.combinations(bags, 2) if len(x & y) >= 0.6 * len(x | y)]
    assert alike == []


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_prompt_fits_the_rows(name):
    rows = eval_set(name).examples
    prompt = load_prompt(config_of(name).prompt)
    assert check_variables(prompt, rows) == ()
    assert all(text_of(row) in prepare(prompt, row)[-1].content for row in rows)


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("romeo-bob", ("bob", "romeo")),
        ("reviews", ("json", "sentiment", "type", "business", "label", "{", *BUSINESSES, *SENTIMENTS)),
    ],
)
def test_the_seed_prompt_does_not_give_the_rule_away(name, silent):
    text = load_prompt(config_of(name).prompt).text.lower().replace("{{ review }}", "")
    assert [word for word in silent if word in text] == []


def test_no_question_holds_its_answer():
    for row in eval_set("romeo-bob").examples:
        assert not set(words(display(row.expected))) & set(words(text_of(row))), row.id
        assert "bob" not in text_of(row).lower(), row.id


def test_romeo_is_named_where_the_tag_says_so():
    for row in eval_set("romeo-bob").examples:
        assert ("romeo" in text_of(row).lower()) == ("names-romeo" in row.tags), row.id
        assert (row.expected == "Bob") == ("other" not in row.tags), row.id


def test_rows_that_pass_already_are_the_smaller_part():
    for split in Split:
        rows = eval_set("romeo-bob").split(split)
        assert tags_of(rows)["other"] <= 0.3 * len(rows)


def test_every_review_has_house_labels_and_no_other():
    rows = eval_set("reviews").examples
    types = Counter(row.expected["business_type"] for row in rows)
    moods = Counter(row.expected["sentiment"] for row in rows)
    assert all(set(row.expected) == {"sentiment", "business_type"} for row in rows)
    assert set(types) == set(BUSINESSES)
    assert min(types.values()) >= 12
    assert set(moods) == set(SENTIMENTS)
    assert min(moods.values()) >= 0.18 * len(rows)


def test_no_review_holds_a_label():
    for row in eval_set("reviews").examples:
        text = text_of(row).lower()
        assert [label for label in (*BUSINESSES, *SENTIMENTS) if label in text] == [], row.id


def test_the_tags_of_a_review_agree_with_its_labels():
    for row in eval_set("reviews").examples:
        about = "about-" + row.expected["business_type"].replace("'", "").replace(" ", "-")
        assert [tag for tag in row.tags if tag.startswith("about-")] == [about], row.id
        assert ("both" in row.tags) == (row.expected["sentiment"] == "mixed"), row.id
        assert ("factual" in row.tags) == (row.expected["sentiment"] == "neutral"), row.id


def mean_score(name: str, prompt: Prompt, rows: Sequence[Example], perfect: bool) -> float:
    """Mean row score of the stand-in's answers under the eval file's metrics."""
    config = config_of(name)
    metrics = build_metrics(config.metrics, config.path.parent)

    async def score() -> float:
        total = 0.0
        for row in rows:
            messages = [(message.role, message.content) for message in prepare(prompt, row)]
            answer = Completion(text=reply(messages, seed=0, perfect=perfect))
            for metric in metrics:
                total += (await metric.score(MetricContext(example=row, completion=answer))).value
        return total / len(metrics) / len(rows)

    return asyncio.run(score())


@pytest.mark.parametrize(
    ("name", "perfect", "seed_below", "mended_from"),
    [("romeo-bob", True, 0.35, 0.97), ("reviews", True, 0.4, 0.95), ("reviews", False, 0.4, 0.85)],
)
def test_the_stand_in_fails_on_the_seed_and_not_on_the_rules(name, perfect, seed_below, mended_from):
    seed = load_prompt(config_of(name).prompt)
    rows = eval_set(name).split(Split.TEST)
    mended = build(name, [("system", HOUSE_RULES[name]), *((m.role, m.text) for m in seed.messages)])
    assert mean_score(name, seed, rows, perfect) < seed_below
    assert mean_score(name, mended, rows, perfect) >= mended_from
