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
LEARNS_ROWS = 1 / 16
"""Weight of the latest answer in how often an answer is followed by a refusal."""
LEARNS_ALL = 1 / 32
"""Weight of the latest call in how many are refused."""
BY_CHANCE = 0.001
"""Chance of a row of refusals down to which it is put down to chance."""
MOST_BORNE = 12
"""Refusals in a row that are put down to chance, at most."""
MOST_REFUSED = 0.5
"""Share of calls refused up to which anything is put down to chance: beyond, repeats alone would not do."""

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
    - An account that refuses for its rate rests as well, once it refuses more calls in a row than chance explains.
      Some accounts refuse now and then, whatever is sent. How often an answer is followed by a refusal says how long
      a row of refusals may then be. A limit that is reached refuses in long rows with many answers between: there
      the second refusal is news. A row goes by when calls left: each was sent after the refusal before.
    """

    def __init__(self, *, concurrency: int) -> None:
        self._concurrency = concurrency
        self._most = max(LEAST_FAILURES, concurrency)
        self._failures = 0
        self._rests = 0
        self._row = 0
        # How often an answer is followed by a refusal, and how many of all calls are refused.
        self._by_chance = self._all = 0.0
        # Whether both are nothing, and there is no failure to forget: then an answer is no news.
        self._calm = True
        self._answered_before = False
        self._refused = False
        self._broken: str | None = None
        self.trying = False
        """Whether one call alone may be out, to try whether the account is back."""
        self.room = self._most
        """Calls of the present episode that may be out.

        While failures mount, no more than failures are left, so `most` bounds them all. While refusals do, half as
        many after each, since all that are out may be refused.
        """

    @property
    def patience(self) -> float:
        """Seconds of rest that are left before the run ends, where nothing is answered meanwhile."""
        return sum(self._schedule[self._rests :])

    @property
    def answered_before(self) -> bool:
        """Whether the account has ever answered."""
        return self._answered_before

    @property
    def alone(self) -> bool:
        """Whether the last refusal is the only one in its row."""
        return self._row < 2

    @property
    def borne(self) -> int:
        """Refusals in a row that are put down to chance: at least the first."""
        if self._all > MOST_REFUSED:
            return 1
        row, chance = 1, self._by_chance
        while chance > BY_CHANCE and row < MOST_BORNE:
            row, chance = row + 1, chance * self._by_chance
        return row

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
        if self._calm:
            return False
        self._all -= LEARNS_ALL * self._all
        if age == 0:
            self._lives(1)
            self._calm = self._by_chance < BY_CHANCE and self._all < BY_CHANCE
        elif self._refused and age < self._row:
            # It left before as many refusals as it is old, and was not refused: the row is no longer than that.
            self._row_ends()
            self._row = age
            ended = self.trying and age <= self.borne
            if ended:
                self._rests, self.trying = 1, False
            self.room = self._room()
            return ended
        return False

    def unrefused(self) -> bool:
        """The calls that are out were not refused so far: whether one more may leave now, without an answer."""
        if self.trying or self._row < 2 or self.room >= self._most - self._failures:
            return False
        self.room += 1
        return True

    def failed(self, error: ModelError, *, age: int, held: int = 0) -> float | None:
        """A call failed: seconds to rest from now on, at least, or None where no rest begins.

        Raises ProviderError where the run has to end, or had to before.

        Args:
            error: its fault.
            age: as for an answer.
            held: calls that left after the last refusal and before this one, and would have been refused by now.
        """
        if error.kind in FATAL:
            self._break(error, "")
        self.check()
        if error.kind is ErrorKind.RATE_LIMIT:
            self._calm = False
            self._all += LEARNS_ALL * (1 - self._all)
        if error.kind in _ANSWERS or (error.kind in _OF_A_ROW and self._answered_before):
            self.answered(age=age)
            return None
        if age > 0:
            # It left before the rest began, and says nothing of how things are now.
            return None
        self._calm = False
        self._refused = error.kind is ErrorKind.RATE_LIMIT
        if self._refused:
            return self._refuse(error, held)
        self._failures += 1
        if not self.trying and self._failures < self._most:
            self.room = self._room()
            return None
        if error.kind not in RETRYABLE or not self._answered_before:
            self._break(error, f" ({self._failures} failures in a row)")
        self.trying, self.room = True, 1
        return self._rest(error, LEAST_REST)

    def _refuse(self, error: ModelError, held: int) -> float:
        if held and self._all <= MOST_REFUSED:
            self._lives(held)
        self._row += 1
        # The first refusal may be over with a cut of the concurrency. Beyond chance, one call tries for all.
        self.trying = self.trying or self._row > self.borne
        self.room = self._room()
        if self.trying:
            return self._rest(error, 0.0)
        self._rests = 1
        return 0.0

    def _lives(self, calls: int) -> None:
        """So many calls were not refused: whatever row there was has ended."""
        if self._row:
            self._row_ends()
            calls -= 1
        self._by_chance *= (1 - LEARNS_ROWS) ** calls
        self._row = self._rests = self._failures = 0
        self.trying, self.room = False, self._most

    def _row_ends(self) -> None:
        self._by_chance += LEARNS_ROWS * (1 - self._by_chance)

    def _room(self) -> int:
        if self.trying:
            return 1
        left = self._most - self._failures
        return left if self._row < 2 else min(max(self._concurrency >> self._row - 1, 1), left)

    @property
    def _schedule(self) -> tuple[float, ...]:
        return RESTS if self._answered_before else FIRST_RESTS

    def _rest(self, error: ModelError, least: float) -> float:
        if self._rests >= len(self._schedule):
            again = "refused" if error.kind is ErrorKind.RATE_LIMIT else "failed"
            self._break(error, f" ({again} again after each of {self._rests} rests)")
        self._rests += 1
        return max(self._schedule[self._rests - 1], least)

    def _break(self, error: ModelError, how_often: str) -> None:
        if self._broken is None:
            advice = _ADVICE.get(error.kind, "resume once the provider is back")
            self._broken = f"{error.message}{how_often}; the run is paused: {advice}"
        raise ProviderError(self._broken) from error
