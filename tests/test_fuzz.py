"""Hostile and random input of every kind, briefly: `make fuzz` does the same for ten minutes, with other cases."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from benchmarks.fuzz.material import Target
from benchmarks.fuzz.run import SHORT, Tried, table, tried
from benchmarks.fuzz.targets import TARGETS, attempt_of

HEAVY = {"litellm's exceptions"}
"""What imports openai and httpx: seconds, for each process that runs tests."""


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in HEAVY])
def test_a_promise_is_held_whatever_comes(name: str) -> None:
    attempt_of(TARGETS[name], SHORT)()


def test_what_breaks_a_promise_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def breaks(value: object) -> None:
        assert str(value).isascii(), "a letter"

    found = tried("x", Target(given=st.text(), check=breaks, promise="none"), seconds=0.1, start=1)
    assert found.broken == 1 and found.cases > 0
    assert "BROKEN x (seed 1): AssertionError: a letter" in capsys.readouterr().out


def test_the_result_is_a_table() -> None:
    made = table([Tried(name="a", promise="b", cases=1200, broken=0, kept=1)], 5, 3.2)
    assert made.startswith("1,200 cases of 1 targets, 0 promises broken, 1 cases kept from before; seed 5, 3 minutes")
    assert made.endswith("| a | b | 1,200 | 0 | 1 |")
