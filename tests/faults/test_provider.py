"""What a provider does to a run: rate limits, refusals, bad answers, silence, an end of service, the end of a budget.

Waits of minutes are tested in virtual time (tests/test_models_gate.py); here are real commands and real sockets.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from optimizer.testing.faults import RATE_LIMITS, Fault, Script, Seen, always, asking, in_turn, parse_fault, refuse
from tests.faults.lab import RUN, Ended, Lab, lab

SHORT_LIMITS = [fault for fault in RATE_LIMITS if fault.headers.get("Retry-After") != "200"]
"""A limit of minutes is honoured in virtual time."""


def some(share: int, faults: Iterable[Fault], attempts: int = 2) -> Script:
    """For the first attempts of about one key in `share`; each fault has its turn."""
    kinds = list(faults)

    def script(seen: Seen) -> Fault | None:
        drawn = int(seen.key[:8], 16)
        hit = drawn % share == 0 and seen.attempt <= attempts
        return kinds[(drawn // share + seen.attempt) % len(kinds)] if hit else None

    return script


def held(here: Lab) -> list[Mapping[str, Any]]:
    """What the run's log says of calls that were held back."""
    lines = (here.folder / "runs" / RUN / "log.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "held"]


def setting(here: Lab, old: str, new: str) -> None:
    """Change the eval file."""
    text = here.eval_file.read_text("utf-8")
    assert old in text
    here.eval_file.write_text(text.replace(old, new), "utf-8")


def attempts_of(here: Lab) -> Counter[str]:
    return Counter(seen.key for seen in here.meter.log)


def unscored(done: Ended) -> list[Mapping[str, str]]:
    return [error for split in done.json["splits"].values() for error in split["errors"]]


def test_a_storm_of_rate_limits_changes_no_score(tmp_path: Path) -> None:
    with lab(tmp_path, faults=some(16, SHORT_LIMITS, attempts=1)) as here:
        done = here.run()
        here.check(done, code=0, same=True, says="rate limited, concurrency ")
        assert set(here.meter.stats()["faults"]) == {"429"}
        assert any(re.fullmatch(r"rate limited, concurrency \d+ -> \d+.*", line["why"]) for line in held(here))


def test_nobody_calls_before_the_time_that_was_asked_for(tmp_path: Path) -> None:
    faults = in_turn(*[None] * 9, refuse(429, retry_after="2"))
    with lab(tmp_path, rows=24, concurrency=4, latency=0.02, faults=faults) as here:
        done = here.eval()
        here.check(done, code=0, says="resumes in 2 s")
        (refused,) = [seen for seen in here.meter.log if seen.fault]
        assert refused.ended is not None
        waits = [seen.at - refused.ended for seen in here.meter.log if seen.at > refused.ended]
        assert waits and not [wait for wait in waits if 1.0 < wait < 1.95], "those that had left before are no matter"
        assert done.json["calls"] == {"paid": 18, "saved": 0, "failed": 1} and unscored(done) == []


def test_an_account_out_of_credit_pauses_the_run_at_once(tmp_path: Path) -> None:
    faults = in_turn(*[None] * 10, *[refuse(429, code="insufficient_quota")] * 50)
    with lab(tmp_path, concurrency=4, faults=faults) as here:
        done = here.run()
        here.check(done, code=6, says=("429 scripted refusal", "add credit to the account", "10 answers kept"))
        assert len(here.meter.log) <= 10 + here.concurrency, "those that were out, and no more"
        assert max(attempts_of(here).values()) == 1
        here.meter.faults = None
        here.check(here.run(), code=0, same=True)


def test_a_provider_that_is_down_from_the_start_gets_few_requests(tmp_path: Path) -> None:
    with lab(tmp_path, faults=always(refuse(503))) as here:
        done = here.run()
        advice = "failures in a row); the run is paused: resume once the provider is back"
        here.check(done, code=6, says=(advice, "go on with: optimizer run", "127.0.0.1:"))
        assert 1 <= len(here.meter.log) <= max(10, here.concurrency)
        assert "verdict" not in done.out + done.err, "no success with the seed"


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12) as here:
        setting(here, here.meter.base_url, "http://127.0.0.1:9/v1")
        done = here.run()
        assert done.code == 6 and "127.0.0.1:9: cannot be reached: Connection refused" in done.err
        assert "Traceback" not in done.err and not here.meter.log


