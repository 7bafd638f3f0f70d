"""The worlds' server as the arms use it: started, asked for its counts, told its phase. Needs no package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import local
from typing import Any

from benchmarks.search.judge import score
from benchmarks.search.worlds.world import Row, World

ROOT = Path(__file__).parent.parent.parent
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A running server of worlds."""

    url: str
    """Its address, without a path."""
    kept: list[HTTPConnection] = field(default_factory=list)
    """Connections that are open."""
    own: local = field(default_factory=local)
    """The connection of each thread."""

    @property
    def base_url(self) -> str:
        """What goes into `base_url`."""
        return f"{self.url}/v1"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request over a kept connection."""
        connection: HTTPConnection | None = getattr(self.own, "connection", None)
        if connection is None:
            connection = HTTPConnection(self.url.removeprefix("http://"))
            self.own.connection = connection
            self.kept.append(connection)
        connection.request(method, path, None if body is None else json.dumps(body))
        return json.loads(connection.getresponse().read())

    def close(self) -> None:
        """Close all connections."""
        while self.kept:
            self.kept.pop().close()

    def phase(self, name: str) -> None:
        """Count from now on as this phase."""
        self.ask("POST", "/_phase", {"phase": name})

    def counts(self) -> dict[str, int]:
        """All counts, by `phase/role/what`."""
        return dict(self.ask("GET", "/_counts"))

    def search_calls(self) -> int:
        """Task and reflection calls of the search so far."""
        counts = self.counts()
        return counts.get("search/task/calls", 0) + counts.get("search/reflection/calls", 0)

    def chat(self, world: World, role: str, messages: list[dict[str, str]]) -> str:
        """The text of one completion."""
        body = {"model": f"{world.family}-{world.seed}-{role}", "messages": messages}
        return str(self.ask("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"])

    def measure(self, world: World, prompt: str, split: str = "test") -> float:
        """Mean score of a system prompt on a split, counted as `measure`."""
        return self.mean(
            world,
            lambda row: self.chat(world, "task", [_message("system", prompt), _message("user", row.text)]),
            split,
        )

    def mean(self, world: World, run: Callable[[Row], str], split: str = "test") -> float:
        """Mean score of anything that answers rows, counted as `measure`."""
        self.phase("measure")
        with ThreadPoolExecutor(THREADS) as pool:
            rows = world.split(split)
            scores = [score(world, row, output)[0] for row, output in zip(rows, pool.map(run, rows), strict=True)]
        return sum(scores) / len(scores)


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    """A server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.search.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    endpoint = Endpoint(url=process.stdout.readline().strip())
    try:
        yield endpoint
    finally:
        endpoint.close()
        process.stdin.close()
        process.wait()
        process.stdout.close()
