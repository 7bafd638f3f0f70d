"""Targets: what models and providers send. Whatever it is, it becomes a value or an error of a known kind."""

from __future__ import annotations

import json
import math
import re
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import strategies as st

from benchmarks.fuzz.material import Target, as_text, noise, plain, prompts, raw, spoilt, values
from optimizer.edits import LINE_OPS, apply
from optimizer.errors import ErrorKind, ModelError
from optimizer.models.base import MOST_TOKENS
from optimizer.models.cache.codec import TamperedRow, decode, encode
from optimizer.models.faults import LONGEST_MESSAGE, one_line, retry_after
from optimizer.models.openai import Endpoint, OpenAIModel
from optimizer.mutate.llm import MOST_EDITS, parse_reply
from optimizer.mutate.rewrite import parse_rewrite
from optimizer.mutate.validate import check_rewrite, objection
from optimizer.prompt import Prompt, build
from optimizer.results import Completion, Usage
from optimizer.store.codec import dumps, loads

SHOWN = build("p", [("system", "Answer.\nBriefly. <!-- keep -->\nIn JSON."), ("user", "Q: {{ q }}")])
REPLY: dict[str, Any] = {
    "diagnosis": "x",
    "edits": [
        {"op": "add_line", "target": None, "after": "end", "text": "Say {{ q }} again.", "why": "because"},
        {"op": "replace_line", "target": "L1", "after": None, "text": "Answer well.", "why": ""},
        {"op": "remove_line", "target": "L3", "after": None, "text": None, "why": "idle"},
    ],
}
REWRITE: dict[str, Any] = {
    "prompt": [{"role": "system", "content": "Answer.\nBriefly."}, {"role": "user", "content": "Q: {{ q }}"}]
}
COMPLETION: dict[str, Any] = {
    "id": "x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Bob"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
FAULT: dict[str, Any] = {"error": {"message": "no", "type": "x", "code": "insufficient_quota", "param": None}}
CLIENT = OpenAIModel(
    cast(Any, None), Endpoint(url="http://h/v1/chat/completions", host="h", key="sk-canary-0123456789")
)
KEY = "sk-canary-0123456789"


def proposed(text: str) -> None:
    """A reply holds edits that can be judged and made or refused, or it is malformed."""
    try:
        edits = parse_reply(text, "c1")
    except ModelError as error:
        assert error.kind is ErrorKind.MALFORMED
        return
    assert len(edits) <= MOST_EDITS
    for edit in edits:
        assert edit.op in LINE_OPS and "\n" not in (edit.text or "") and edit.source == "llm"
        if objection(edit, SHOWN, frozenset()) is None:
            made = apply(SHOWN, [edit])
            assert made.variables == SHOWN.variables and "L2" in {line.id for line in made.lines}
            made.canonical().encode()


def rewritten(given: tuple[str, Prompt]) -> None:
    """A whole prompt of a model's is a prompt that keeps what is locked, or it is malformed."""
    text, shown = given
    try:
        made = parse_rewrite(text, shown)
    except ModelError as error:
        assert error.kind is ErrorKind.MALFORMED
        return
    assert {line.id for line in shown.lines if line.locked} <= {line.id for line in made.lines}
    checked = check_rewrite(shown, made, frozenset())
    assert (checked.prompt is None) == bool(checked.reason)
    if checked.prompt is not None:
        checked.prompt.canonical().encode()


def answered(body: bytes) -> None:
    """A body under status 200 is a completion with text, or an error of this one call."""
    try:
        found = CLIENT._read(body, 0.1)
    except ModelError as error:
        readable(error)
        return
    sensible(found)


def sensible(found: Completion) -> None:
    """The completion can be counted, kept and read back."""
    assert isinstance(found.text, str) and found.text.strip() and isinstance(found.finish_reason, str)
    for count in (found.usage.input_tokens, found.usage.output_tokens):
        assert type(count) is int and 0 <= count < MOST_TOKENS
    assert loads(Completion, dumps(Completion, found)) == found
    assert decode("key", encode("key", found)) == found


def readable(error: ModelError) -> None:
    """The error is one line, and holds no key."""
    told = error.message
    assert told.isprintable() and len(told) <= LONGEST_MESSAGE and KEY not in told
    assert error.retry_after is None or (math.isfinite(error.retry_after) and error.retry_after >= 0)
    told.encode()


def refused(given: tuple[int, bytes, dict[str, str]]) -> None:
    """Any other status is an error of a kind that its number tells."""
    status, body, headers = given
    error = CLIENT._refusal(status, body, headers)
    readable(error)
    assert error.status == status
    if status == 401:
        assert error.kind in (ErrorKind.AUTHENTICATION, ErrorKind.INSUFFICIENT_QUOTA, ErrorKind.CONTENT_FILTER)


def waits(headers: dict[str, str]) -> None:
    """A wait is a number of seconds from 0 on, or none."""
    found = retry_after(headers, now=1_700_000_000.0)
    assert found is None or (math.isfinite(found) and found >= 0)


def told(given: tuple[str, str]) -> None:
    """A provider's words come out as one printable line, without the key in any place."""
    before, after = given
    said = one_line(f"{before}{KEY}{after}", (KEY,))
    assert said.isprintable() and len(said) <= LONGEST_MESSAGE and KEY not in said


def of_litellm(given: tuple[Any, ...]) -> None:
    """What litellm gives back is a completion, or an error of this one call."""
    from optimizer.models.base import check_usable
    from optimizer.models.litellm import _read

    choices, usage = given
    made = [SimpleNamespace(message=SimpleNamespace(content=text), finish_reason=end) for text, end in choices]
    try:
        found = check_usable(_read(SimpleNamespace(choices=made, usage=SimpleNamespace(**usage)), 0.1))
    except ModelError as error:
        assert error.kind in (ErrorKind.EMPTY, ErrorKind.CUT_OFF, ErrorKind.CONTENT_FILTER, ErrorKind.MALFORMED)
        return
    sensible(found)


def litellm_fault(given: tuple[str, int, str, bytes]) -> None:
    """Whatever is raised under litellm is an error of a kind, without the key."""
    import httpx
    import openai

    from optimizer.models.litellm import fault_of

    words, status, wait, body = given
    request = httpx.Request("POST", "http://h/v1", headers={"authorization": f"Bearer {KEY}"})
    header = {"retry-after": wait} if re.fullmatch(r"[\x20-\x7e]*", wait) else {}
    response = httpx.Response(status, content=body, request=request, headers=header)
    inner = openai.APIStatusError(f"{words} {KEY}", response=response, body=None)
    for error in (inner, ValueError(f"{words} {KEY}"), json.JSONDecodeError(words, "", 0), httpx.ReadTimeout(words)):
        outer = RuntimeError(f"litellm.APIError: x Exception - {words}")
        outer.__cause__ = error
        outer.__context__ = outer
        for one in (error, outer):
            found = fault_of(one, (KEY,))
            readable(found)
    assert fault_of(inner, (KEY,)).status == status


def kept(given: tuple[str, str, int, int, str]) -> None:
    """A completion that was kept is read back equal; under another key, or cut, it is none."""
    key, text, tokens_in, tokens_out, finish = given
    made = Completion(
        text=text, usage=Usage(input_tokens=tokens_in, output_tokens=tokens_out), latency=0.5, finish_reason=finish
    )
    row = encode(key, made)
    row.encode()
    assert decode(key, row) == made
    assert decode(key + "x", row) is None and decode(key, row[:-1]) is None


def read_back(given: tuple[str, str]) -> None:
    """A row that nobody wrote for a key is no completion."""
    key, row = given
    try:
        assert decode(key, row) is None
    except TamperedRow:
        return


fenced = st.builds(lambda before, body, after: before + as_text(body) + after, plain, spoilt(REPLY), plain)
rewrites = noise | spoilt(REWRITE).map(as_text) | spoilt({"prompt": "Answer.\nQ: {{ q }}"}).map(as_text)
bodies = raw | (spoilt(COMPLETION) | spoilt(FAULT) | values).map(as_text).map(
    lambda made: made.encode("utf-8", "surrogatepass")
)
waited = st.sampled_from(
    ["0", "1", "-5", "abc", "200", "1e400", "nan", "inf", "Fri, 31 Dec 1999 23:59:59 GMT", "", "0x1"]
)
odd_dates = st.lists(
    st.sampled_from(
        ["Fri", ",", " ", "31", "Dec", "1999", "99999", ":", "23:59", "GMT", "-2500", "+9999", "0", "(", ")", '"']
    ),
    max_size=9,
).map("".join)
headers = st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "location"]), waited | odd_dates | noise)
ends = st.sampled_from(["stop", "length", "content_filter", "", "x"]) | st.none() | values

