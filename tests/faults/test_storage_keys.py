"""What asks something else is asked anew, and what asks the same is not: seen on the meter, from the eval file on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.testing.server import running_server
from tests.cli_case import Done, cli

EVAL = Path("evals/example.yaml")
PROMPT = Path("prompts/example/v1.yaml")
ROWS = 14
"""Rows of train and val together."""


def line(
    params: str = "temperature: 0, seed: 7, max_tokens: 40", name: str = "openai/offline", url: str = "URL"
) -> str:
    return f'model: {{name: {name}, base_url: "{url}", params: {{{params}}}}}'


def scored(url: str, model: str = "") -> Done:
    text = EVAL.read_text("utf-8")
    EVAL.write_text(re.sub(r"(?m)^model: .*$", (model or line()).replace("URL", url), text), "utf-8")
    done = cli("eval", EVAL, "--json")
    assert done.code == 0, done.err
    return done


def other_prompt() -> None:
    text = PROMPT.read_text("utf-8")
    PROMPT.write_text(text.replace("You read the notes", "You read all notes"), "utf-8")


def repeated() -> None:
    EVAL.write_text(EVAL.read_text("utf-8") + "repeats: 2\n", "utf-8")


@pytest.mark.parametrize(
    ("model", "change", "asked"),
    [
        (line("max_tokens: 40, seed: 7, temperature: 0"), None, 0),
        (line("temperature: 0.5, seed: 7, max_tokens: 40"), None, ROWS),
        (line("temperature: 0, seed: 8, max_tokens: 40"), None, ROWS),
        (line("temperature: 0, seed: 7, max_tokens: 41"), None, ROWS),
        (line("temperature: 0, seed: 7"), None, ROWS),
        (line("temperature: 0, seed: 7, max_tokens: 40, top_p: 0.9"), None, ROWS),
        (line("temperature: 0, seed: 7, max_tokens: 40, tools: []"), None, ROWS),
        (line(name="openai/offline:perfect"), None, ROWS),
        (line(url="OTHER"), None, ROWS),
        ("", other_prompt, ROWS),
        ("", repeated, ROWS),
    ],
    ids=[
        "another order",
        "temperature",
        "seed",
        "max_tokens",
        "one parameter less",
        "one more",
        "tools",
        "model",
        "base_url",
        "system text",
        "second sample",
    ],
)
def test_what_asks_something_else_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, change: Callable[[], None] | None, asked: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    with running_server() as server:
        scored(server.base_url)
        assert len(server.log) == ROWS
        scored(server.base_url)
        assert len(server.log) == ROWS, "the same is not asked again"
        if change is not None:
            change()
        scored(server.base_url, model.replace("OTHER", server.base_url.replace("127.0.0.1", "localhost")))
        assert len(server.log) - ROWS == asked
