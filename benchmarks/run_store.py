"""How many calls a second a run can keep, with every call durable before it leaves and again when it ends.

Calls are in flight side by side and take 25 to 75 ms; each waits for three acknowledged commits: sent, ended, result.
The bare figure makes the same calls without a store, so the difference is what keeping them costs.

    python benchmarks/run_store.py --calls 10000 --in-flight 128
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from optimizer.dataset import Split
from optimizer.events import CallEnded, CallSent, Event, Recording, ResultKnown, Sink
from optimizer.outcome import Phase, Role
from optimizer.report.summary import summary
from optimizer.results import Completion, Result, Score, Usage
from optimizer.store import RunMeta, RunReader, open_run

CANDIDATE = "0" * 64
LATENCY = (0.025, 0.075)


def events(number: int) -> tuple[Event, Event, Event]:
    """What the gate and the evaluator say of one call."""
    name = f"call-{number}"
    answer = Completion(
        text=f"answer {number} " + "words " * 60,
        usage=Usage(input_tokens=400, output_tokens=80),
        cost=0.0001,
        latency=0.05,
    )
    score = Score(metric="equals", value=0.0, passed=False, reason="expected positive, got negative", place="text")
    result = Result(example=name, candidate=CANDIDATE, completion=answer, scores=(score,))
    return (
        CallSent(call=name, key=f"{number:064x}", role=Role.TASK, phase=Phase.SEARCH),
        CallEnded(call=name, key=f"{number:064x}", completion=answer),
        ResultKnown(result=result, split=Split.VAL, phase=Phase.SEARCH, round=1),
    )


async def calls(sink: Sink, total: int, in_flight: int) -> float:
    """Calls a second."""
    numbers = iter(range(total))
    rng = random.Random(0)

    async def one() -> None:
        for number in numbers:
            sent, ended, known = events(number)
            await sink.record(sent)
            await asyncio.sleep(rng.uniform(*LATENCY))
            await sink.record(ended)
            await sink.record(known)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(in_flight)))
    return total / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=128)
    asked = parser.parse_args()
    bare = asyncio.run(calls(Recording(), asked.calls, asked.in_flight))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        meta = RunMeta(name="bench", seed_prompt=CANDIDATE)
        writer = open_run(root, "bench", "", meta=meta)
        kept = asyncio.run(calls(writer, asked.calls, asked.in_flight))
        writer.close()
        began = time.perf_counter()
        with RunReader(root, "bench") as reader:
            total = summary(reader)["calls"]["total"]
        shown = time.perf_counter() - began
    print(f"bare   {bare:8,.0f} calls/s")
    print(f"kept   {kept:8,.0f} calls/s, {total:,} calls on disk")
    print(f"facts of that run in {shown * 1000:,.0f} ms")


if __name__ == "__main__":
    main()
