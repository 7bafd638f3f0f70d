"""How many calls a second each client makes, and what one call costs in CPU time.

Every client asks the same loopback server in its own process: 128 calls in flight, 50 ms latency, a prompt of 550
characters that differs from call to call. Each cell is a fresh process; rounds are interleaved; figures are medians.
Only ratios within one table are worth comparing, since machines and their load differ:

    python benchmarks/clients.py --rounds 3
    python benchmarks/clients.py --rounds 3 --write
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.models.base import Request

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results" / "clients.md"
CLIENTS = {
    "bare": "bare aiohttp",
    "fast": "fast path",
    "gate": "fast path through the gate",
    "openai": "openai AsyncOpenAI",
    "litellm": "litellm",
}
BARE = "bare"
PROMPT = "Answer in one word and nothing else. " * 15

Ask = Callable[[int], Awaitable[str]]
"""From the number of a call to its answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One client in one round."""

    rate: float
    """Calls a second."""
    cpu_ms: float
    """CPU milliseconds a call, all threads of the process."""


# The server


ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Romeo"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 1, "total_tokens": 121},
    }
).encode()
RESPONSE = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)) + ANSWER


class Loopback(asyncio.Protocol):
    """Reads requests off one connection and answers each after the latency; knows no more of HTTP than that."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
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
            self.buffer = self.buffer[size:]
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, RESPONSE)


async def serve(latency: float) -> None:
    """Serve until killed; prints the port first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Loopback(latency), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server_process(latency: float) -> Iterator[str]:
    """A server in a process of its own: its base URL."""
    command = [sys.executable, __file__, "--serve", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


# The clients


@asynccontextmanager
async def bare_aiohttp(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """No more than a session and its POST."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(number: int) -> str:
            async with session.post(f"{url}/chat/completions", json=body(number)) as response:
                reply = json.loads(await response.read())
            text: str = reply["choices"][0]["message"]["content"]
            return text

        yield ask


