from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import ErrorKind, ModelError
from optimizer.models.base import Request
from optimizer.models.offline.model import OfflineModel, rough_tokens
from optimizer.models.openai import open_openai
from optimizer.prompt import Message
from optimizer.results import Completion
from optimizer.testing.faults import GOOD_TEXT, RATE_LIMITS, Fault, Seen, always, in_turn, parse_fault, refuse
from optimizer.testing.models import FunctionModel
from optimizer.testing.server import FakeServer, main, running_server

ASK = Request(
    provider="openai",
    model="offline:perfect",
    messages=(
        Message(role="system", content="Answer with one name. Say Bob instead of Romeo."),
        Message(role="user", content="Who is the lover of Juliet?"),
    ),
)


def post(url: str, body: Any, timeout: float = 10.0) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/chat/completions", data=raw)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def stats(server: FakeServer) -> dict[str, Any]:
    with urllib.request.urlopen(server.base_url.removesuffix("/v1") + "/_stats", timeout=10) as response:
        found: dict[str, Any] = json.loads(response.read())
    return found


def body(text: str = "Who?", **more: Any) -> dict[str, Any]:
    return {"model": "offline", "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("model", ["offline", "offline:perfect"])
@pytest.mark.parametrize("seed", [None, 0, 7])
def test_over_http_the_stand_in_says_what_it_says_in_this_process(model, seed):
    params = {} if seed is None else {"seed": seed}
    request = Request(provider="openai", model=model, messages=ASK.messages, params=params)

    async def both() -> tuple[str, str]:
        async with FakeServer() as server, open_openai(base_url=server.base_url) as fast:
            over_http = await fast.complete(request)
        here = await OfflineModel().complete(request)
        assert over_http.usage == here.usage
        return over_http.text, here.text

    over_http, here = asyncio.run(both())
    assert over_http == here != ""


def test_the_stand_in_is_a_function_of_its_request():
    async def several() -> set[str]:
        return {(await OfflineModel().complete(ASK)).text for _ in range(3)}

    assert len(asyncio.run(several())) == 1


def test_tokens_are_words_and_signs():
    assert rough_tokens("Romeo, Romeo! Wherefore art thou?") == 8
    assert rough_tokens("") == 0


def test_it_counts_what_it_sees():
    with running_server(answer=lambda _: "fine") as server:
        for text in ("a", "b", "a"):
            assert post(server.base_url, body(text))[0] == 200
        found = stats(server)
        assert (found["seen"], found["answered"], found["distinct"]) == (3, 3, 2)
        assert sorted(found["keys"].values()) == [1, 2]
        assert [(seen.index, seen.attempt) for seen in server.log] == [(0, 1), (1, 1), (2, 2)]
        assert server.log[0].key == server.log[2].key != server.log[1].key


def test_the_order_of_fields_is_not_in_the_key():
    with running_server(answer=lambda _: "fine") as server:
        post(server.base_url, b'{"model": "m", "messages": [], "seed": 1}')
        post(server.base_url, b'{"seed": 1, "messages": [], "model": "m"}')
        assert stats(server)["distinct"] == 1


def test_faults_are_shown_in_turn_and_counted():
    with running_server(answer=lambda _: "fine", faults=in_turn(refuse(503), None, Fault(form="empty"))) as server:
        assert [post(server.base_url, body())[0] for _ in range(4)] == [503, 200, 200, 200]
        found = stats(server)
        assert (found["seen"], found["answered"]) == (4, 2)
        assert found["faults"] == {"503": 1, "empty": 1}


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("reset", ErrorKind.CONNECTION),
        ("short", ErrorKind.CONNECTION),
        ("cut", ErrorKind.MALFORMED),
        ("html", ErrorKind.MALFORMED),
        ("empty", ErrorKind.EMPTY),
        ("null", ErrorKind.EMPTY),
        ("length", ErrorKind.CUT_OFF),
        ("filter", ErrorKind.CONTENT_FILTER),
        ("refusal", ErrorKind.CONTENT_FILTER),
        ("garbage/size=4000000", ErrorKind.MALFORMED),
        ("error-200", ErrorKind.INTERNAL_SERVER),
        ("array", ErrorKind.MALFORMED),
        ("choices-object", ErrorKind.MALFORMED),
        ("choice-text", ErrorKind.MALFORMED),
        ("message-text", ErrorKind.MALFORMED),
        ("content-number", ErrorKind.MALFORMED),
        ("content-list", ErrorKind.EMPTY),
        ("content-object", ErrorKind.MALFORMED),
    ],
)
def test_every_form_of_fault(form, kind):
    async def ask() -> ModelError:
        async with FakeServer(faults=lambda _: parse_fault(form)) as server:
            async with open_openai(base_url=server.base_url) as fast:
                with pytest.raises(ModelError) as caught:
                    await fast.complete(ASK)
        return caught.value

    assert asyncio.run(ask()).kind is kind


@pytest.mark.parametrize("form", GOOD_TEXT)
def test_odd_data_beside_the_right_text(form):
    async def ask() -> tuple[Completion, Seen]:
        async with FakeServer(answer=lambda _: "fine", faults=always(parse_fault(form))) as server:
            async with open_openai(base_url=server.base_url) as fast:
                return await fast.complete(ASK), server.log[0]

    answer, seen = asyncio.run(ask())
    assert (answer.text, seen.answered, seen.fault) == ("fine", True, form)
    assert (seen.input_tokens, seen.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens)