REPLIES: dict[str, Target] = {
    "mutator's reply": Target(
        given=noise | values.map(as_text) | spoilt(REPLY).map(as_text) | fenced,
        check=proposed,
        promise="edits, or malformed",
    ),
    "mutator's rewrite": Target(
        given=st.tuples(rewrites, prompts | st.just(SHOWN)), check=rewritten, promise="a prompt, or malformed"
    ),
    "provider's answer": Target(
        given=bodies,
        check=answered,
        promise="a completion, or an error of a kind",
        found=("\ue000".encode(), b"\xd8\x9c"),
    ),
    "provider's refusal": Target(
        given=st.tuples(
            st.sampled_from([301, 400, 401, 402, 404, 408, 413, 422, 429, 500, 503, 529, 599]), bodies, headers
        ),
        check=refused,
        promise="an error of a kind, one line, no key",
    ),
    "waits of a header": Target(given=headers, check=waits, promise="seconds from 0 on, or none"),
    "provider's words": Target(
        given=st.tuples(noise, noise), check=told, promise="one line, no key", found=(("", "\u061c\u00ad\ue000"),)
    ),
    "litellm's answer": Target(
        given=st.tuples(
            st.lists(st.tuples(st.none() | noise | values, ends), max_size=2),
            st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), values),
        ),
        check=of_litellm,
        promise="a completion, or an error of a kind",
        found=(([("{", [None])], {}),),
    ),
    "litellm's exceptions": Target(
        given=st.tuples(noise, st.sampled_from([400, 401, 404, 429, 500, 503]), waited | noise, bodies),
        check=litellm_fault,
        promise="an error of a kind, one line, no key",
    ),
    "cache rows": Target(
        given=st.tuples(noise, noise, st.integers(0, 10**9), st.integers(0, 10**9), noise),
        check=kept,
        promise="read = kept",
    ),
    "cache rows of others": Target(given=st.tuples(noise, noise), check=read_back, promise="never a value"),
}
