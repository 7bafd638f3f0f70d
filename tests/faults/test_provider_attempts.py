"""How often a call is sent, by either way to a provider: exactly once, and once more for each retry that is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from optimizer.budget import Budget
from optimizer.config import BudgetSpec
from optimizer.errors import ErrorKind, ModelError, ProviderError
from optimizer.events import Recording
from optimizer.models.base import Model, Request
from optimizer.models.gate import Terms, gate
from optimizer.models.headers import hearing
from optimizer.models.litellm import open_litellm
from optimizer.models.openai import open_openai
from optimizer.pace import Heard, Left
from optimizer.prompt import Message
from optimizer.testing.faults import Fault, always, parse_fault, refuse
from optimizer.testing.replies import completion
from optimizer.testing.server import FakeServer

WAYS = ("built-in", "litellm")


class Clock:
    """Time passes only where someone waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def opened(way: str, address: str) -> AsyncIterator[Model]:
    if way == "built-in":
        async with open_openai(base_url=address) as model:
            yield model
    else:
        async with open_litellm(base_url=address) as model:
            yield model


def attempts(way: str, fault: Fault, retries: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Exception]:
    """Requests on the meter for one call of a provider that always fails, and how the call ended."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-of-your-business")
    clock = Clock()

    async def main() -> tuple[int, Exception]:
        async with FakeServer(faults=always(fault)) as server, opened(way, server.base_url) as provider:
            model = gate(
                provider,
                store=None,
                sink=Recording(),
                budget=Budget(BudgetSpec()),
                terms=Terms(retries=retries, clock=clock, sleep=clock.sleep),
            )
            name = "openai/offline" if way == "litellm" else "offline"
            request = Request(provider="openai", model=name, messages=(Message(role="user", content="Who?"),))
            with pytest.raises((ModelError, ProviderError)) as caught:
                await model.complete(request)
            return len(server.log), caught.value

    return asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("retries", [0, 1, 5])
@pytest.mark.parametrize("form", ["429/none", "429/after=1", "500", "503/after=2", "408", "reset", "cut", "null"])
def test_what_may_pass_is_sent_once_and_once_a_retry(way, form, retries, monkeypatch):
    fault = parse_fault(form)
    sent, error = attempts(way, fault, retries, monkeypatch)
    assert isinstance(error, ModelError) and sent == error.attempts == 1 + retries
    if fault.form == "status":
        assert error.status == fault.status and str(fault.status) in error.message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_would_fail_again_is_sent_once(way, status, monkeypatch):
    sent, error = attempts(way, refuse(status), 5, monkeypatch)
    assert sent == 1
    assert isinstance(error, ProviderError) is (status in (401, 403, 404)), "what every call would meet ends the run"


@pytest.mark.parametrize("way", WAYS)
def test_an_account_without_credit_is_asked_once(way, monkeypatch):
    sent, error = attempts(way, refuse(429, code="insufficient_quota"), 5, monkeypatch)
    assert sent == 1 and isinstance(error, ProviderError) and "add credit" in str(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("form", "kind"),
    [("length", ErrorKind.CUT_OFF), ("filter", ErrorKind.CONTENT_FILTER), ("refusal", ErrorKind.CONTENT_FILTER)],
)
def test_an_answer_that_would_come_again_is_paid_once(way, form, kind, monkeypatch):
    sent, error = attempts(way, parse_fault(form), 5, monkeypatch)
    assert sent == 1 and isinstance(error, ModelError) and error.kind is kind


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["429/after=4000", "503/after=100000", "429/date=7200"])
def test_a_wait_of_hours_pauses_the_run_and_says_how_long(way, form, monkeypatch):
    sent, error = attempts(way, parse_fault(form), 5, monkeypatch)
    assert sent == 1 and isinstance(error, ProviderError) and "it asks for a wait of " in str(error)


LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-remaining-tokens": "plenty",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [200, 429])
def test_what_a_reply_says_of_limits_is_heard(way, status, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-of-your-business")

    async def answer(request: web.Request) -> web.Response:
        body = completion(await request.json(), "fine") if status == 200 else {"error": {"message": "slow down"}}
        return web.json_response(body, status=status, headers=LIMITS)

    async def main() -> list[Heard]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with opened(way, f"http://127.0.0.1:{runner.addresses[0][1]}/v1") as provider:
                said = hearing()
                name = "openai/offline" if way == "litellm" else "offline"
                request = Request(provider="openai", model=name, messages=(Message(role="user", content="Who?"),))
                with suppress(ModelError):
                    await provider.complete(request)
                return said
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) == [Heard(requests=Left(left=499, limit=500, reset=0.12))]
