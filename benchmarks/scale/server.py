"""A fast OpenAI-protocol server for measurements: it knows the answers, and errs on demand.

A prompt that says `ticket 123` is answered with a label that the number decides, wrong for every fifth. A share of the
requests meets a fault: which ones is drawn from the request and the times that it came, so that a retry may succeed.

    with serving(latency=0.05, faults=0.02) as server: server.base_url, server.stats()
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

LABELS = ("billing", "delivery", "account", "other")
WRONG = 5
"""Every so many tickets are answered wrongly."""
FAULTS = ("429", "500", "reset", "cut", "empty")
"""Shown in equal shares."""
_TICKET = re.compile(rb"ticket (\d+)")


def label(number: int) -> str:
    """The right answer."""
    return LABELS[number * 7 // 3 % len(LABELS)]


def answer(number: int) -> str:
    """What the server says."""
    return label(number + (number % WRONG == 0))


def fault_of(digest: bytes, times: int, share: float) -> str:
    """The fault that a request meets when it comes for the n-th time; empty for none."""
    mark = int.from_bytes(hashlib.blake2b(digest + b"%d" % times, digest_size=8).digest()) / 2**64
    return FAULTS[int(mark / share * len(FAULTS))] if mark < share else ""


def reply(text: str, status: str = "200 OK", extra: str = "") -> bytes:
    """One HTTP reply."""
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def completion(text: str) -> str:
    """A chat completion."""
    told = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 1, "total_tokens": 91},
    }
    return json.dumps(told)


ANSWERS = {text: reply(completion(text)) for text in LABELS}


class Counts:
    """What the server saw."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self.answered: Counter[bytes] = Counter()
        self.faults: Counter[str] = Counter()
        self.first = 0.0
        """Wall-clock time of the first request; 0 before it."""
        self.flying = 0
        self.peak = 0
        self.busy = 0.0
        """Seconds in which at least one request was being answered."""
        self._since = 0.0

    def enter(self) -> None:
        """A request is here."""
        self.first = self.first or time.time()
        if not self.flying:
            self._since = time.monotonic()
        self.flying += 1
        self.peak = max(self.peak, self.flying)

    def leave(self) -> None:
        """Its answer is on the way."""
        self.flying -= 1
        if not self.flying:
            self.busy += time.monotonic() - self._since

    def told(self) -> dict[str, Any]:
        """The figures."""
        return {
            "seen": self.seen.total(),
            "distinct": len(self.seen),
            "answered": len(self.answered),
            "paid_twice": sum(count > 1 for count in self.answered.values()),
            "faults": dict(self.faults),
            "first": self.first,
            "peak": self.peak,
            "busy": self.busy,
        }


class Connection(asyncio.Protocol):
    """Reads requests off one connection and answers each after the latency."""

    def __init__(self, counts: Counts, latency: float, share: float) -> None:
        self.counts, self.latency, self.share = counts, latency, share
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            _, _, rest = head.partition(b"content-length:")
            size = end + 4 + int(rest.split(b"\r\n")[0] or 0)
            if len(self.buffer) < size:
                return
            body, self.buffer = self.buffer[end + 4 : size], self.buffer[size:]
            if head.startswith(b"get"):
                self.transport.write(reply(json.dumps(self.counts.told())))
            else:
                self.counts.enter()
                asyncio.get_running_loop().call_later(self.latency, self._answer, body)

    def _answer(self, body: bytes) -> None:
        self.counts.leave()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        self.counts.seen[digest] += 1
        fault = fault_of(digest, self.counts.seen[digest], self.share) if self.share else ""
        found = _TICKET.search(body)
        whole = ANSWERS[answer(int(found[1]))] if found else ANSWERS[LABELS[0]]
        self.counts.faults.update([fault] if fault else [])
        if fault == "429":
            self.transport.write(reply('{"error": {"message": "slow down"}}', "429 Too Many", "Retry-After: 0\r\n"))
        elif fault == "500":
            self.transport.write(reply('{"error": {"message": "down"}}', "500 Internal Server Error"))
        elif fault == "reset":
            self.transport.abort()
        elif fault == "cut":
            self.transport.write(whole[:-40])
            self.transport.close()
        elif fault == "empty":
            self.transport.write(reply('{"choices": []}'))
        else:
            self.counts.answered[digest] += 1
            self.transport.write(whole)


async def serve(latency: float, share: float) -> None:
    """Serve until killed; prints the port first."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counts, latency, share), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    port: int
    """Where it listens."""

    @property
    def base_url(self) -> str:
        """What goes into `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, Any]:
        """What it saw so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats") as answered:
            told: dict[str, Any] = json.load(answered)
        return told


@contextmanager
def serving(*, latency: float = 0.0, faults: float = 0.0) -> Iterator[Server]:
    """Start a server: seconds before each answer, share of requests that meet a fault."""
    command = [sys.executable, __file__, str(latency), str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve until killed; prints the port.")
    parser.add_argument("latency", type=float)
    parser.add_argument("faults", type=float)
    options = parser.parse_args()
    asyncio.run(serve(options.latency, options.faults))
