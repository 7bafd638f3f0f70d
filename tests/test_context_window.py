"""Rows that are too long for the model: refused before they are paid for, where the window is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.config import ModelSpec
from optimizer.models.prices import context_window
from optimizer.testing.server import FakeServer
from tests.input_case import accepted, command, refused, rows, settings, write

WORDS = "word " * 13_000
"""About 13,000 tokens."""


def row(question: str, name: str = "q") -> dict[str, str]:
    return {"id": name, "question": question, "expected": "Bob 1"}


@pytest.mark.parametrize(
    ("spec", "window"),
    [
        (ModelSpec(name="openai/gpt-4"), 8192),
        (ModelSpec(name="litellm/gpt-4", base_url="https://api.openai.com/v1"), 8192),
        (ModelSpec(name="openai/gpt-4", base_url="http://127.0.0.1:8080/v1"), None),
        (ModelSpec(name="some/unheard-of"), None),
        (ModelSpec(name="offline"), None),
    ],
)
def test_a_window_is_known_or_it_is_not(spec: ModelSpec, window: int | None) -> None:
    assert context_window(spec) == window


def test_a_row_that_fills_the_window_is_refused_with_its_line(tmp_path: Path, endpoint: FakeServer) -> None:
    model = settings("{name: openai/test, base_url: ENDPOINT}", "openai/gpt-4")
    write(tmp_path, endpoint, {**model, **rows(row(WORDS), row("short", "q2"), row(f"Also {WORDS}", "q3"))})
    told = refused(tmp_path, endpoint, "eval", "evals/x.yaml")
    assert "evals/x.jsonl:13: question: about 13,0" in told and "and openai/gpt-4 takes 8,192 (shorten the row" in told
    assert "evals/x.jsonl:15: question: about 13,0" in told and "jsonl:14" not in told


def test_a_row_that_may_fill_it_is_told_of(tmp_path: Path, endpoint: FakeServer) -> None:
    model = settings("{name: openai/test, base_url: ENDPOINT}", "openai/gpt-4")
    write(tmp_path, endpoint, {**model, **rows(row("word " * 9000))})
    done = command(tmp_path, "check", "evals/x.yaml")
    told = "warning: evals/x.jsonl:13: may not fit into the 8,192 tokens that openai/gpt-4 takes, by our estimate"
    assert done.code == 0 and told in done.err


def test_nothing_is_said_where_the_window_is_not_known(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, rows(row(WORDS)))
    done, _ = accepted(tmp_path, endpoint)
    assert "may not fit" not in done.err
