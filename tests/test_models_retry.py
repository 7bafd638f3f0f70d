from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.utils import formatdate

import pytest

from optimizer.errors import FATAL, RETRYABLE, ErrorKind, ModelError, ProviderError
from optimizer.models.base import Request
from optimizer.models.faults import kind_of, one_line, retry_after
from optimizer.models.retry import FIRST_WAIT, LONGEST_WAIT, Retry, Timed, backoff
from optimizer.prompt import Message
from optimizer.testing.models import Answer, FunctionModel
from tests import virtual_time
from tests.virtual_time import now

ASK = Request(provider="openai", model="m", messages=(Message(role="user", content="Who?"),))


class Scripted(FunctionModel):
    """Gives answers in turn, the last one for ever; `times` holds when it was asked, `after` how long it takes."""

    def __init__(self, *answers: Answer, after: float = 0.0) -> None:
        super().__init__(self._next)
        self.left = list(answers)
        self.after = after
        self.times: list[float] = []

    async def _next(self, request: Request) -> Answer:
        self.times.append(now())
        await asyncio.sleep(self.after)
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def fault(kind: ErrorKind = ErrorKind.INTERNAL_SERVER, wait: float | None = None) -> ModelError:
    return ModelError(kind, f"host: {kind}", status=500, retry_after=wait)


def ask(model: Scripted, **settings: float) -> str | ModelError | ProviderError:
    async def main() -> str:
        retry = Retry(Timed(model, now), **settings)  # type: ignore[arg-type]
        return (await retry.complete(ASK)).text

    try:
        return virtual_time.run(main())
    except (ModelError, ProviderError) as error:
        return error


@pytest.mark.parametrize("retries", [0, 1, 5])
@pytest.mark.parametrize("kind", sorted(RETRYABLE))
def test_exactly_one_attempt_and_the_retries(kind, retries):
    model = Scripted(fault(kind))
    error = ask(model, retries=retries)
    assert isinstance(error, ModelError) and error.kind is kind
    assert error.attempts == len(model.requests) == 1 + retries


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - RETRYABLE))
def test_what_would_fail_again_is_not_repeated(kind):
    model = Scripted(fault(kind))
    error = ask(model)
    assert isinstance(error, ModelError) and error.attempts == len(model.requests) == 1


def test_fatal_kinds_are_never_retryable():
    assert not FATAL & RETRYABLE


def test_a_passing_fault_passes():
    model = Scripted(fault(), fault(ErrorKind.EMPTY), "Romeo")
    assert ask(model) == "Romeo"
    assert len(model.requests) == 3


def test_backoff_grows_and_is_a_function_of_key_and_attempt():
    waits = [backoff("key", attempt) for attempt in range(1, 12)]
    assert waits == [backoff("key", attempt) for attempt in range(1, 12)]
    for number, wait in enumerate(waits):
        whole = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
        assert whole / 2 <= wait < whole
    assert len({backoff(f"key {number}", 1) for number in range(20)}) == 20


@pytest.mark.parametrize("wait", [1.0, 5.0, 200.0, 900.0])
def test_a_wait_that_is_asked_for_is_kept_even_past_the_deadline(wait):
    model = Scripted(fault(ErrorKind.RATE_LIMIT, wait), "Romeo")
    assert ask(model, deadline=120) == "Romeo"
    assert model.times == [0.0, pytest.approx(wait)]


def test_a_wait_of_nothing_is_the_backoff():
    model = Scripted(fault(ErrorKind.RATE_LIMIT, 0.0), "Romeo")
    assert ask(model) == "Romeo"
    assert model.times[1] == pytest.approx(backoff(ASK.key, 1))


def test_a_wait_of_hours_pauses_the_run():
    error = ask(Scripted(fault(ErrorKind.RATE_LIMIT, 20_000.0)))
    assert isinstance(error, ProviderError)
    assert "20000 s" in str(error)


def test_a_call_that_hangs_gets_a_second_chance_within_the_deadline():
    model = Scripted("too late", after=1e6)
    error = ask(model, deadline=60)
    assert isinstance(error, ModelError) and error.kind is ErrorKind.TIMEOUT
    assert len(model.times) == 2
    assert model.times[1] == pytest.approx(30 + backoff(ASK.key, 1))


def test_without_retries_one_attempt_may_take_the_whole_deadline():
    assert ask(Scripted("slow", after=119), deadline=120, retries=0) == "slow"


def test_the_deadline_holds_over_all_attempts():
    model = Scripted(fault(), after=25)
    error = ask(model, deadline=60, retries=10)
    assert isinstance(error, ModelError)
    assert model.times[-1] < 60 and len(model.times) == 3


def test_nothing_is_sent_again_while_the_first_is_alive():
    alive = 0
    most = 0

    async def hang(request: Request) -> str:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        try:
            await asyncio.sleep(1e6)
        finally:
            alive -= 1
        return "never"

    async def main() -> None:
        with pytest.raises(ModelError):
            await Retry(Timed(FunctionModel(hang), now), deadline=10).complete(ASK)

    virtual_time.run(main())
    assert most == 1


AT = 1_800_000_000.0
DATES: Sequence[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "1"}, 1.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "200"}, 200.0),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "abc"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
    ({"retry-after": formatdate(AT + 30, usegmt=True)}, 30.0),
    ({"retry-after": formatdate(AT - 30, usegmt=True)}, None),
    ({"retry-after": "Tue, 99 Foo 2026 99:99:99 GMT"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), DATES)
def test_every_form_of_retry_after(headers, seconds):
    assert retry_after(headers, AT) == seconds


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, ErrorKind.BAD_REQUEST),
        (402, None, ErrorKind.INSUFFICIENT_QUOTA),
        (408, None, ErrorKind.TIMEOUT),
        (413, None, ErrorKind.BAD_REQUEST),
        (429, "rate_limit_exceeded", ErrorKind.RATE_LIMIT),
        (429, "insufficient_quota", ErrorKind.INSUFFICIENT_QUOTA),
        (400, "content_filter", ErrorKind.CONTENT_FILTER),
        (504, None, ErrorKind.INTERNAL_SERVER),
    ],
)
def test_what_a_status_means(status, code, kind):
    assert kind_of(status, code) is kind


def test_a_provider_s_words_become_one_harmless_line():
    shown = one_line("No\r\nkey \x1b[31msk-abcdef123456 \u202e or s3cret-value" + "x" * 999, ["s3cret-value"])
    assert "\n" not in shown and "\x1b" not in shown and "\u202e" not in shown
    assert "abcdef" not in shown and "s3cret" not in shown
    assert len(shown) == 300