@asynccontextmanager
async def fast_path(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """Our provider alone."""
    from optimizer.models.openai import open_openai

    async with open_openai(base_url=url, concurrency=in_flight) as model:

        async def ask(number: int) -> str:
            return (await model.complete(request(number, url))).text

        yield ask


@asynccontextmanager
async def through_the_gate(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """Our provider behind every layer: an empty cache on disk, a budget, a sink that forgets."""
    from optimizer.budget import Budget
    from optimizer.config import BudgetSpec, Price
    from optimizer.events import Event
    from optimizer.models.cache import CompletionCache
    from optimizer.models.gate import Terms, gate
    from optimizer.models.openai import open_openai

    class Forgets:
        async def record(self, event: Event) -> None:
            return

    with tempfile.TemporaryDirectory() as folder:
        async with (
            CompletionCache(Path(folder)) as store,
            open_openai(base_url=url, concurrency=in_flight) as provider,
        ):
            model = gate(
                provider,
                store=store,
                sink=Forgets(),
                budget=Budget(BudgetSpec(calls=10**9)),
                prices={"m": Price(input=1.0, output=2.0)},
                terms=Terms(concurrency=in_flight),
            )

            async def ask(number: int) -> str:
                return (await model.complete(request(number, url))).text

            yield ask


@asynccontextmanager
async def openai_package(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """The official client."""
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

        async def ask(number: int) -> str:
            reply = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": PROMPT + str(number)}]
            )
            return reply.choices[0].message.content or ""

        yield ask


@asynccontextmanager
async def litellm_package(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """The litellm package as its users call it, its retries off."""
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    import litellm

    async def ask(number: int) -> str:
        reply = await litellm.acompletion(
            model="openai/m",
            messages=[{"role": "user", "content": PROMPT + str(number)}],
            api_base=url,
            api_key="none",
            num_retries=0,
            max_retries=0,
        )
        text: str = reply.choices[0].message.content
        return text

    yield ask


OPEN = {
    "bare": bare_aiohttp,
    "fast": fast_path,
    "gate": through_the_gate,
    "openai": openai_package,
    "litellm": litellm_package,
}


def body(number: int) -> dict[str, object]:
    """One request as JSON."""
    return {"model": "m", "messages": [{"role": "user", "content": PROMPT + str(number)}]}


def request(number: int, url: str) -> Request:
    """One request as ours."""
    from optimizer.models.base import Request
    from optimizer.prompt import Message

    messages = (Message(role="user", content=PROMPT + str(number)),)
    return Request(provider="openai", model="m", messages=messages, base_url=url)


async def measure(client: str, url: str, in_flight: int, seconds: float) -> Cell:
    """Keep that many calls in flight for so long, after a warm-up that fills the pool."""
    numbers = iter(range(10**9))
    async with OPEN[client](url, in_flight) as ask:
        await asyncio.gather(*(ask(next(numbers)) for _ in range(in_flight)))
        cpu, start = time.process_time(), time.perf_counter()
        end = start + seconds

        async def work() -> int:
            done = 0
            while time.perf_counter() < end:
                if await ask(next(numbers)) != "Romeo":
                    raise RuntimeError(f"{client}: a wrong answer")
                done += 1
            return done

        calls = sum(await asyncio.gather(*(work() for _ in range(in_flight))))
        wall, used = time.perf_counter() - start, time.process_time() - cpu
    return Cell(rate=calls / wall, cpu_ms=used / calls * 1000)


# The table


def run_cell(client: str, url: str, chosen: argparse.Namespace) -> Cell:
    """One client in a fresh process."""
    command = [sys.executable, __file__, "--client", client, "--url", url]
    command += ["--in-flight", str(chosen.in_flight), "--seconds", str(chosen.seconds)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return Cell(**json.loads(done.stdout.splitlines()[-1]))


def median(cells: list[Cell]) -> Cell:
    """Medians of each figure."""
    return Cell(
        rate=statistics.median(cell.rate for cell in cells), cpu_ms=statistics.median(cell.cpu_ms for cell in cells)
    )


def table(cells: dict[str, list[Cell]], limit: float) -> str:
    """Markdown."""
    bare = median(cells[BARE])
    lines = [
        "| client | calls/s | of the limit | of bare aiohttp | CPU ms a call | times bare aiohttp |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for client, name in CLIENTS.items():
        one = median(cells[client])
        lines.append(
            f"| {name} | {one.rate:,.0f} | {one.rate / limit:.0%} | {one.rate / bare.rate:.0%} "
            f"| {one.cpu_ms:.2f} | {one.cpu_ms / bare.cpu_ms:.1f} |"
        )
    return "\n".join(lines)


def report(cells: dict[str, list[Cell]], chosen: argparse.Namespace) -> str:
    """The page that goes into the repository."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "openai", "litellm", "diskcache"))
    return "\n\n".join(
        [
            "# Clients on loopback",
            f"{chosen.in_flight} calls in flight, {chosen.latency * 1000:.0f} ms latency, so at most "
            f"{chosen.in_flight / chosen.latency:,.0f} calls/s. Medians of {chosen.rounds} interleaved rounds of "
            f"{chosen.seconds:g} s, each cell a fresh process after a warm-up. "
            "The gate is every layer of the product: cache on disk, single flight, retry, limit, breaker, budget.",
            table(cells, chosen.in_flight / chosen.latency),
            f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, shared with the server. "
            "Plain HTTP without streaming: TLS adds the same to every client. Compare ratios, not rates: "
            "`python benchmarks/clients.py --rounds 3` makes the table anew.",
        ]
    )


def main() -> None:
    """Measure and print; with `--write` keep the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each cell")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/clients.md")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        asyncio.run(serve(chosen.serve))
    elif chosen.client is not None:
        cell = asyncio.run(measure(chosen.client, chosen.url, chosen.in_flight, chosen.seconds))
        print(json.dumps(asdict(cell)))
    else:
        compare(chosen)


def compare(chosen: argparse.Namespace) -> None:
    """All clients, round after round."""
    cells: dict[str, list[Cell]] = {client: [] for client in CLIENTS}
    with server_process(chosen.latency) as url:
        for _ in range(chosen.rounds):
            for client, done in cells.items():
                done.append(run_cell(client, url, chosen))
    page = report(cells, chosen)
    print(page)
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(page + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
