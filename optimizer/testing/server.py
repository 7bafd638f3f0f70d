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
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from aiohttp import web

from optimizer.testing.faults import Fault, Script, Seen, by_rate, parse_script
from optimizer.testing.replies import completion, refusal, right_text, show, spoilt, told_tokens

UNREADABLE = ("status", "reset", "short", "half-open", "trickle", "hang", "cut", "html", "garbage")
"""Forms of a fault that tell no count of tokens."""
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
        """Requests seen, answered in full, distinct, by key; faults shown; tokens told; most at once."""
        return {
            "seen": len(self.log),
            "answered": sum(seen.answered for seen in self.log),
            "distinct": len(self._attempts),
            "keys": dict(self._attempts),
            "faults": dict(Counter(seen.fault for seen in self.log if seen.fault is not None)),
            "input_tokens": sum(seen.input_tokens for seen in self.log),
            "output_tokens": sum(seen.output_tokens for seen in self.log),
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
            return refusal(Fault(form="status", status=401, code="invalid_api_key"))
        try:
            body = json.loads(await request.read())
        except ValueError:
            return refusal(Fault(form="status", status=400, code="invalid_json"))
        seen = self._note(body)
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._answer(request, seen, self.faults(seen) if self.faults else None)
        finally:
            self._under_way -= 1
            seen.ended = time.monotonic()

    def _note(self, body: Mapping[str, Any]) -> Seen:
        key = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        self._attempts[key] += 1
        seen = Seen(index=len(self.log), key=key, attempt=self._attempts[key], body=body, at=time.monotonic())
        self.log.append(seen)
        return seen

    async def _answer(self, request: web.Request, seen: Seen, fault: Fault | None) -> web.StreamResponse:
        try:
            text = self.answer(seen.body) if fault is None or right_text(fault) else "Half an answer is"
        except (KeyError, TypeError):
            return refusal(Fault(form="status", status=400, code="invalid_request"))
        reply = completion(seen.body, text)
        if fault is not None:
            seen.fault = fault.name
            response = await show(request, reply, fault, self._stopping)
            if fault.form in UNREADABLE:
                return response
            reply = spoilt(reply, fault)
        else:
            response = web.json_response(reply)
        with suppress(ConnectionResetError):  # who asked is gone: killed, or out of patience
            await response.prepare(request)
            await response.write_eof()
            seen.input_tokens, seen.output_tokens = told_tokens(reply)
            seen.answered = fault is None or right_text(fault)
        return response


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
    parser.add_argument("--script", help="always:FAULT, turn:FAULT,none,..., first:N:FAULT or rate:FAULT=SHARE,...")
    chosen = parser.parse_args(arguments)
    try:
        rates = {name: float(share) for name, _, share in (text.rpartition("=") for text in chosen.fault)}
        script = parse_script(chosen.script) if chosen.script else None
        faults = by_rate(rates, chosen.seed) if rates else script
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