def test_a_short_outage_is_ridden_out(tmp_path: Path) -> None:
    failed: list[float] = []

    def outage(seen: Seen) -> Fault | None:
        if seen.index < 60:
            return None
        failed.append(seen.at)
        # However slow the machine is: all that are out fail, and so does the first that tries again.
        return refuse(503) if len(failed) <= 16 or seen.at - failed[15] < 1.0 else None

    with lab(tmp_path, faults=outage) as here:
        done = here.run()
        here.check(done, code=0, same=True, says="no answer (127.0.0.1:")
        faults = here.meter.stats()["faults"]["503"]
        assert here.concurrency <= faults <= 2 * here.concurrency, "the first wave, then one call a rest"
        assert any("gives up after 2" in line["why"] for line in held(here))


BAD = {
    "cut": ("malformed", "not JSON"),
    "html": ("malformed", "not JSON: <html>"),
    "garbage/size=100000": ("malformed", "not JSON"),
    "array": ("malformed", "not a chat completion"),
    "content-number": ("malformed", "not a chat completion"),
    "empty": ("empty", "empty answer"),
    "null": ("empty", "empty answer"),
    "length": ("cut_off", "the answer was cut off after"),
    "filter": ("content_filter", "filter held the answer back"),
    "refusal": ("content_filter", "filter held the answer back"),
}
"""Replies that cannot be used: (kind, what the user is told)."""
LASTING = ("length", "filter", "refusal")
"""Those that would come again, so that they are not asked for again."""


