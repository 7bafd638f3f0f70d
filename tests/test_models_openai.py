from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.models.base import Request, UnusableReply
from optimizer.models.faults import one_line
from optimizer.models.openai import endpoint_of, open_openai, parse
from optimizer.prompt import Message
from optimizer.results import Completion, Usage
from optimizer.testing.faults import Fault, in_turn, refuse
from optimizer.testing.server import FakeServer

KEY = "sk-test-0123456789abcdef"
ASK = Request(
    provider="openai",
    model="offline",
    messages=(Message(role="system", content="Be brief."), Message(role="user", content="Who? ü \u2028 \U0001f339")),
    params={"temperature": 0.25, "seed": 3, "response_format": {"type": "json_object"}},
)


def call(server: FakeServer, request: Request = ASK, key: str | None = None) -> Completion | ModelError:
    async def main() -> Completion | ModelError:
        async with server, open_openai(base_url=server.base_url, key=key) as model:
            try:
                return await model.complete(request)
            except ModelError as error:
                return error

    return asyncio.run(main())


def test_what_is_sent_and_what_comes_back():
    server = FakeServer(answer=lambda body: "Romeo, \U0001f339")
    answer = call(server)
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.cached, answer.cost) == ("Romeo, \U0001f339", "stop", False, None)
    assert answer.usage == Usage(input_tokens=7, output_tokens=3) and answer.latency > 0
    assert server.log[0].body == {
        "model": "offline",
        "messages": [{"role": m.role, "content": m.content} for m in ASK.messages],
        **ASK.params,
    }


def test_parameters_cannot_replace_the_model_or_the_messages():
    server = FakeServer(answer=lambda body: "fine")
    call(server, Request(provider="openai", model="m", messages=ASK.messages, params={"model": "x", "messages": []}))
    assert server.log[0].body["model"] == "m" and len(server.log[0].body["messages"]) == 2


def test_connections_are_used_again():
    async def main() -> None:
        peers = set()

        def answer(body: Any) -> str:
            return "fine"

        async with FakeServer(answer=answer) as server, open_openai(base_url=server.base_url) as model:
            for _ in range(20):
                await model.complete(ASK)
            connector = model._session.connector
            assert connector is not None
            peers = {id(protocol) for protocols in connector._conns.values() for protocol, _ in protocols}
        assert len(peers) == 1

    asyncio.run(main())


@pytest.mark.parametrize(("key", "kind"), [(KEY, None), ("sk-wrong-0123456789", ErrorKind.AUTHENTICATION)])
def test_the_key_goes_into_the_header(key, kind):
    answer = call(FakeServer(answer=lambda body: "fine", key=KEY), key=key)
    assert (answer.kind if isinstance(answer, ModelError) else None) is kind


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    assert isinstance(call(FakeServer(answer=lambda body: "fine", key=KEY)), Completion)


