"""Two runs side by side in one event loop, watched by a sink of your own.

    python examples/async_and_watch.py

A sink is any object with `async def record(event)`. It is told everything that happens, in order: calls, results,
clusters, edits, trials, decisions (`optimizer/events.py` lists them). A run goes on when `record` returns, so a slow
sink slows it down, and what it raises ends the run.
"""

import asyncio

import optimizer
from optimizer.events import CallSent, Decided, TrialEnded


class Diary:
    """Counts calls, and writes down what was tried and decided."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    async def record(self, event: optimizer.Event) -> None:
        """Take one event."""
        match event:
            case CallSent():
                self.calls += 1
            case TrialEnded(trial=trial):
                print(f"{self.name}: round {trial.round}, trial {trial.number}: {trial.reason}")
            case Decided(kind="accept" | "reject" | "stop" | "verdict" as kind, reason=reason):
                print(f"{self.name}: {kind}: {reason}")


async def main() -> None:
    """Run both demo sets at once."""
    diaries = [Diary("romeo-bob"), Diary("reviews")]
    runs = await asyncio.gather(*(optimizer.aoptimize(f"evals/{diary.name}.yaml", watch=[diary]) for diary in diaries))
    for diary, run in zip(diaries, runs, strict=True):
        print(f"{diary.name}: {run.verdict} after {diary.calls} calls")


if __name__ == "__main__":
    asyncio.run(main())
