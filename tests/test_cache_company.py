"""Who is alone with a cache locks nothing and looks for nothing, until somebody else comes."""

from __future__ import annotations

import asyncio
import errno
import os
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from optimizer.errors import StoreError
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


@pytest.mark.parametrize("missing", ["fcntl.lockf", "os.pread", "os.pwrite"])
def test_without_locks_or_a_file_to_share_nobody_is_alone_and_every_claim_is_granted(tmp_path, monkeypatch, missing):
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


@pytest.mark.parametrize("harm", ["cut", "cut short", "overwritten", "deleted", "replaced"])
def test_a_file_that_is_harmed_while_it_is_open_ends_being_alone_and_nothing_else(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(company, "_PATIENCE", 0.1)
    path = tmp_path / "claims"

    async def main() -> None:
        claims = Claims(path)
        await claims.take(KEY)
        if harm.startswith("cut"):
            os.truncate(path, 3 if harm == "cut short" else 0)
        elif harm == "overwritten":
            path.write_bytes(b"x" * 4096)
        else:
            path.unlink()
            if harm == "replaced":
                path.write_bytes(b"")
        async with asyncio.timeout(60):
            while claims.alone():
                await asyncio.sleep(0.01)
        await claims.take(OTHER)
        claims.give_back(KEY)
        late = Claims(path)
        await late.take(OTHER)
        assert not claims.alone(), "not again either, once somebody else has come"
        late.close()
        claims.close()

    asyncio.run(main())


def test_a_kill_with_two_others_there_keeps_nobody_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(company, "_PATIENCE", 3600.0)
    path = str(tmp_path / "claims")
    killed = child(HOLDS.replace("await asyncio.to_thread(sys.stdin.readline)", "sys.stdin.readline()"), path, KEY)
    waits = "import sys; from pathlib import Path; from optimizer.models.cache import claims, company\n"
    waits += "print('begins', flush=True); company._PATIENCE = 3600.0; claims.Claims(Path(sys.argv[1]))\n"
    waits += "print('came', flush=True); sys.stdin.readline()"
    others = [child(waits, path) for _ in range(2)]
    time.sleep(0.2)
    killed.kill()
    killed.communicate()
    for other in others:
        assert other.stdout is not None and other.stdout.readline() == "came\n"
    late = Claims(tmp_path / "claims")
    late.close()
    for other in others:
        other.communicate("go\n")


def test_what_one_gives_back_stays_locked_for_the_other_of_the_same_process(tmp_path):
    async def main() -> None:
        one, two = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
        await one.take(KEY)
        await two.take(KEY)
        two.give_back(KEY)
        process = await asyncio.to_thread(child, TAKES, str(tmp_path / "claims"), KEY)
        assert process.stdout is not None
        taken = asyncio.create_task(asyncio.to_thread(process.stdout.readline))
        await asyncio.sleep(0.2)
        still = not taken.done()
        one.give_back(KEY)
        assert await taken == "taken\n" and still
        await asyncio.to_thread(process.communicate)
        one.close()
        two.close()

    asyncio.run(main())


def test_a_caller_that_is_cancelled_keeps_its_claim_until_its_answer_is_durable(tmp_path, monkeypatch):
    async def main() -> None:
        async with CompletionCache(tmp_path) as cache:
            commit, may = cache._writer._commit, threading.Event()
            monkeypatch.setattr(cache._writer, "_commit", lambda rows: (may.wait(), commit(rows)))

            async def call() -> None:
                async with cache.claimed(KEY):
                    await cache.put(KEY, ROMEO)

            task = asyncio.create_task(call())
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            held = dict(cache._claims._held)
            may.set()
            await cache.settled(KEY)
            await asyncio.sleep(0)
            assert held == {KEY: 1} and not cache._claims._held

    asyncio.run(main())


def test_threads_that_come_and_go_close_nothing_that_another_has(tmp_path):
    before = len(os.listdir("/dev/fd"))

    def come_and_go() -> None:
        for _ in range(5):
            claims = Claims(tmp_path / "claims")
            asyncio.run(claims.take(KEY))
            claims.close()
            claims.give_back(KEY)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(come_and_go) for _ in range(4)]:
            done.result()
    assert not company._open and len(os.listdir("/dev/fd")) == before


def test_a_disk_that_takes_no_name_keeps_nobody_waiting(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        claims = Claims(tmp_path / "claims")
    assert not claims.alone()
    comes = "import sys; from pathlib import Path; from optimizer.models.cache import claims, company\n"
    comes += "company._PATIENCE = 3600.0; claims.Claims(Path(sys.argv[1])); print('came', flush=True)"
    child(comes, str(tmp_path / "claims")).communicate()
    claims.close()


def test_a_cache_that_cannot_be_opened_is_nobodys_company(tmp_path):
    (tmp_path / "newest").mkdir()
    with pytest.raises(StoreError):
        CompletionCache(tmp_path)
    assert not company._open