def test_it_counts_the_tokens_that_it_told():
    with running_server(
        answer=lambda _: "fine", faults=in_turn(None, Fault(form="length"), Fault(form="cut"))
    ) as server:
        told = []
        for _ in range(2):
            told.append(post(server.base_url, body())[1]["usage"])
        with pytest.raises(ValueError):
            post(server.base_url, body())
        found = server.stats()
        assert found["input_tokens"] == sum(usage["prompt_tokens"] for usage in told) > 0
        assert found["output_tokens"] == sum(usage["completion_tokens"] for usage in told) > 0
        assert [seen.answered for seen in server.log] == [True, False, False]


@pytest.mark.parametrize("fault", RATE_LIMITS)
def test_every_form_of_retry_after(fault):
    async def ask() -> ModelError:
        async with FakeServer(faults=always(fault)) as server:
            async with open_openai(base_url=server.base_url) as fast:
                with pytest.raises(ModelError) as caught:
                    await fast.complete(ASK)
        return caught.value

    error = asyncio.run(ask())
    assert (error.kind, error.status) == (ErrorKind.RATE_LIMIT, 429)
    if fault.date_in is not None:
        assert error.retry_after is None or error.retry_after <= fault.date_in
    else:
        asked = {"1": 1.0, "0": 0.0, "200": 200.0}.get(fault.headers.get("Retry-After", ""))
        assert error.retry_after == (0.2 if "Retry-After-Ms" in fault.headers else asked)


@pytest.mark.parametrize("form", ["hang", "half-open", "trickle/every=60"])
def test_a_client_that_is_kept_waiting_ends_with_the_server(form):
    async def ask() -> bool:
        async with FakeServer(faults=always(parse_fault(form))) as server:
            async with open_openai(base_url=server.base_url) as fast:
                call = asyncio.create_task(fast.complete(ASK))
                while not server.log:
                    await asyncio.sleep(0.01)
                hanging = not call.done()
                call.cancel()
                with suppress(asyncio.CancelledError):
                    await call
        return hanging

    assert asyncio.run(ask())


def test_a_client_that_is_gone_is_no_fault_of_the_server(caplog):
    async def ask() -> bool:
        async with FakeServer(answer=lambda _: "fine", latency=0.05) as server:
            async with open_openai(base_url=server.base_url) as fast:
                call = asyncio.create_task(fast.complete(ASK))
                while not server.log:
                    await asyncio.sleep(0.001)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                # Served after the one that was given up, so that one is over too.
                await fast.complete(ASK)
            return server.log[0].answered

    assert not asyncio.run(ask())
    assert caplog.records == []


def test_the_latency_is_waited_and_calls_overlap():
    async def ask() -> int:
        async with FakeServer(answer=lambda _: "fine", latency=0.05) as server:
            async with open_openai(base_url=server.base_url) as fast:
                requests = [
                    Request(provider="openai", model=f"m{number}", messages=ASK.messages) for number in range(8)
                ]
                answers = await asyncio.gather(*(fast.complete(request) for request in requests))
                assert min(answer.latency for answer in answers) >= 0.05
            return server.peak

    assert asyncio.run(ask()) == 8


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"{}", b'{"model": "offline", "messages": 7}'])
def test_a_request_that_is_none_is_refused(raw):
    with running_server() as server:
        status, told = post(server.base_url, raw)
    assert status == 400 and told["error"]["code"].startswith("invalid")


@pytest.mark.parametrize("header", [None, "Bearer wrong"])
def test_a_key_is_asked_for_where_there_is_one(header):
    with running_server(answer=lambda _: "fine", key="right") as server:
        assert post(server.base_url, body())[0] == 401
        assert server.log == []


def test_a_port_that_is_taken_is_told_to_the_caller():
    with running_server(answer=lambda _: "fine") as server:
        port = int(server.base_url.split(":")[2].removesuffix("/v1"))
        with pytest.raises(OSError), running_server(port=port):
            pass


def test_the_command_refuses_nonsense(capsys):
    for wrong in (["--fault", "nonsense=0.5"], ["--fault", "429"], ["--latency", "x"]):
        with pytest.raises(SystemExit):
            main(wrong)
    assert "unknown fault 'nonsense'" in capsys.readouterr().err


def test_the_command_names_a_port_that_is_taken(capsys):
    with running_server(answer=lambda _: "fine") as server:
        port = server.base_url.split(":")[2].removesuffix("/v1")
        with pytest.raises(SystemExit) as ended:
            main(["--port", port])
    assert ended.value.code == 2
    assert f"cannot serve on port {port}: " in capsys.readouterr().err


def test_the_command_serves():
    program = [sys.executable, "-m", "optimizer.testing.server", "--port", "0", "--fault", "429=1.0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as child:
        assert child.stdout is not None
        address = child.stdout.readline().split(" at ")[1].split(",")[0]
        assert post(address, body())[0] == 429
        child.terminate()


def test_a_function_is_a_model():
    async def ask() -> None:
        model = FunctionModel(lambda request: request.messages[-1].content.upper())
        assert (await model.complete(ASK)).text == "WHO IS THE LOVER OF JULIET?"
        assert model.requests == [ASK]

    asyncio.run(ask())
