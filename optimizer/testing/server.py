"""A fake provider: the OpenAI protocol over HTTP, answered by the stand-in, counted, and faulty on demand.

In a test: `async with FakeServer() as server` or `with running_server() as server`. For people:
`python -m optimizer.testing.server --port 8080 --latency 0.05`, then `base_url: http://127.0.0.1:8080/v1`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from aiohttp import web

from optimizer.models.offline.model import rough_tokens
from optimizer.testing.faults import Fault, Script, Seen, by_rate

Answer = Callable[[Mapping[str, Any]], str]
"""From the body of a request to the text of its answer."""


def offline_answer(body: Mapping[str, Any]) -> str:
    """What the stand-in says: by `model` (`offline:perfect` or not), `messages`, `seed`, `response_format`."""
    from optimizer.models.offline.answer import reply

    return reply(
        [(message["role"], message["content"]) for message in body["messages"]],
        seed=int(body.get("seed") or 0),
        perfect=str(body["model"]).endswith(":perfect"),
        response_format=body.get("response_format"),
    )


class FakeServer:
    """Serves `/v1/chat/completions`, `/_stats` and `/_log` on loopback; an async context manager."""

    def __init__(
        self,
        *,
        answer: Answer = offline_answer,
        faults: Script | None = None,
        latency: float = 0.0,
        key: str | None = None,
        port: int = 0,
    ) -> None:
        """Set up; `async with` starts it.

        Args:
            answer: gives the text.
            faults: decides what each request meets; None shows no faults.
            latency: seconds before each answer.
            key: API key that it asks for; None asks for none.
            port: 0 takes a free one.
        """
        self.answer = answer
        self.faults = faults
        self.latency = latency
        self.log: list[Seen] = []
        """Every request, in the order of arrival."""
        self.peak = 0
        """Most requests under way at once."""
        self._under_way = 0
        self._key = key
        self._port = port
        self._attempts: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What goes into `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    def stats(self) -> dict[str, Any]:
        """Requests seen, fully answered, distinct; how often each key was seen; faults shown; most at once."""
        return {
            "seen": len(self.log),
            "answered": sum(seen.answered for seen in self.log),
            "distinct": len(self._attempts),
            "keys": dict(self._attempts),
            "faults": dict(Counter(seen.fault for seen in self.log if seen.fault is not None)),
            "peak": self.peak,
        }

    async def __aenter__(self) -> FakeServer:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/_stats", self._stats)
        app.router.add_get("/_log", self._log)
        self._stopping = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        self._stopping.set()
        await self._runner.cleanup()

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _log(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(seen) for seen in self.log])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
            return _refusal(Fault(form="status", status=401, code="invalid_api_key"))
        try:
            body = json.loads(await request.read())
        except ValueError:
            return _refusal(Fault(form="status", status=400, code="invalid_json"))
        seen = self._note(body)
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            fault = self.faults(seen) if self.faults else None
            if fault is None:
                return await self._answer(request, seen)
            seen.fault = str(fault.status) if fault.form == "status" else fault.form
            return await self._fail(request, seen, fault)
        finally:
            self._under_way -= 1

    def _note(self, body: Mapping[str, Any]) -> Seen:
        key = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        self._attempts[key] += 1
        seen = Seen(index=len(self.log), key=key, attempt=self._attempts[key], body=body)
        self.log.append(seen)
        return seen

    async def _answer(self, request: web.Request, seen: Seen) -> web.Response:
        try:
            text = self.answer(seen.body)
        except (KeyError, TypeError):
            return _refusal(Fault(form="status", status=400, code="invalid_request"))
        response = web.json_response(completion(seen.body, text))
        with suppress(ConnectionResetError):  # who asked is gone: killed, or out of patience
            await response.prepare(request)
            await response.write_eof()
            seen.answered = True
        return response

    async def _fail(self, request: web.Request, seen: Seen, fault: Fault) -> web.StreamResponse:
        if fault.form == "status":
            return _refusal(fault)
        if fault.form == "hang":
            await self._stopping.wait()
        if fault.form in ("hang", "reset"):
            return _hang_up(request)
        if fault.form == "html":
            return web.Response(
                text="<html><body>Welcome to the hotel wireless</body></html>", content_type="text/html"
            )
        text = json.dumps(_spoilt(completion(seen.body, "Half an answer is"), fault.form)).encode()
        if fault.form == "cut":
            return web.Response(body=text[: len(text) // 2], content_type="application/json")
        if fault.form == "short":
            return await _short(request, text)
        return web.Response(body=text, content_type="application/json")


def completion(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A chat completion as the protocol writes it, its tokens counted as words and signs."""
    asked = sum(rough_tokens(str(message.get("content", ""))) for message in body.get("messages", ()))
    said = rough_tokens(text)
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", ""),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


def _spoilt(reply: dict[str, Any], form: str) -> dict[str, Any]:
    choice = reply["choices"][0]
    if form == "empty":
        return {**reply, "choices": []}
    if form == "null":
        choice["message"]["content"] = None
    elif form == "length":
        choice["finish_reason"] = "length"
    elif form == "filter":
        choice["finish_reason"] = "content_filter"
        choice["message"]["content"] = ""
    return reply


def _refusal(fault: Fault) -> web.Response:
    error = {"message": f"scripted refusal {fault.status}", "type": fault.code, "param": None, "code": fault.code}
    return web.json_response({"error": error}, status=fault.status, headers=fault.headers)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _short(request: web.Request, text: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(text))})
    await response.prepare(request)
    await response.write(text[: len(text) // 2])
    return _hang_up(request)


@contextmanager
def running_server(**settings: Any) -> Iterator[FakeServer]:
    """A FakeServer in a thread of its own, for tests that are not async; takes what FakeServer takes."""
    server = FakeServer(**settings)
    ready = threading.Event()
    ended: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        over = asyncio.Event()
        async with server:
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(over.set))
            ready.set()
            await over.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # shown to the caller, who waits for `ready`
            ended.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="fake-server", daemon=True)
    thread.start()
    ready.wait()
    if ended:
        raise ended[0]
    try:
        yield server
    finally:
        stop[0]()
        thread.join()


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m optimizer.testing.server", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8080, help="8080 by default; 0 takes one that is free")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--key", help="API key to ask for")
    parser.add_argument("--seed", type=int, default=0, help="seed of the faults")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="FAULT=SHARE", help="such as 429=0.05 or hang=0.005; repeatable"
    )
    chosen = parser.parse_args(arguments)
    try:
        rates = {name: float(share) for name, _, share in (text.partition("=") for text in chosen.fault)}
        faults = by_rate(rates, chosen.seed) if rates else None
    except ValueError as error:
        parser.error(str(error))
    server = FakeServer(port=chosen.port, latency=chosen.latency, key=chosen.key, faults=faults)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(server))
    except OSError as error:
        parser.error(f"cannot serve on port {chosen.port}: {error.strerror} (choose another --port, or 0)")


async def _serve(server: FakeServer) -> None:
    async with server:
        root = server.base_url.removesuffix("/v1")
        sys.stdout.write(f"serving the stand-in at {server.base_url}, counts at {root}/_stats; end it with Ctrl-C\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
