from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.config import MetricSpec
from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.metrics import build_metric, metrics_fingerprint
from optimizer.metrics.python.result import BadResult, read_result
from tests.metric_cases import built, context, scored


def check(folder: Path, body: str, **args: Any) -> Any:
    """A metric whose function is `def f(c)` with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return from_source(folder, f"def f(c):\n{lines}\n", **args)


def from_source(folder: Path, source: str, **args: Any) -> Any:
    (folder / "checks.py").write_text(source, encoding="utf-8")
    return built("python", "checks.py:f", root=folder, **args)


@pytest.mark.parametrize(
    ("body", "value", "passed", "reason"),
    [
        ("return True", 1.0, True, ""),
        ("return False", 0.0, False, '"checks.py:f" gave 0, expected at least 0.5'),
        ("return 1", 1.0, True, ""),
        ("return 0.5", 0.5, True, ""),
        ("return 0.25", 0.25, False, '"checks.py:f" gave 0.25, expected at least 0.5'),
        ("return 0.25, 'too rude'", 0.25, False, "too rude"),
        ("return 1, None", 1.0, True, ""),
        ("return {'value': 0, 'reason': 'no\\x1b[2J'}", 0.0, False, "no\\x1b[2J"),
        ("import fractions\nreturn fractions.Fraction(1, 4), 'r'", 0.25, False, "r"),
        ("return c.output == c.example.expected", 1.0, True, ""),
    ],
)
def test_what_a_function_may_give(body, value, passed, reason, tmp_path):
    score = scored(check(tmp_path, body), "Bob", "Bob")
    assert (score.value, score.passed, score.reason) == (value, passed, reason)


@pytest.mark.parametrize(
    "given",
    [
        "{'value': 0, 'reason': 'r', 'place': '$.a', 'wanted': 1, 'got': 'x'}",
        "Score(metric='m', value=0, passed=False, reason='r', place='$.a', wanted='1', got='x')",
    ],
)
def test_a_function_may_fill_the_places_of_a_score(given, tmp_path):
    score = scored(check(tmp_path, f"from optimizer.results import Score\nreturn {given}"), "x")
    assert (score.reason, score.place, score.wanted, score.got) == ("r", "$.a", "1", "x")
    assert score.metric == "python: checks.py:f"


FAULTS = [
    ("return None", "gave NoneType"),
    ("return 'yes'", "gave str"),
    ("return float('nan')", "gave not a number"),
    ("return float('inf')", "gave a number outside 0 to 1"),
    ("return 10 ** 400", "gave a number outside 0 to 1"),
    ("return -0.01", "gave a number outside 0 to 1"),
    ("return (1, 2, 3)", "gave a tuple of 3"),
    ("return (1, 2)", "gave a reason that is int"),
    ("return {'reason': 'x'}", "gave a mapping without value"),
    ("return {'value': 1, 'reson': 'x'}", 'gave an unknown key "reson"; did you mean "reason"?'),
    ("return {'value': 1, 'got': object()}", "gave object as wanted or got"),
    ("x = 1\nraise KeyError('sk-secret')", "raised KeyError at checks.py line 3"),
    ("import json\njson.loads('{')", "raised JSONDecodeError at checks.py line 3"),
    ("import sys\nsys.exit(3)", "raised SystemExit at checks.py line 3"),
]
SYNC_FAULTS = [
    ("raise KeyboardInterrupt", "raised KeyboardInterrupt at checks.py line 2"),
    ("f(c)", "raised RecursionError at checks.py line 2"),
    (
        "print('one', end='')\nprint(' two\\x1b[2J')\n1 / 0",
        "raised ZeroDivisionError at checks.py line 4, after it had",
    ),
]


@pytest.mark.parametrize(
    ("sync", "body", "problem"),
    [(True, *fault) for fault in FAULTS + SYNC_FAULTS] + [(False, *fault) for fault in FAULTS],
)
def test_a_function_that_fails_is_an_error_of_its_row(sync, body, problem, tmp_path):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    metric = from_source(tmp_path, f"{'' if sync else 'async '}def f(c):\n{lines}\n")
    with pytest.raises(ModelError) as caught:
        scored(metric, "x")
    assert caught.value.kind is ErrorKind.METRIC
    assert caught.value.message.startswith(f'metric "python: checks.py:f" {problem}')
    assert caught.value.message.endswith('(row "row-1")')
    assert "secret" not in caught.value.message


def test_an_async_function_is_awaited(tmp_path):
    metric = from_source(tmp_path, "import asyncio\nasync def f(c):\n    await asyncio.sleep(0)\n    return 0, 'bad'\n")
    assert scored(metric, "x").reason == "bad"


def test_a_cancellation_that_a_function_makes_up_is_an_error_of_its_row(tmp_path):
    metric = from_source(tmp_path, "import asyncio\nasync def f(c):\n    raise asyncio.CancelledError\n")
    with pytest.raises(ModelError, match="raised CancelledError"):
        scored(metric, "x")


@pytest.mark.parametrize(
    "source",
    [
        "import threading\ndef f(c):\n    threading.Event().wait()\n",
        "import asyncio\nasync def f(c):\n    await asyncio.Event().wait()\n",
    ],
)
def test_a_function_that_hangs_ends_at_its_deadline(source, tmp_path):
    metric = from_source(tmp_path, source, deadline=0.05)
    with pytest.raises(ModelError, match=r"did not end within 0\.05 s"):
        scored(metric, "x")


def test_a_function_cannot_change_its_row_for_the_next_candidate(tmp_path):
    metric = check(tmp_path, "c.example.expected.append(1)\nreturn len(c.example.expected) == 1")
    row = context("x", [])
    assert asyncio.run(metric.score(row)).passed
    assert asyncio.run(metric.score(row)).passed
    assert row.example.expected == []


def test_a_negated_function_has_a_reason(tmp_path):
    (tmp_path / "checks.py").write_text("def f(c):\n    return 0.6\n", encoding="utf-8")
    score = scored(built("not-python", "checks.py:f", root=tmp_path), "x")
    assert (score.value, score.passed) == (0.0, False)
    assert score.reason == '"checks.py:f" holds, which it must not'


def test_a_process_imports_what_we_import_now(tmp_path, monkeypatch):
    scored(check(tmp_path, "return 1"), "x")
    (tmp_path / "later_checks.py").write_text("import os\ndef f(c): return os.getcwd() == c.output\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert scored(built("python", "later_checks:f"), str(tmp_path)).passed


def test_a_module_is_named_by_its_import_name():
    with pytest.raises(ModelError, match="raised TypeError"):
        scored(built("python", "json:loads"), "x")


@pytest.mark.parametrize(
    ("source", "function", "message"),
    [
        ("def f(c)", "checks.py:f", "SyntaxError at line 1"),
        ("f = '\0'", "checks.py:f", "cannot be loaded"),
        ("", "nowhere.py:f", "cannot be read"),
        ("", "circle.py:f", "cannot be read"),
        ("", "no_such_module_at_all:f", "no module"),
        ("", "json.nothing:f", "no module"),
        ("", "checks.py", "write file.py:name or module:name"),
        ("", ":f", "write file.py:name or module:name"),
    ],
)
def test_a_function_that_cannot_be_found_is_told_without_running_anything(source, function, message, tmp_path):
    (tmp_path / "checks.py").write_text(source, encoding="utf-8")
    (tmp_path / "circle.py").symlink_to("circle.py")
    with pytest.raises(ConfigError, match=message):
        built("python", function, root=tmp_path)


@pytest.mark.parametrize(
    ("source", "function", "message"),
    [
        ("def g(c): return 1", "checks.py:f", 'has no function "f"'),
        ("def pollite(c): return 1", "checks.py:polite", 'did you mean "pollite"'),
        ("f = 3", "checks.py:f", "cannot be called"),
        ("\n1 / 0", "checks.py:f", "ZeroDivisionError at checks.py line 2"),
        ("import sys; sys.exit()", "checks.py:f", "SystemExit"),
        ("import os; os._exit(3)", "checks.py:f", r"ended its process \(exit code 3\)"),
    ],
)
def test_a_function_that_cannot_be_used_is_found_before_the_run(source, function, message, tmp_path):
    (tmp_path / "checks.py").write_text(source, encoding="utf-8")
    metric = built("python", function, root=tmp_path)
    with pytest.raises(ConfigError, match=message):
        asyncio.run(metric.make_ready())


def test_nothing_of_the_file_runs_before_it_is_made_ready(tmp_path):
    source = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ndef f(c): return 1\n"
    metric = from_source(tmp_path, source)
    assert metric.code() == tmp_path / "checks.py" and not (tmp_path / "ran").exists()
    asyncio.run(metric.make_ready())
    assert (tmp_path / "ran").exists()


def test_nothing_of_a_package_runs_before_it_is_made_ready(tmp_path, monkeypatch):
    package = tmp_path / "some_checks"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('ran')\n", encoding="utf-8")
    (package / "polite.py").write_text("def f(c): return 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert built("python", "some_checks.polite:f", root=tmp_path).code() == package / "polite.py"
    assert "some_checks" not in sys.modules


@pytest.mark.parametrize("place", ["runs/r1/checks.py", ".optimizer/cache/checks.py"])
def test_no_code_comes_from_a_run_or_from_the_cache(place, tmp_path):
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text("def f(c): return 1\n", encoding="utf-8")
    (tmp_path / "runs" / "r1").mkdir(parents=True, exist_ok=True)
    (tmp_path / "runs" / "r1" / "run.sqlite").touch()
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "link.py").symlink_to(file)
    for written in (f"../{place}:f", "link.py:f"):
        with pytest.raises(ConfigError, match="lies in the folder of a run or of the cache"):
            built("python", written, root=tmp_path / "evals")


def test_a_file_that_changes_under_a_run_scores_nothing(tmp_path):
    metric = check(tmp_path, "return 1")
    (tmp_path / "checks.py").write_text("def f(c):\n    return 0\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r'"checks\.py" changed since the run began'):
        scored(metric, "x")


def test_a_changed_file_is_loaded_anew_and_changes_the_fingerprint(tmp_path):
    spec = MetricSpec(name="python", args={"value": "checks.py:f"})
    seen = []
    for body in ("return 0", "return 1", "return 0"):
        metric = check(tmp_path, body)
        score = scored(metric, "x")
        seen.append((score.value, score.version, metrics_fingerprint([spec], tmp_path)))
    assert seen[0] == seen[2]
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1] and seen[0][2] != seen[1][2]
    assert not (tmp_path / "__pycache__").exists()


def test_dataclasses_of_the_file_know_their_module(tmp_path):
    source = (
        "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass A:\n    x: int = 1\ndef f(c):\n    return A().x\n"
    )
    assert scored(from_source(tmp_path, source), "x").passed


def test_a_path_may_lead_out_of_the_folder_of_the_eval_file(tmp_path):
    (tmp_path / "evals").mkdir()
    (tmp_path / "checks.py").write_text("def f(c): return 1", encoding="utf-8")
    spec = MetricSpec(name="python", args={"function": "../checks.py:f"})
    assert scored(build_metric(spec, tmp_path / "evals"), "x").passed


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.just("value"), inner),
    max_leaves=6,
)


@given(given_value=anything)
def test_whatever_a_function_gives_is_a_score_in_range_or_a_bad_result(given_value):
    try:
        finding = read_result(given_value)
    except BadResult as error:
        assert str(error).startswith("gave ")
    else:
        assert 0.0 <= finding.value <= 1.0
        assert finding.reason.isprintable()
