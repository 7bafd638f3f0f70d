"""Whether an account still answers: counts failures, says how long to rest, and when to give up.

Plain counting without a clock: what waits is `models/limit.py`.
"""

from __future__ import annotations

from optimizer.errors import FATAL, RETRYABLE, ErrorKind, ModelError, ProviderError

LEAST_FAILURES = 10
"""Straight failures that are always borne."""
RESTS = (0.0, 0.5, 2.0, 8.0) + (30.0,) * 9
"""Seconds that an account rests, at least, by how often it has rested in a row: some five minutes together.

A longer Retry-After wins. The first time it is refused for its rate, a cut of the concurrency may be enough.
"""
FIRST_RESTS = (0.0, 0.5, 2.0, 8.0, 20.0, 35.0)
"""The same while nothing was ever answered: a little more than the minute that limits are counted by."""
LEAST_REST = 0.5
"""Seconds that an account rests which does not answer at all."""

_ANSWERS = frozenset({ErrorKind.CUT_OFF, ErrorKind.CONTENT_FILTER})
"""Errors that only a provider in good health gives."""
_OF_A_ROW = frozenset({ErrorKind.EMPTY, ErrorKind.BAD_REQUEST, ErrorKind.UNPROCESSABLE_ENTITY})
"""Errors that are a row's or a candidate's fault where others were answered, and a mistake in the setup otherwise."""
_ADVICE = {
    ErrorKind.AUTHENTICATION: "check the API key and resume",
    ErrorKind.PERMISSION_DENIED: "check what the API key may do and resume",
    ErrorKind.NOT_FOUND: "check the model's name and base_url and resume",
    ErrorKind.INSUFFICIENT_QUOTA: "add credit to the account and resume",
    ErrorKind.RATE_LIMIT: "lower concurrency, or resume later",
    ErrorKind.BAD_REQUEST: "check the model's parameters and resume",
    ErrorKind.UNPROCESSABLE_ENTITY: "check the model's parameters and resume",
    ErrorKind.EMPTY: "check the model's name and parameters and resume",
    ErrorKind.CONNECTION: "check base_url and the network and resume",
    ErrorKind.MALFORMED: "check that base_url speaks the OpenAI protocol and resume",
}


class Health:
    """What is known of one account.

    - One fault that every call would meet ends the run at once.
    - An account that has answered before and then fails `most` times in a row rests, and one call alone tries whether
      it is back. After the last of the rests the run ends. One that never answered ends the run without a rest.
    - An account that refuses for its rate rests as well, each time that what was sent after the last refusal is
      refused again.
    """

    def __init__(self, *, concurrency: int) -> None:
        self._most = max(LEAST_FAILURES, concurrency)
        self._failures = 0
        self._rests = 0
        self._answered_before = False
        self._refused = False
        self._broken: str | None = None
        self.trying = False
        """Whether one call alone may be out, to try whether the account is back."""

    @property
    def room(self) -> int:
        """Calls that may be out: while failures mount no more than failures are left, so `most` bounds them all."""
        return 1 if self.trying else self._most - self._failures

    @property
    def patience(self) -> float:
        """Seconds of rest that are left before the run ends, where nothing is answered meanwhile."""
        return sum(self._schedule[self._rests :])

    @property
    def answered_before(self) -> bool:
        """Whether the account has ever answered."""
        return self._answered_before

    def check(self) -> None:
        """Raise ProviderError once the run has to end."""
        if self._broken is not None:
            raise ProviderError(self._broken)

    def answered(self, *, age: int) -> bool:
        """A call was answered; whether that ends the rest that goes on.

        Args:
            age: rests that began since the call left: 0 for one that left after the last of them began.
        """
        self._answered_before = True
        if age == 0:
            self._failures = self._rests = 0
            self.trying = False
        elif age == 1 and self._refused and self._rests > 1:
            # Of the calls that left together one was refused and this one was not: so not all are.
            self._rests = 1
            self.trying = False
            return True
        return False

    def failed(self, error: ModelError, *, age: int) -> float | None:
        """A call failed: seconds to rest from now on, at least, or None where no rest begins. `age` as for an answer.

        Raises ProviderError where the run has to end, or had to before.
        """
        if error.kind in FATAL:
            self._break(error, "")
        self.check()
        if error.kind in _ANSWERS or (error.kind in _OF_A_ROW and self._answered_before):
            self.answered(age=age)
            return None
        if age > 0:
            # It left before the rest began, and says nothing of how things are now.
            return None
        self._refused = error.kind is ErrorKind.RATE_LIMIT
        if self._refused:
            return self._rest(error, 0.0)
        self._failures += 1
        if not self.trying and self._failures < self._most:
            return None
        if error.kind not in RETRYABLE or not self._answered_before:
            self._break(error, f" ({self._failures} failures in a row)")
        self.trying = True
        return self._rest(error, LEAST_REST)

    @property
    def _schedule(self) -> tuple[float, ...]:
        return RESTS if self._answered_before else FIRST_RESTS

    def _rest(self, error: ModelError, least: float) -> float:
        if self._rests >= len(self._schedule):
            again = "refused" if error.kind is ErrorKind.RATE_LIMIT else "failed"
            self._break(error, f" ({again} again after each of {self._rests} rests)")
        # The first refusal may be over with a cut of the concurrency; after that, one call tries for all.
        self.trying = self.trying or self._rests > 0
        self._rests += 1
        return max(self._schedule[self._rests - 1], least)

    def _break(self, error: ModelError, how_often: str) -> None:
        if self._broken is None:
            advice = _ADVICE.get(error.kind, "resume once the provider is back")
            self._broken = f"{error.message}{how_often}; the run is paused: {advice}"
        raise ProviderError(self._broken) from error