@pytest.mark.parametrize(
    ("base_url", "key", "words"),
    [
        (None, None, "OPENAI_API_KEY is not set: api.openai.com needs an API key"),
        ("https://llm.example.com/v1", " ", "llm.example.com needs an API key"),
        ("https://127.evil.example/v1", None, "needs an API key"),
        ("127.0.0.1:80", None, "is no address"),
        ("ftp://127.0.0.1/v1", None, "is no address"),
        ("http:///v1", None, "is no address"),
        ("https://user:pw@h.example/v1", None, "base_url holds a password: put the key for h.example into OPENAI_API"),
        (None, "sk-\u20ac", "characters that no API key has"),
        (None, "sk-a\r\nX-Evil: 1", "characters that no API key has"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_first(base_url, key, words):
    with pytest.raises(ConfigError, match=words) as caught:
        endpoint_of(base_url, key)
    assert "\n" not in str(caught.value) and (key is None or key.strip() == "" or key not in str(caught.value))


@pytest.mark.parametrize(
    ("base_url", "url", "host"),
    [
        (None, "https://api.openai.com/v1/chat/completions", "api.openai.com"),
        ("http://localhost:8080/v1/", "http://localhost:8080/v1/chat/completions", "localhost:8080"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1/chat/completions", "[::1]:1"),
    ],
)
def test_addresses(base_url, url, host):
    endpoint = endpoint_of(base_url, KEY)
    assert (endpoint.url, endpoint.host, endpoint.key) == (url, host, KEY)
    assert KEY not in repr(endpoint)


def test_an_endpoint_on_this_machine_goes_without_a_key_and_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    local = endpoint_of("http://127.0.0.1:8080/v1")
    assert local.key is None and local.proxy is None
    assert endpoint_of("http://h.example/v1", KEY).proxy == "http://proxy.example:3128"


def test_refusals_tell_host_status_and_the_provider_s_words():
    error = call(FakeServer(faults=in_turn(refuse(429, retry_after="1.5"))))
    assert isinstance(error, ModelError)
    assert (error.kind, error.status, error.retry_after) == (ErrorKind.RATE_LIMIT, 429, 1.5)
    assert error.message.startswith("127.0.0.1:") and "429 scripted refusal 429" in error.message


def test_a_provider_that_repeats_the_key_does_not_spread_it():
    async def main() -> ModelError:
        from aiohttp import web

        async def refuse_loudly(request: web.Request) -> web.Response:
            told = f"Incorrect API key provided: {request.headers['Authorization']}\nsk-other-abcdefgh1234"
            return web.json_response({"error": {"message": told, "code": "invalid_api_key"}}, status=401)

        app = web.Application()
        app.router.add_post("/v1/chat/completions", refuse_loudly)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        try:
            async with open_openai(base_url=address, key=KEY) as model:
                with pytest.raises(ModelError) as caught:
                    await model.complete(ASK)
        finally:
            await runner.cleanup()
        return caught.value

    error = asyncio.run(main())
    assert error.kind is ErrorKind.AUTHENTICATION
    assert KEY not in error.message and "abcdefgh" not in error.message and "\n" not in error.message


def test_a_redirect_is_told_and_not_followed():
    fault = Fault(form="status", status=307, headers={"Location": "http://127.0.0.1:9/steal"})
    error = call(FakeServer(faults=in_turn(fault)), key=KEY)
    assert isinstance(error, ModelError) and error.kind is ErrorKind.BAD_REQUEST
    assert "redirects to http://127.0.0.1:9/steal" in error.message


def test_nobody_at_the_address():
    async def main() -> ModelError:
        async with open_openai(base_url="http://127.0.0.1:9/v1") as model:
            with pytest.raises(ModelError) as caught:
                await model.complete(ASK)
        return caught.value

    error = asyncio.run(main())
    assert error.kind is ErrorKind.CONNECTION and error.__context__ is None
    assert error.message == "127.0.0.1:9: cannot be reached: Connection refused"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cannot connect to h:1 ssl:<ssl.SSLContext object at 0x7f00> [x]", "cannot connect to h:1 [x]"),
        ("cannot connect to h:1 ssl:default [x]", "cannot connect to h:1 [x]"),
        ("<coroutine object at 0x7f00>", "<coroutine>"),
        ("an example with an x, and the key long-enough-1", "an example with an x, and the key [key]"),
    ],
)
def test_a_message_keeps_no_innards_and_no_key(text: str, said: str) -> None:
    assert one_line(text, ["x", "", "long-enough-1"]) == said


def reply(**change: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": "Romeo"}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}, **change}


def choice(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return reply(choices=[{"message": {"content": content, **message}, "finish_reason": finish}])


@pytest.mark.parametrize(
    ("body", "text", "finish", "usage"),
    [
        (reply(), "Romeo", "stop", (3, 1)),
        (choice("Romeo", None), "Romeo", "stop", (3, 1)),
        (choice([{"type": "text", "text": "Ro"}, {"type": "text", "text": "meo"}]), "Romeo", "stop", (3, 1)),
        (choice(None, "tool_calls"), "", "tool_calls", (3, 1)),
        (choice(None, refusal="I cannot."), "I cannot.", "content_filter", (3, 1)),
        (reply(choices=[]), "", "none", (3, 1)),
        (reply(usage=None), "Romeo", "stop", (0, 0)),
        (reply(usage={"prompt_tokens": "3", "completion_tokens": -1}), "Romeo", "stop", (0, 0)),
        (reply(usage=[1]), "Romeo", "stop", (0, 0)),
        (reply(usage={"prompt_tokens": 10**30, "completion_tokens": True}), "Romeo", "stop", (0, 0)),
    ],
)
def test_replies_that_are_chat_completions(body, text, finish, usage):
    found = parse(body, 0.5)
    assert found == Completion(
        text=text, finish_reason=finish, latency=0.5, usage=Usage(input_tokens=usage[0], output_tokens=usage[1])
    )


@pytest.mark.parametrize(
    "body",
    [None, [], "text", 7, {}, {"choices": None}, {"choices": {}}, {"choices": [None]}, {"choices": [{}]}]
    + [{"choices": [{"message": None}]}, {"choices": [{"message": "x"}]}, choice(7), choice({"a": 1})],
)
def test_replies_that_are_not(body):
    assert parse(body, 0.0) is None


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", ErrorKind.MALFORMED),
        (b"[" * 100_000, ErrorKind.MALFORMED),
        (b"\xff\xfe\x00", ErrorKind.MALFORMED),
        (b'{"object": "list"}', ErrorKind.MALFORMED),
        (b'{"error": {"message": "upstream", "code": 502}}', ErrorKind.INTERNAL_SERVER),
        (b'{"error": {"message": "slow down", "code": 429}}', ErrorKind.RATE_LIMIT),
        (b'{"error": "no"}', ErrorKind.INTERNAL_SERVER),
        (json.dumps(reply(choices=[])).encode(), ErrorKind.EMPTY),
        (json.dumps(choice("Rom", "length")).encode(), ErrorKind.CUT_OFF),
    ],
)
def test_bodies_of_a_200(raw, kind):
    async def main() -> ModelError:
        async with open_openai(base_url="http://127.0.0.1:9/v1") as model:
            with pytest.raises(ModelError) as caught:
                model._read(raw, 0.0)
        return caught.value

    error = asyncio.run(main())
    assert error.kind is kind and "\n" not in error.message
    assert isinstance(error, UnusableReply) is (kind in (ErrorKind.EMPTY, ErrorKind.CUT_OFF))
