"""One request through the openai package, litellm and the fast path: the same completion, the same kind of fault.

The openai package is the vocabulary; its exceptions are mapped here, by class, and nowhere in the product.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any

import pytest

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.models.base import Model, Request, check_usable
from optimizer.models.litellm import check_name, open_litellm
from optimizer.models.openai import open_openai
from optimizer.models.retry import Retry, Timed
from optimizer.prompt import Message
from optimizer.results import Completion, Usage
from optimizer.testing.faults import Fault, Script, in_turn, refuse
from optimizer.testing.server import FakeServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""litellm and what it imports use some that Python has deprecated."""

PATHS = ("openai package", "litellm", "fast path")
MESSAGES = (Message(role="system", content="Answer in one word."), Message(role="user", content="Who loves Juliet? ü€"))
PATIENCE = 0.5
KEY = "sk-parity-test-0123456789"


class OpenAIPackage:
    """The official client behind our seam."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def complete(self, request: Request) -> Completion:
        import openai

        try:
            reply = await self._client.chat.completions.create(
                model=request.model,
                messages=[{"role": m.role, "content": m.content} for m in request.messages],
                **request.params,
            )
        except json.JSONDecodeError as error:
            raise ModelError(ErrorKind.MALFORMED, str(error), status=200) from error
        except openai.APIStatusError as error:
            quota = error.code == "insufficient_quota"
            kind = ErrorKind.INSUFFICIENT_QUOTA if quota else OPENAI_CLASSES[type(error).__name__]
            raise ModelError(kind, str(error), status=error.status_code) from error
        except openai.APIError as error:
            raise ModelError(OPENAI_CLASSES[type(error).__name__], str(error)) from error
        if isinstance(reply, str):
            raise ModelError(ErrorKind.MALFORMED, reply, status=200)
        choice = reply.choices[0] if reply.choices else None
        return check_usable(
            Completion(
                text=(choice.message.content or "") if choice else "",
                usage=Usage(input_tokens=reply.usage.prompt_tokens, output_tokens=reply.usage.completion_tokens),
                finish_reason=choice.finish_reason if choice else "none",
            )
        )


OPENAI_CLASSES = {
    "BadRequestError": ErrorKind.BAD_REQUEST,
    "AuthenticationError": ErrorKind.AUTHENTICATION,
    "PermissionDeniedError": ErrorKind.PERMISSION_DENIED,
    "NotFoundError": ErrorKind.NOT_FOUND,
    "ConflictError": ErrorKind.CONFLICT,
    "UnprocessableEntityError": ErrorKind.UNPROCESSABLE_ENTITY,
    "RateLimitError": ErrorKind.RATE_LIMIT,
    "InternalServerError": ErrorKind.INTERNAL_SERVER,
    "APITimeoutError": ErrorKind.TIMEOUT,
    "APIConnectionError": ErrorKind.CONNECTION,
}


@asynccontextmanager
async def three_paths(base_url: str) -> AsyncIterator[dict[str, Model]]:
    from openai import AsyncOpenAI

    async with AsyncExitStack() as stack:
        client = AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0, timeout=PATIENCE)
        slow = await stack.enter_async_context(open_litellm(base_url=base_url))
        fast = await stack.enter_async_context(open_openai(base_url=base_url))
        stack.push_async_callback(client.close)
        yield {
            "openai package": OpenAIPackage(client),
            "litellm": Retry(Timed(slow), retries=0, deadline=PATIENCE),
            "fast path": Retry(Timed(fast), retries=0, deadline=PATIENCE),
        }


def request_for(path: str, **params: Any) -> Request:
    model = "openai/offline" if path == "litellm" else "offline"
    return Request(provider=path, model=model, messages=MESSAGES, params=params)


async def outcomes(script: Script | None, **params: Any) -> tuple[dict[str, Completion | ModelError], FakeServer]:
    """What each path makes of the same server, and the server."""
    found: dict[str, Completion | ModelError] = {}
    async with FakeServer(answer=lambda body: "Romeo", faults=script) as server:
        async with three_paths(server.base_url) as paths:
            for path, model in paths.items():
                try:
                    found[path] = await model.complete(request_for(path, **params))
                except ModelError as error:
                    found[path] = error
    return found, server


@pytest.fixture(autouse=True)
def one_key(no_real_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(scope="module", autouse=True)
def warm_litellm() -> None:
    """Its first call imports for longer than PATIENCE."""

    async def first_call() -> None:
        async with FakeServer(answer=lambda body: "Romeo") as server, open_litellm(base_url=server.base_url) as model:
            await model.complete(request_for("litellm"))

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # A module mark does not reach fixtures of the module; what its imports warn of depends on what came before.
        warnings.simplefilter("ignore")
        patch.setenv("OPENAI_API_KEY", KEY)
        asyncio.run(first_call())


def test_the_same_answer():
    found, server = asyncio.run(outcomes(None, temperature=0.5, max_tokens=9, seed=3))
    facts = {
        (answer.text, answer.usage, answer.finish_reason, answer.cached)
        for answer in found.values()
        if isinstance(answer, Completion)
    }
    assert facts == {("Romeo", Usage(input_tokens=11, output_tokens=1), "stop", False)}
    bodies = [json.dumps(dict(seen.body), sort_keys=True) for seen in server.log]
    assert len(bodies) == 3 and len(set(bodies)) == 1, bodies


FAULTS: dict[str, tuple[Fault, ErrorKind]] = {
    "400": (refuse(400), ErrorKind.BAD_REQUEST),
    "401": (refuse(401), ErrorKind.AUTHENTICATION),
    "403": (refuse(403), ErrorKind.PERMISSION_DENIED),
    "404": (refuse(404), ErrorKind.NOT_FOUND),
    "409": (refuse(409), ErrorKind.CONFLICT),
    "422": (refuse(422), ErrorKind.UNPROCESSABLE_ENTITY),
    "429": (refuse(429), ErrorKind.RATE_LIMIT),
    "500": (refuse(500), ErrorKind.INTERNAL_SERVER),
    "503": (refuse(503), ErrorKind.INTERNAL_SERVER),
    "insufficient_quota": (refuse(429, code="insufficient_quota"), ErrorKind.INSUFFICIENT_QUOTA),
    "timeout": (Fault(form="hang"), ErrorKind.TIMEOUT),
    "reset": (Fault(form="reset"), ErrorKind.CONNECTION),
    "short body": (Fault(form="short"), ErrorKind.CONNECTION),
    "cut JSON": (Fault(form="cut"), ErrorKind.MALFORMED),
    "HTML": (Fault(form="html"), ErrorKind.MALFORMED),
    "empty choices": (Fault(form="empty"), ErrorKind.EMPTY),
    "null content": (Fault(form="null"), ErrorKind.EMPTY),
    "length": (Fault(form="length"), ErrorKind.CUT_OFF),
    "content filter": (Fault(form="filter"), ErrorKind.CONTENT_FILTER),
}


@cache
def faulted(name: str) -> tuple[dict[str, ModelError], int]:
    """What each path raises at one fault, and how many requests all of them sent."""
    fault, _ = FAULTS[name]
    found, server = asyncio.run(outcomes(in_turn(fault, fault, fault)))
    return {path: error for path, error in found.items() if isinstance(error, ModelError)}, len(server.log)


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_kind_of_fault(name):
    errors, sent = faulted(name)
    assert {path: error.kind for path, error in errors.items()} == dict.fromkeys(PATHS, FAULTS[name][1])
    assert len({error.status for error in errors.values()}) == 1
    assert sent == 3, "each path sends exactly one request"


@pytest.mark.parametrize("path", ["litellm", "fast path"])
def test_retry_after_reaches_the_loop(path):
    found, _ = asyncio.run(outcomes(in_turn(*[refuse(429, retry_after="7")] * 3)))
    error = found[path]
    assert isinstance(error, ModelError) and error.retry_after == 7.0


def test_a_missing_key_is_no_passing_fault(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")

    async def ask() -> None:
        async with open_litellm(base_url="http://127.0.0.1:1/v1") as model:
            await model.complete(request_for("litellm"))

    with pytest.raises(ModelError) as caught:
        asyncio.run(ask())
    assert caught.value.kind is ErrorKind.AUTHENTICATION


@pytest.mark.parametrize("path", ["litellm", "fast path"])
@pytest.mark.parametrize("name", FAULTS)
def test_no_key_in_what_is_told(name, path):
    errors, _ = faulted(name)
    error = errors[path]
    for told in (repr(error), str(error), repr(vars(error)), repr(error.__cause__), repr(error.__context__)):
        assert KEY not in told
    assert "\n" not in error.message
    assert getattr(error.__context__, "request", None) is None, "an exception that holds headers"


@pytest.mark.parametrize("name", ["nosuch", "foo/bar", "no"])
def test_a_name_that_litellm_cannot_place_is_refused_at_once(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=f"model '{name}': litellm knows no provider"):
        check_name(name)
    assert capfd.readouterr() == ("", "")


def test_a_slip_in_the_name_of_the_stand_in_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'offline'?"):
        check_name("offlien")


def test_a_name_that_litellm_can_place_is_taken() -> None:
    for name in ("ollama_chat/llama3.2", "gpt-4o-mini", "huggingface/some/model"):
        assert check_name(name) is None  # type: ignore[func-returns-value]
