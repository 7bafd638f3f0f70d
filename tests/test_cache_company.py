"""Who is alone with a cache locks nothing and looks for nothing, until somebody else comes."""

from __future__ import annotations

import asyncio
import os
import textwrap

import pytest

from optimizer.models.cache import CompletionCache, company, keys
from optimizer.models.cache.claims import Claims
from optimizer.models.cache.keys import Keys
from optimizer.results import Completion
from tests.test_cache_claims import HOLDS, KEY, child

ROMEO = Completion(text="Romeo")
OTHER = "cd" * 32
TAKES = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from optimizer.models.cache.claims import Claims

    async def main():
        claims = Claims(Path(sys.argv[1]))
        print("open", flush=True)
        await claims.take(sys.argv[2])
        print("taken", flush=True)

    asyncio.run(main())
    """
)
STORES = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from optimizer.models.cache import CompletionCache
    from optimizer.results import Completion

    async def main():
        async with CompletionCache(Path(sys.argv[1])) as cache:
            await cache.put(sys.argv[2], Completion(text="Romeo"))
    asyncio.run(main())
    print("stored", flush=True)
    """
)


def test_what_was_claimed_alone_is_locked_once_somebody_comes(tmp_path):
    async def main() -> None:
        claims = Claims(tmp_path / "claims")
        assert claims.alone()
        await claims.take(KEY)
        process = await asyncio.to_thread(child, TAKES, str(tmp_path / "claims"), KEY)
        assert process.stdout is not None
        taken = asyncio.create_task(asyncio.to_thread(process.stdout.readline))
        await asyncio.sleep(0.2)
        assert not claims.alone() and not taken.done()
        claims.give_back(KEY)
        assert await taken == "taken\n"
        await asyncio.to_thread(process.communicate)
        claims.close()

    asyncio.run(main())


def test_who_comes_second_sees_what_the_first_stored_and_the_other_way_round(tmp_path):
    async def main() -> None:
        async with CompletionCache(tmp_path) as cache:
            await cache.put(KEY, ROMEO)
            assert await cache.find(KEY) == ROMEO and await cache.find(OTHER) is None
            process = await asyncio.to_thread(child, STORES, str(tmp_path), OTHER)
            await asyncio.to_thread(process.communicate)
            assert await cache.find(OTHER) == ROMEO
        async with CompletionCache(tmp_path) as again:
            assert await again.find(KEY) == await again.find(OTHER) == ROMEO

    asyncio.run(main())


def test_who_was_killed_in_the_middle_of_a_call_keeps_nobody_waiting(tmp_path, monkeypatch):
    process = child(HOLDS, str(tmp_path / "claims"), KEY)
    process.kill()
    process.communicate()
    assert any((tmp_path / "claims").read_bytes()[8:16]), "it said that it is busy"
    monkeypatch.setattr(company, "_PATIENCE", 3600.0)

    async def main() -> None:
        claims = Claims(tmp_path / "claims")
        assert claims.alone()
        await claims.take(KEY)
        claims.close()

    asyncio.run(main())


def test_nobody_waits_for_ever_for_one_that_does_not_look_out(tmp_path, monkeypatch):
    monkeypatch.setattr(company, "_PATIENCE", 0.1)
    stopped = child(
        HOLDS.replace("await asyncio.to_thread(sys.stdin.readline)", "sys.stdin.readline()"),
        str(tmp_path / "claims"),
        KEY,
    )
    claims = Claims(tmp_path / "claims")
    assert not claims.alone()
    asyncio.run(claims.take(OTHER))
    claims.close()
    stopped.communicate("go\n")


def test_two_in_one_process_are_not_alone_and_the_end_of_one_leaves_the_locks_of_the_other(tmp_path):
    async def main() -> None:
        one, two = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
        assert not one.alone() and not two.alone()
        await one.take(KEY)
        two.close()
        process = await asyncio.to_thread(child, TAKES, str(tmp_path / "claims"), KEY)
        assert process.stdout is not None
        taken = asyncio.create_task(asyncio.to_thread(process.stdout.readline))
        await asyncio.sleep(0.2)
        assert not taken.done()
        one.close()
        assert await taken == "taken\n"
        await asyncio.to_thread(process.communicate)

    asyncio.run(main())
    assert not company._open


def test_the_last_one_closes_what_all_have_opened(tmp_path):
    before = len(os.listdir("/dev/fd"))
    several = [Claims(tmp_path / "claims") for _ in range(3)]
    for claims in several:
        claims.close()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("missing", ["fcntl.lockf", "mmap.mmap"])
def test_without_locks_or_shared_memory_nobody_is_alone_and_every_claim_is_granted(tmp_path, monkeypatch, missing):
    def refused(*_: object) -> None:
        raise OSError("no such thing here")

    monkeypatch.setattr(missing, refused)
    claims = Claims(tmp_path / "claims")
    assert not claims.alone()
    asyncio.run(claims.take(KEY))
    claims.close()


def test_a_file_of_many_keys_is_asked_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizer.models.cache.disk.MOST", 3)

    async def main() -> None:
        async with CompletionCache(tmp_path) as cache:
            for number in range(5):
                await cache.put(f"{number:064x}", ROMEO)
        async with CompletionCache(tmp_path) as cache:
            assert cache._keys is None
            assert [await cache.find(f"{number:064x}") for number in range(6)] == [ROMEO] * 5 + [None]

    asyncio.run(main())


def test_a_key_that_was_added_is_never_denied():
    known = [f"{number:064x}" for number in range(keys.MOST)]
    found = Keys(known)
    assert all(map(found.may_hold, known))
    wrong = sum(found.may_hold(f"{number:065x}") for number in range(10_000))
    assert wrong < 500, "about one in forty is taken for known"
