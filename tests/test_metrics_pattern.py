"""Searches that may take for ever: in this process where they cannot, else where they can be killed."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.metrics.pattern import INLINE, SHORT_PATTERN, SHORT_TEXT, check, found, is_short
from optimizer.metrics.process import OURS
from tests.metric_cases import built, context, scored

HOSTILE = [
    (r"^(a|aa)+$", "a" * 200 + "!"),
    (r"^(a+)+$", "a" * SHORT_TEXT + "!"),
    (r"(.+)\1+$", "ab" * 4_000 + "c"),
    (r"\s+$", " " * SHORT_TEXT + "x"),
    (r"((a{1,60}){1,60})+$", "a" * 60 + "b"),
    (r"(?i)[\p{L}\p{N}]+\s*[^\s]+$", "É" * SHORT_TEXT + " "),
    (r"(?>a+)+b", "a" * SHORT_TEXT),
    (r"(?=(a+))\1+b", "a" * SHORT_TEXT),
    (r"(?:.*a){12}b", "a" * SHORT_TEXT),
    (r"(\w+\s?)*$", "word " * 2_000 + "!"),
]


def late(search: Callable[[], object]) -> float:
    """Processor seconds of this thread that a search took; waiting for a busy machine does not count."""
    began = time.thread_time()
    with pytest.raises(TimeoutError):
        search()
        raise TimeoutError
    return time.thread_time() - began


@pytest.mark.parametrize(("pattern", "text"), HOSTILE)
def test_the_engine_looks_at_its_clock_where_text_and_pattern_are_short(pattern, text):
    assert is_short(pattern)
    gc.collect()
    text = text[:SHORT_TEXT]
    found(pattern, 0, "", 1.0)
    assert late(lambda: found(pattern, 0, text, INLINE)) < INLINE + 0.05


PIECE = st.sampled_from(["a", "b", r"\w", r"\s", ".", "[ab]", r"\b", "(?=a)", "^", "$", r"\1", "é", r"\p{L}"])
REPEAT = st.sampled_from(["", "", "*", "+", "?", "*?", "{2,9}", "{3}", "{0,40}", "++"])
PATTERN = st.recursive(
    st.tuples(PIECE, REPEAT).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), REPEAT).map(lambda x: f"({x[0]}){x[1]}"),
    ),
    max_leaves=6,
)


@given(pattern=PATTERN, unit=st.sampled_from(["a", "ab", "a b ", " ", "é"]), end=st.sampled_from(["", "!", "c"]))
def test_no_short_pattern_holds_up_the_loop(pattern, unit, end):
    text = (unit * SHORT_TEXT)[: SHORT_TEXT - 1] + end
    try:
        check(pattern, 0)
    except ValueError:
        return
    if is_short(pattern):
        assert late(lambda: found(pattern, 0, text, INLINE)) < INLINE + 0.08


@pytest.mark.parametrize(
    ("pattern", "short"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", True),
        (r"\p{Lu}\p{Ll}+", True),
        (r'\{"label": "\w+"\}', True),
        (r"\b[A-Z]{2}\d{10}\b", True),
        (r"(?i)(?P<be>b)", True),
        (r"(?:(?:a?){1000}){1000}", False),
        (r"a{9999}", False),
        (r"a{ 99999 }", False),
        ("a" * (SHORT_PATTERN + 1), False),
        (r"(?:foo){e<=3}", False),
        (r"(?:foo){i}", False),
        (r"(?b)foo", False),
        (r"(a(?1)?b)", False),
        (r"(?R)?a", False),
        (r"(?P<x>a(?&x)?)", False),
    ],
)
def test_which_patterns_are_searched_here(pattern, short):
    assert is_short(pattern) is short


def test_a_pattern_that_compiles_to_gigabytes_is_refused_before_the_run():
    with pytest.raises(ConfigError, match="does not compile: it (ran out of memory|did not end)"):
        built("regex", r"(?:a{9999}){9999}")
    with pytest.raises(ConfigError, match=r"does not compile: missing \)"):
        built("regex", "(a{99999}")


@pytest.mark.parametrize("full", [False, True])
def test_a_long_text_is_searched_in_a_process(full):
    metric = built("regex", r"\w+ (x+)", full=full)
    assert scored(metric, "w" * SHORT_TEXT + " " + "x" * SHORT_TEXT).got == ("w" * 499 + "…")
    assert not scored(metric, "w" * (3 * SHORT_TEXT)).passed


def test_what_takes_too_long_is_an_error_of_the_metric_wherever_it_is_searched():
    for text in ("a" * 200 + "!", "a" * (2 * SHORT_TEXT) + "!"):
        with pytest.raises(ModelError, match=r"did not end within 0\.05 s") as caught:
            scored(built("regex", r"^(a|aa)+$", deadline=0.05), text)
        assert caught.value.kind is ErrorKind.METRIC


@pytest.mark.parametrize(
    ("schema", "output"),
    [
        ({"items": {"pattern": r"^(a|aa)+$"}}, "[" + ", ".join(['"' + "a" * 40 + '!"'] * 20) + "]"),
        ({"patternProperties": {r"^(b|bb)+$": {}}}, '{"' + "b" * 200 + '!": 1}'),
    ],
)
def test_patterns_of_a_schema_that_take_too_long_are_an_error(schema, output):
    with pytest.raises(ModelError, match=r"did not end within 0\.1 s"):
        scored(built("json", schema), output)


@pytest.mark.parametrize(
    ("schema", "output", "reason"),
    [
        ({"uniqueItems": True}, "[" + ", ".join(f'{{"a": {n // 2}}}' for n in range(400)) + "]", "uniqueItems"),
        (
            {
                "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(12)} | {"d12": False},
                "$ref": "#/$defs/d0",
            },
            "1",
            "breaks the rule",
        ),
        ({"items": {"type": "integer"}}, "[" + "1, " * 40_000 + '"x"]', "expected a whole number"),
    ],
)
def test_what_is_much_work_is_checked_in_a_process_with_the_same_words(schema, output, reason):
    OURS.close()
    score = scored(built("json", schema), output)
    assert reason in score.reason
    assert OURS._free, "it was checked in a process"


def test_a_search_in_a_process_leaves_the_loop_alone():
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def both() -> None:
        task = asyncio.create_task(beat())
        with pytest.raises(ModelError):
            await built("regex", r"^(a|aa)+$", deadline=0.3).score(context("a" * (2 * SHORT_TEXT) + "!"))
        task.cancel()

    asyncio.run(both())
    assert len(beats) > 5 and threading.active_count() < 20
