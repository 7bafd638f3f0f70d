"""The endpoint of the worlds: the OpenAI protocol on loopback, in a process of its own, counting by phase and role.

    python -m benchmarks.search.server            # prints its address; ends when its standard input does

`model` is `<family>-<seed>-task` or `<family>-<seed>-reflection`. `POST /_phase` with `{"phase": name}` says what the
calls from now on are counted as; `GET /_counts` gives the counts. Bare asyncio: some thousands of calls a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from benchmarks.search import requests, task
from benchmarks.search.worlds import make_world

ROLES = ("task", "reflection")


class Tally:
    """What was asked so far."""

    def __init__(self) -> None:
        self.phase = "search"
        self.counts: Counter[str] = Counter()
        """`phase/role/calls`, `phase/role/input` and `phase/role/output` tokens."""

    def add(self, role: str, asked: int, said: int) -> None:
        """Count one call."""
        for what, number in (("calls", 1), ("input", asked), ("output", said)):
            self.counts[f"{self.phase}/{role}/{what}"] += number


@lru_cache(maxsize=50_000)
def tokens(text: str) -> int:
    """A rough count: four characters a token."""
    return (len(text) + 3) // 4


def complete(body: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """A chat completion, counted."""
    family, seed, role = str(body["model"]).rsplit("-", 2)
    world = make_world(family, int(seed))
    messages = body["messages"]
    if role == "task":
        said = task.answer(world, messages)
    else:
        said = requests.answer(world, messages, body.get("seed"))
    asked = sum(tokens(str(message["content"])) for message in messages)
    tally.add(role, asked, tokens(said))
    return {
        "id": "chatcmpl-world",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": tokens(said),
            "total_tokens": asked + tokens(said),
        },
    }


class Connection(asyncio.Protocol):
    """One connection, kept open; requests one after the other."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            lines = head.split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            length = int(headers.get("content-length", 0))
            if len(self.buffer) < end + 4 + length:
                return
            raw = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self._answer(lines[0].split(" ")[1], raw)

    def _answer(self, path: str, raw: bytes) -> None:
        status, reply = "200 OK", self._reply(path, raw)
        if "error" in reply:
            status = "400 Bad Request"
        text = json.dumps(reply).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        assert self.transport is not None
        self.transport.write(head.encode() + text)

    def _reply(self, path: str, raw: bytes) -> dict[str, Any]:
        if path == "/_counts":
            return dict(self.tally.counts)
        try:
            body = json.loads(raw)
            if path == "/_phase":
                self.tally.phase = str(body["phase"])
                return {"phase": self.tally.phase}
            return complete(body, self.tally)
        except Exception as error:
            # A fault of a world must end the run that met it, not look like a search that fails.
            self.tally.counts["faults"] += 1
            message = f"not a request that a world can answer: {type(error).__name__}: {error}"
            return {"error": {"message": message, "type": "invalid_request_error", "code": None, "param": None}}


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    server = await loop.create_server(lambda: Connection(tally), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
