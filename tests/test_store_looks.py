import threading
from dataclasses import replace

import pytest

from optimizer.errors import StoreError
from optimizer.store.looks import Look, count_look, ledger, look_at, looks
from tests.sample_run import SEED, WINNER, meta

LOOK = Look(split="rows", baseline="a", winner="b", model="m", metrics="x")


def test_looks_are_counted_by_the_rows(tmp_path):
    assert count_look(tmp_path, LOOK) == 1
    assert count_look(tmp_path, replace(LOOK, winner="c")) == 2
    assert count_look(tmp_path, replace(LOOK, split="other rows")) == 1
    assert count_look(tmp_path, replace(LOOK, winner="d")) == 3
    assert [look.winner for look in looks(tmp_path, "rows")] == ["b", "c", "d"]


def test_the_same_pair_is_no_new_look(tmp_path):
    count_look(tmp_path, LOOK)
    count_look(tmp_path, replace(LOOK, winner="c"))
    assert count_look(tmp_path, LOOK, run="a resumed one") == 1
    assert count_look(tmp_path, replace(LOOK, baseline="b", winner="a")) == 1
    assert count_look(tmp_path, replace(LOOK, winner="c")) == 2
    assert len(looks(tmp_path, "rows")) == 2


@pytest.mark.parametrize("change", [{"model": "n"}, {"metrics": "y"}])
def test_another_model_or_metric_is_a_new_look(tmp_path, change):
    count_look(tmp_path, LOOK)
    assert count_look(tmp_path, replace(LOOK, **change)) == 2


def test_what_makes_a_look_of_a_run():
    look = look_at(meta(), SEED.fingerprint, WINNER.fingerprint)
    assert look.split == meta().splits["test"]
    assert look != look_at(replace(meta(), metrics={"equals": "2"}), SEED.fingerprint, WINNER.fingerprint)
    assert look != look_at(meta(model="other"), SEED.fingerprint, WINNER.fingerprint)
    assert look == look_at(replace(meta(), search={"seed": 7}), SEED.fingerprint, WINNER.fingerprint)


def test_a_line_that_a_kill_cut_short_counts_for_nothing(tmp_path):
    count_look(tmp_path, LOOK)
    with ledger(tmp_path).open("a", encoding="utf-8") as file:
        file.write('{"split": "rows", "base')
    assert len(looks(tmp_path, "rows")) == 1
    assert count_look(tmp_path, replace(LOOK, winner="c")) == 2
    assert ledger(tmp_path).read_text(encoding="utf-8").count("\n") == 2
    assert len(looks(tmp_path, "rows")) == 2


@pytest.mark.parametrize("garbage", ["garbage", "[" * 100_000], ids=["text", "depth"])
def test_a_damaged_line_is_named_and_no_look_forgotten(tmp_path, garbage):
    count_look(tmp_path, LOOK)
    count_look(tmp_path, replace(LOOK, winner="c"))
    ledger(tmp_path).write_text(f"{garbage}\n" + ledger(tmp_path).read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"looks.jsonl:1: damaged, not a look"):
        count_look(tmp_path, replace(LOOK, winner="d"))


def test_looks_at_the_same_time_get_numbers_of_their_own(tmp_path):
    seen = []

    def count(number):
        seen.append(count_look(tmp_path, replace(LOOK, winner=str(number))))

    threads = [threading.Thread(target=count, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 13))


def test_a_ledger_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ".optimizer").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="optimizer"):
        count_look(tmp_path, LOOK)
