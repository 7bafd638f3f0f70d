import json
from typing import Any

import pytest

from optimizer.edits import Edit, Op, added_demo
from optimizer.errors import ErrorKind
from optimizer.outcome import Outcome, Verdict
from optimizer.prompt import Demo, Prompt, build
from optimizer.results import CallError, Result
from optimizer.store.codec import codec, dumps, loads
from tests.sample_run import SEED, WINNER, examples, failed, outcome, result


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Prompt, SEED),
        (Prompt, WINNER),
        (Outcome, outcome(Verdict.TOO_SMALL)),
        (Result, result(SEED, examples()[0], False)),
        (Result, failed(SEED, examples()[0])),
        (Edit, Edit(op=Op.REMOVE_LINE, target="L1")),
        (Edit, added_demo(Demo(inputs={"q": {"deep": [1, "x"]}}, output={"k": (1,)}, row="r1"), cluster="c1")),
        (Prompt, build("p", [("user", "{{ q }}")], demos=[Demo(inputs={"q": 1}, output="x", row="r1")])),
        (tuple[Edit, ...], ()),
        (CallError, CallError(kind=ErrorKind.MALFORMED, message="half a \ud800 pair, a \x00 and \x1b[2J", status=200)),
        (frozenset[str], frozenset({"b", "a"})),
        (float | None, None),
        (tuple[float, float] | None, (0.1, 1 / 3)),
        (Any, {"pair": (1, "two"), "list": [1, [2]], "none": None, "deep": {"$tuple": [1]}}),
        (Any, {"$mapping": {"a": (1,)}, "other": float("inf")}),
    ],
)
def test_a_value_comes_back_equal(hint, value):
    text = dumps(hint, value)
    assert loads(hint, text) == value
    assert isinstance(json.loads(text), dict | list | float | None)


def test_what_json_cannot_hold_is_kept_as_its_text():
    assert loads(Any, dumps(Any, {"at": Verdict, "set": {2, 1}})) == {"at": str(Verdict), "set": [1, 2]}


def test_a_field_that_an_older_format_lacks_takes_its_default():
    assert loads(Edit, '{"op": "remove_line", "target": "L1"}') == Edit(op=Op.REMOVE_LINE, target="L1")


def test_a_type_without_a_json_form_is_a_bug_that_shows_at_once():
    with pytest.raises(TypeError, match="no JSON form"):
        codec(complex)


def test_a_prompt_comes_back_whether_its_fingerprint_was_asked_for_or_not():
    prompt = build("p", [("user", "{{ q }}")], demos=[{"inputs": {"q": "a"}, "output": "b"}])
    before = dumps(Prompt, prompt)
    assert loads(Prompt, before).fingerprint == prompt.fingerprint
    assert dumps(Prompt, prompt) == before and loads(Prompt, before) == prompt
