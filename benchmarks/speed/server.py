"""A fast endpoint on loopback: the OpenAI protocol with one fixed answer after a fixed latency.

    python -m benchmarks.speed.server       # prints its address; ends when its standard input does

`GET /latency/0.05` sets the latency and forgets the counts; `GET /stats` tells requests, the most that were open at
once, and the CPU seconds that all took since then, which says how far the server is from being the bottleneck.
It reads no more of a request than where it ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque

ANSWER = "[[ ## answer ## ]]\nThe review is positive: its writer liked the visit.\n\n[[ ## completed ## ]]"
"""Fits every peer: DSPy looks for the headings, all others for the word."""
_BODY = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 190, "completion_tokens": 24, "total_tokens": 214},
    }
).encode()


def response(body: bytes) -> bytes:
    """A whole HTTP response."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


_ANSWERED = response(_BODY)


class Endpoint:
    """Answers that are due, in the order in which they were asked: the latency is the same for all."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, asyncio.Transport]] = deque()
        self._ticking = False
        self.set(0.0)

    def set(self, latency: float) -> None:
        """Begin anew with this latency in seconds."""
        self.latency = latency
        self.requests = self.peak = 0
        self.cpu = time.process_time()

    def stats(self) -> bytes:
        """What happened since then, as JSON."""
        facts = {"requests": self.requests, "peak": self.peak, "cpu": time.process_time() - self.cpu}
        return json.dumps(facts).encode()

    def ask(self, transport: asyncio.Transport) -> None:
        """Answer later."""
        loop = asyncio.get_running_loop()
        self._due.append((loop.time() + self.latency, transport))
        self.requests += 1
        self.peak = max(self.peak, len(self._due))
        if not self._ticking:
            self._ticking = True
            loop.call_at(self._due[0][0], self._answer)

    def _answer(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._due and self._due[0][0] <= now:
            self._due.popleft()[1].write(_ANSWERED)
        self._ticking = bool(self._due)
        if self._due:
            loop.call_at(self._due[0][0], self._answer)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            _, _, rest = head.partition(b"content-length:")
            size = end + 4 + int(rest.split(b"\r\n")[0] or 0)
            if len(self._buffer) < size:
                return
            self._buffer = self._buffer[size:]
            self._take(head)

    def _take(self, head: bytes) -> None:
        if not head.startswith(b"get "):
            self._endpoint.ask(self._transport)
            return
        path = head.split()[1]
        if path.startswith(b"/latency/"):
            self._endpoint.set(float(path.rpartition(b"/")[2]))
        self._transport.write(response(self._endpoint.stats()))


async def serve() -> None:
    """Serve until standard input ends; prints the address first."""
    loop = asyncio.get_running_loop()
    endpoint, ended = Endpoint(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve())
