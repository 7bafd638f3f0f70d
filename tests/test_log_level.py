"""--log-level: what the error stream tells besides progress."""

from __future__ import annotations

import json
import logging

import pytest

from optimizer.cli.entry import run
from optimizer.cli.log_levels import LogLevel
from optimizer.cli.log_lines import shown
from tests.test_run import workspace

__all__ = ["workspace"]

QUICK = ("eval", "evals/romeo-bob.yaml", "--split", "val")


@pytest.mark.parametrize(
    ("level", "told"),
    [
        (LogLevel.DEBUG, ["info: one", "warning: two", "error: three"]),
        (LogLevel.INFO, ["info: one", "warning: two", "error: three"]),
        (LogLevel.WARNING, ["warning: two", "error: three"]),
        (LogLevel.ERROR, ["error: three"]),
    ],
)
def test_a_level_hides_what_is_below_it(level, told):
    said: list[str] = []
    logger = logging.getLogger("optimizer.models.limit")
    with shown(said.append, level):
        logger.info("one")
        logger.warning("two")
        logger.error("three")
    logger.error("after the end")
    assert said == told


def test_a_line_holds_no_secret_and_is_one_line(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "canary-0123456789")
    said: list[str] = []
    with shown(said.append):
        logging.getLogger("optimizer.store").warning("key canary-0123456789 in\na %s", "second line")
    assert said == ["warning: key [redacted] in a second line"]


def test_debug_tells_every_event_and_the_rest_does_not(workspace, monkeypatch, capsys):
    monkeypatch.chdir(workspace)
    assert run((*QUICK, "--log-level", "debug")) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert events.count("call sent") == events.count("call answered") == events.count("result") == 40
    assert run((*QUICK, "--log-level", "info")) == 0
    assert "{" not in capsys.readouterr().err


def test_an_unknown_level_is_told_with_those_there_are(workspace, monkeypatch, capsys):
    monkeypatch.chdir(workspace)
    assert run((*QUICK, "--log-level", "loud")) == 2
    told = capsys.readouterr().err
    assert "loud" in told and "debug" in told and "error" in told