@pytest.fixture(scope="module")
def bad_answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An eval of which each bad answer hits one row, every time that it is asked."""
    rows = list(BAD)

    def script(seen: Seen) -> Fault | None:
        text = str(seen.body["messages"])
        number = next(index for index, review in enumerate(reviews) if review in text)
        return parse_fault(rows[number]) if number < len(rows) else None

    with lab(tmp_path_factory.mktemp("bad"), rows=24, faults=script) as here:
        lines = (here.folder / "evals" / "rows.jsonl").read_text("utf-8").splitlines()
        reviews = [json.dumps(json.loads(line)["review"])[1:-1][:40] for line in lines]
        found = [json.loads(line) | {"split": "train" if n < 12 else "test"} for n, line in enumerate(lines)]
        found[-1]["split"] = "val"
        reviews = [row["review"][:40] for row in found]
        (here.folder / "evals" / "rows.jsonl").write_text("\n".join(map(json.dumps, found)) + "\n", "utf-8")
        done = here.eval()
        here.check(done, code=0)
        yield here, done, [row["id"] for row in found]


@pytest.mark.parametrize("form", BAD)
def test_a_bad_answer_is_an_error_of_its_row(bad_answers: Any, form: str) -> None:
    here, done, ids = bad_answers
    row = ids[list(BAD).index(form)]
    kind, words = BAD[form]
    (error,) = [error for error in unscored(done) if error["row"] == row]
    assert error["kind"] == kind and words in error["message"]
    asked = [seen for seen in here.meter.log[: done.seen] if seen.fault == form.partition("/")[0]]
    assert len(asked) == (1 if form in LASTING else 6), "bounded, and each on the bill"


def test_bad_answers_are_told_and_never_kept(bad_answers: Any) -> None:
    here, done, _ = bad_answers
    assert [split["n"] for split in done.json["splits"].values()] == [12 - len(BAD), 1], "no silent zero"
    before, script = len(here.meter.log), here.meter.faults
    here.meter.faults = lambda seen: fault if (fault := script(seen)) and fault.form in LASTING else None
    again = here.command("eval")
    assert again.code == 0 and len(here.meter.log) - before == len(BAD), "bad ones are asked again, good ones are not"
    assert len(re.findall(r"(?m)^ *row review-\d+: .*(cut off after|held the answer back)", again.out)) == len(LASTING)
    assert "rows that are not scored, and why" in again.out and "3 failed" in again.out
    here.meter.faults = None
    mended = here.eval()
    assert mended.code == 0 and unscored(mended) == []
    assert mended.json["calls"] == {"paid": len(LASTING), "saved": 13 - len(LASTING), "failed": 0}


def test_silence_ends_at_the_deadline_and_nothing_is_sent_twice_at_once(tmp_path: Path) -> None:
    faults = [parse_fault(form) for form in ("hang", "half-open", "trickle/every=0.2")]
    with lab(tmp_path, rows=12, more="timeout: 4\n", faults=in_turn(None, None, *faults)) as here:
        done = here.eval()
        here.check(done, code=0)
        assert unscored(done) == [] and done.json["calls"]["failed"] == 3
        late = [seen for seen in here.meter.log if seen.fault]
        for first in late:
            (second,) = [seen for seen in here.meter.log if seen.key == first.key and seen.index > first.index][:1]
            # The meter sees a request later than it was sent, by as much as the machine has other work.
            assert 3 < second.at - first.at < 40, "four seconds, and the wait before the next attempt"


def test_the_run_does_not_wait_for_a_row_that_never_comes(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, more="timeout: 1\n") as here:
        review = json.loads((here.folder / "evals" / "rows.jsonl").read_text("utf-8").splitlines()[0])
        here.meter.faults = asking(review["review"], always(Fault(form="hang")))
        done = here.command("eval", "--split", "train", "--split", "val", "--split", "test")
        assert done.code == 0
        assert re.search(rf"row {review['id']}: offline: no answer within \d\.\d s", done.out)
        asked = [seen for seen in here.meter.log if seen.fault]
        assert 2 <= len(asked) <= 3 and asked[-1].at - asked[0].at < 20, "two seconds in all, and nothing after"


def test_a_budget_is_never_passed_and_what_was_paid_is_kept(tmp_path: Path) -> None:
    calls = 150
    with lab(tmp_path, calls=calls, faults=some(6, [refuse(500)], attempts=1)) as here:
        done = here.run()
        assert len(here.meter.log) <= calls
        if done.code == 5:
            here.check(done, code=5, says=("budget of ", " calls is used up", "best so far on val: ", "answers kept"))
            setting(here, f"calls: {calls}", "calls: 600")
            here.check(here.run(), code=0)
        else:
            here.check(done, code=0, says="verdict: ")


def test_dollars_end_a_run_before_they_are_passed(tmp_path: Path) -> None:
    with lab(tmp_path, concurrency=4) as here:
        setting(here, "budget: {calls: 400}", "budget: {usd: 0.004, calls: 400}")
        done = here.run()
        here.check(done, code=5, says=("budget of 0.004 usd reached at 0.00", "raise budget.usd and resume"))
        met = here.meter.stats()
        assert (met["input_tokens"] + 2 * met["output_tokens"]) / 1e6 <= 0.004 + 4 * 2 * 300 / 1e6


def test_minutes_end_a_run_in_the_middle_of_a_long_wait(tmp_path: Path) -> None:
    faults = in_turn(*[None] * 20, *[refuse(429, retry_after="90")] * 50)
    with lab(tmp_path, faults=faults, concurrency=4) as here:
        setting(here, "budget: {calls: 400}", "budget: {minutes: 0.05, calls: 400}")
        began = time.monotonic()
        done = here.run()
        here.check(done, code=5, says=("budget of 0.05 minutes is used up", "raise budget.minutes and resume"))
        assert time.monotonic() - began < 60.0, "three seconds and what a run begins and ends with, not ninety"
        here.meter.faults = None
        setting(here, "minutes: 0.05, ", "")
        here.check(here.run(), code=0, same=True)


def test_dollars_without_a_price_are_refused(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12) as here:
        setting(here, "openai/offline", "openai/nobody-knows")
        setting(here, ", price: {input: 1.0, output: 2.0}", "")
        setting(here, "budget: {calls: 400}", "budget: {usd: 1}")
        done = here.run()
        here.check(
            done, code=2, says=("budget.usd needs a price, and none is known for openai/nobody-knows", "model.price")
        )
        assert not here.meter.log


def test_requests_a_minute_are_kept_and_shown(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12) as here:
        setting(here, "name: openai/offline,", "name: openai/offline, rpm: 240,")
        done = here.eval()
        here.check(done, code=0)
        times = sorted(seen.at for seen in here.meter.log)
        assert len(times) == 9 and times[-1] - times[0] > 1.0, "a quarter of a second each"
