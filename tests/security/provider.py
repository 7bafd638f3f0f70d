"""A provider that means no good: an HTTP server on loopback whose every answer a test decides."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    number: int
    """0 for the first."""
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Provider:
    """A server that runs."""

    url: str
    """What goes into `base_url`."""
    asked: list[Asked]
    """Every request, in the order of arrival."""


def said(text: object, **more: object) -> Reply:
    """A chat completion that says a text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    return Reply(body=json.dumps({"choices": [choice], "usage": usage, **more}).encode())


@contextlib.contextmanager
def provider(answer: Callable[[Asked], Reply]) -> Iterator[Provider]:
    """Serve until the end of the block."""
    asked: list[Asked] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # What is left of a connection when its client is gone is nobody's.
        timeout = 30

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                one = Asked(number=len(asked), path=self.path, headers=headers, body=json.loads(raw or b"null"))
                asked.append(one)
            reply = answer(one)
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Provider(url=f"http://127.0.0.1:{server.server_port}/v1", asked=asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
