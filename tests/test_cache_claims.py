"""Two processes on one cache pay for each answer once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

from optimizer.budget import Budget
from optimizer.config import BudgetSpec
from optimizer.events import CallSaved, Recording
from optimizer.models.base import Request
from optimizer.models.budgeted import Budgeted
from optimizer.models.cache import Cached, CompletionCache, Kept
from optimizer.models.cache import claims as module
from optimizer.models.cache.claims import Claims
from optimizer.prompt import Message
from optimizer.testing.models import FunctionModel
from optimizer.testing.server import running_server

ROOT = Path(__file__).parent.parent
KEY = "ab" * 32

ASKS = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from optimizer.budget import Budget
    from optimizer.config import BudgetSpec
    from optimizer.events import Recording
    from optimizer.models.base import Request
    from optimizer.models.cache import CompletionCache
    from optimizer.models.gate import gate
    from optimizer.models.openai import open_openai
    from optimizer.prompt import Message

    async def main(folder, url):
        async with CompletionCache(Path(folder)) as store, open_openai(base_url=url) as provider:
            model = gate(provider, store=store, sink=Recording(), budget=Budget(BudgetSpec()))
            asks = [
                Request(provider="openai", model="m", messages=(Message(role="user", content=f"Question {n}"),))
                for n in range(30)
            ]
            print("ready", flush=True)
            sys.stdin.readline()
            answers = await asyncio.gather(*(model.complete(one) for one in asks))
            print(sum(not answer.cached for answer in answers))

    asyncio.run(main(*sys.argv[1:]))
    """
)
HOLDS = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from optimizer.models.cache.claims import Claims

    async def main():
        claims = Claims(Path(sys.argv[1]))
        await claims.take(sys.argv[2])
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    asyncio.run(main())
    """
)


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs a script, once it has said its first word."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline()
    return process


def test_two_processes_that_ask_the_same_at_once_pay_once(tmp_path):
    with running_server(answer=lambda body: "fine", latency=0.1) as server:
        children = [child(ASKS, str(tmp_path), server.base_url) for _ in range(2)]
        paid = [int(process.communicate("go\n")[0]) for process in children]
        assert Counter(seen.key for seen in server.log).most_common(1)[0][1] == 1
    assert sum(paid) == len(server.log) == 30


def test_the_claim_of_a_process_that_is_killed_ends_with_it(tmp_path):
    process = child(HOLDS, str(tmp_path / "claims"), KEY)

    async def main() -> None:
        claims = Claims(tmp_path / "claims")
        waits = asyncio.create_task(claims.take(KEY))
        await claims.take("cd" * 32)
        await asyncio.sleep(0)
        assert not waits.done()
        process.kill()
        process.communicate()
        await waits
        claims.close()

    asyncio.run(main())


def test_a_claim_that_never_ends_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 3 * module.POLL)
    process = child(HOLDS, str(tmp_path / "claims"), KEY)

    async def main() -> list[str]:
        model, sink = FunctionModel(lambda request: "fine"), Recording()
        with CompletionCache(tmp_path) as cache:
            request = Request(provider="openai", model="m", messages=(Message(role="user", content="Who?"),))
            object.__setattr__(request, "key", KEY)
            paid = Budgeted(model, budget=Budget(BudgetSpec()), sink=Kept(cache, Recording()), prices={})
            answers = [await Cached(paid, cache, sink, {}).complete(request) for _ in range(2)]
        assert [type(event) for event in sink.events] == [CallSaved]
        return [answer.text for answer in answers]

    assert asyncio.run(main()) == ["fine", "fine"]
    process.communicate("go\n")


def test_a_caller_that_is_cancelled_while_it_waits_claims_nothing(tmp_path):
    process = child(HOLDS, str(tmp_path / "claims"), KEY)

    async def main() -> bool:
        claims = Claims(tmp_path / "claims")
        waits = asyncio.create_task(claims.take(KEY))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        process.communicate("go\n")
        await claims.take(KEY)
        claims.give_back(KEY)
        claims.close()
        return waits.cancelled()

    assert asyncio.run(main())
