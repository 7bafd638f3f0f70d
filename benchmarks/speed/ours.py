"""Our evaluation and bare aiohttp, each in a process of its own.

    python -m benchmarks.speed.ours run URL ROWS IN_FLIGHT FOLDER
    python -m benchmarks.speed.ours eval URL ROWS IN_FLIGHT FOLDER
    python -m benchmarks.speed.ours bare URL ROWS IN_FLIGHT

`run` is what a run's baseline does: the whole gate, a budget, the cache and the run's store on disk in FOLDER, a
metric, and every result durable at the end. `eval` is what `optimizer eval` does: the same gate and cache, and results
in a temporary file. A second time in the same folder, everything comes from the cache. Reading the files and opening
cache and store are not counted, as imports and set-up are not counted for the peers.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.speed.task import EXPECTED, INSTRUCTION, Clock, Took, reviews, tell
from optimizer.build import Several, opened
from optimizer.cli import COLLECT_AT
from optimizer.config import RunConfig
from optimizer.dataset import Split
from optimizer.evaluator import Evaluator, Purpose
from optimizer.events import CallSent, Sink
from optimizer.intake import Loaded, take_in
from optimizer.models.gate import connected
from optimizer.outcome import Phase, Role
from optimizer.plan import Plan
from optimizer.readers.config import load_config
from optimizer.results import Evaluation
from optimizer.store import open_run
from optimizer.store.spooled import ResultSpool

PURPOSE = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
PRICE = "{input: 0.15, output: 0.6}"


def workspace(folder: Path, url: str, rows: int, in_flight: int) -> Path:
    """Write what a user would have; the eval file. Two rows more are in the splits that are not scored."""
    evals, prompts = folder / "evals", folder / "prompts" / "reviews"
    for made in (evals, prompts):
        made.mkdir(parents=True, exist_ok=True)
    texts = reviews(rows + 2)
    splits = ["train", "test", *["val"] * rows]
    (evals / "reviews.jsonl").write_text(
        "".join(
            json.dumps({"id": f"r{row}", "review": text, "expected": EXPECTED, "split": split}) + "\n"
            for row, (text, split) in enumerate(zip(texts, splits, strict=True))
        ),
        encoding="utf-8",
    )
    (prompts / "v1.yaml").write_text(
        f"messages:\n  - role: system\n    content: {INSTRUCTION}\n  - role: user\n    content: '{{{{ review }}}}'\n",
        encoding="utf-8",
    )
    file = evals / "reviews.yaml"
    file.write_text(
        "prompt: ../prompts/reviews/v1.yaml\ndata: reviews.jsonl\n"
        f"model: {{name: openai/m, base_url: {url}/v1, params: {{temperature: 0}}, price: {PRICE}}}\n"
        f"metrics: [contains]\nbudget: {{calls: {rows + 2}}}\nconcurrency: {in_flight}\n",
        encoding="utf-8",
    )
    return file


@asynccontextmanager
async def live(config: RunConfig, loaded: Loaded, folder: Path, sink: Sink) -> AsyncIterator[Evaluator]:
    """What scores rows, put together as a run does it."""
    plan = Plan(limits={phase: len(loaded.evalset.examples) for phase in Phase})
    async with connected(config) as providers, opened(loaded, folder, sink, providers, None) as found:
        yield found.evaluator(loaded, plan, sink, {})


async def run(config: RunConfig, loaded: Loaded, folder: Path) -> Took:
    """Score one prompt on all val rows, as a run does."""
    val = loaded.evalset.split(Split.VAL)
    number = len(list((folder / "runs").glob("*"))) + 1
    async with (
        open_run(folder, f"run-{number}", "", meta=loaded.meta(), evalset=loaded.evalset) as writer,
        live(config, loaded, folder, writer) as evaluator,
    ):
        clock = Clock()
        scored = await evaluator.evaluate(loaded.prompt, val, PURPOSE)
        # As a run's next call does: on the disk when this returns, and every result before it.
        await writer.record(CallSent(call="next", key="", role=Role.TASK, phase=PURPOSE.phase))
        return clock.took(len(scored.scored), scored.mean)


async def evaluate(config: RunConfig, loaded: Loaded, folder: Path) -> Took:
    """Score one prompt on all val rows, as `optimizer eval` does."""
    val = loaded.evalset.split(Split.VAL)
    async with live(config, loaded, folder, Several(())) as evaluator:
        clock = Clock()
        spool = ResultSpool()
        async with aclosing(evaluator.scan(loaded.prompt, val, PURPOSE)) as results:
            async for result in results:
                spool.add(result, Split.VAL)
        scored = Evaluation(candidate=loaded.prompt.fingerprint, results=spool.of(Split.VAL))
        took = clock.took(len(scored.results), 0.0)
        return replace(took, score=scored.mean or 0.0)


async def bare(url: str, rows: int, in_flight: int) -> float:
    """The least that can be done: workers on one session, a plain comparison, nothing kept."""
    import aiohttp

    texts = iter(reviews(rows))
    right = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal right
        for text in texts:
            messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text}]
            body = {"model": "m", "temperature": 0, "messages": messages}
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                reply = json.loads(await response.read())
            right += EXPECTED in reply["choices"][0]["message"]["content"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
    return right / rows


def main() -> None:
    """One contestant, once."""
    kind, url, rows, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.environ.pop("OPENAI_API_KEY", None)
    if kind == "bare":
        import aiohttp

        clock = Clock()
        tell(clock.took(rows, asyncio.run(bare(url, rows, in_flight))))
        return
    import aiohttp  # noqa: F401  imports stay out of every contestant's figure

    gc.set_threshold(*COLLECT_AT)  # As every command does.
    folder = Path(sys.argv[5])
    config = load_config(workspace(folder, url, rows, in_flight))
    work = {"run": run, "eval": evaluate}[kind]
    tell(asyncio.run(work(config, take_in(config), folder)))


if __name__ == "__main__":
    main()
