"""The checks of a gate.

A row with an error is neither right nor wrong: a check passes only where it would pass whatever such rows had come to,
and says so where they decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from optimizer.errors import GainNotShown, GateError
from optimizer.gate.evidence import Evidence, Row, failing, regressed, unscored
from optimizer.intervals import EPSILON, effective_rows, wilson
from optimizer.outcome import Verdict
from optimizer.report.wording import count, counted, money, percent
from optimizer.stats import bundles_of

ERROR_SHARE = 0.2
"""Part of the rows that may end in an error, where nothing else is asked: a run stops at the same share."""
GAIN = "gain"
"""The check that has an exit code of its own."""


class Status(StrEnum):
    """How a check came out."""

    PASSED = "passed"
    """It holds, whatever the rows without a score would have come to."""
    FAILED = "failed"
    """It does not hold, whatever they would have come to."""
    CANNOT_SAY = "cannot say"
    """The rows without a score decide, or what is needed is not known: never a pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What is asked for. None asks for nothing."""

    min_score: float | None = None
    """Least mean score of the new prompt, in [0, 1]."""
    require_gain: bool = False
    """The verdict has to be GAIN SHOWN."""
    max_regressions: int | None = None
    """Most rows that passed with the old prompt and fail with the new one."""
    max_cost_increase: float | None = None
    """Most percent by which a call may cost more; below zero it has to cost less."""
    max_errors: int | None = None
    """Most rows without a score; None is one in five."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check and how it came out."""

    name: str
    """`min-score`, `gain`..."""
    status: Status
    """How it came out."""
    text: str
    """The figure, what was asked and what was used: words of ours alone."""
    quoted: str = ""
    """What others said: a verdict's reason, which names rows, or the error that stopped the run. Hostile text."""
    figure: float | None = None
    """What was measured; None where nothing was."""
    limit: float | None = None
    """What was asked for; None where that is no number."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest that the figure could be, were the rows without a score known."""
    ci: tuple[float, float] | None = None
    """95% interval of the figure."""
    unit: str = ""
    """`usd` or `tokens`, for the cost."""

    @property
    def told(self) -> str:
        """Text and quotation in one."""
        return f"{self.text}: {self.quoted}" if self.quoted else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """All checks of one prompt."""

    evidence: Evidence
    """What was judged."""
    checks: tuple[Check, ...]
    """In the order in which they are told."""

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not pass."""
        return tuple(check for check in self.checks if check.status is not Status.PASSED)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    def marked(self, check: Check) -> str:
        """What a check tells; a figure that no real model gave says so."""
        return f"{check.told}{self.evidence.mark if check.figure is not None else ''}"

    @property
    def exit_code(self) -> int:
        """0 passed, 4 where the gain alone is missing, else 3."""
        if self.passed:
            return 0
        return GainNotShown.exit_code if {check.name for check in self.failed} == {GAIN} else GateError.exit_code

    def require(self) -> None:
        """Raise GateError or GainNotShown unless every check passed."""
        if self.passed:
            return
        told = "; ".join(f"{check.name} {check.status}: {check.told}" for check in self.failed)
        raise (GainNotShown if self.exit_code == GainNotShown.exit_code else GateError)(f"gate failed: {told}")


def judge(evidence: Evidence, limits: Limits) -> Gate:
    """Hold limits against the evidence. A run that has not ended or was BLOCKED, and a shown loss, never pass."""
    return Gate(evidence=evidence, checks=tuple(_checks(evidence, limits)))


def _checks(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    if evidence.run:
        yield from _of_run(evidence, required=limits.require_gain)
    yield _errors(evidence, limits.max_errors)
    if limits.min_score is not None:
        yield _score(evidence, limits.min_score)
    if limits.max_regressions is not None:
        yield _regressions(evidence, limits.max_regressions)
    if limits.max_cost_increase is not None:
        yield _cost(evidence, limits.max_cost_increase)


def _of_run(evidence: Evidence, *, required: bool) -> Iterator[Check]:
    """What every run is held to, and the gain."""
    if evidence.verdict is None:
        told = f"the run is {evidence.status}, and nothing can be said of its prompt until it has ended"
        yield Check(name="finished", status=Status.CANNOT_SAY, text=told, quoted=evidence.failure)
    else:
        yield Check(name="finished", status=Status.PASSED, text="the run has ended")
    if evidence.edited:
        told = "the prompt's file says something else than what was measured: run or eval it as it is now"
        yield Check(name="measured", status=Status.FAILED, text=told)
    if evidence.verdict is Verdict.BLOCKED:
        yield Check(name="protected", status=Status.FAILED, text=str(evidence.verdict), quoted=evidence.reason)
    elif evidence.verdict is not None:
        yield Check(name="protected", status=Status.PASSED, text="no protected row broke")
    if required or evidence.verdict not in (None, Verdict.BLOCKED):
        yield _gain(evidence, required=required)


def _gain(evidence: Evidence, *, required: bool) -> Check:
    """A shown loss never passes; a shown gain is asked for where that is wanted."""
    verdict, compared = evidence.verdict, evidence.compared
    if verdict in (None, Verdict.BLOCKED):
        told = "a shown gain is asked for, and the run claims nothing of a gain"
        return Check(name=GAIN, status=Status.CANNOT_SAY, text=told)
    passed = verdict is Verdict.GAIN_SHOWN if required else verdict is not Verdict.WORSE
    return Check(
        name=GAIN,
        status=Status.PASSED if passed else Status.FAILED,
        text=f"{verdict} ({'a shown gain is asked for' if required else 'only a shown loss would fail'})",
        quoted=evidence.reason,
        figure=None if compared is None else compared.gain,
        ci=None if compared is None else compared.ci,
    )


def _errors(evidence: Evidence, most: int | None) -> Check:
    rows = len(evidence.rows)
    limit = math.floor(ERROR_SHARE * rows) if most is None else most
    lost = len(unscored(evidence.rows))
    asked = f"at most {limit:,} may" + (" (one in five)" if most is None else "")
    told = f"{lost:,} of {_rows(evidence, rows)} ended in an error or were not asked; {asked}"
    if not rows:
        told = "no row was asked"
    passed = lost <= limit and rows > 0
    status = Status.PASSED if passed else Status.CANNOT_SAY
    return Check(name="errors", status=status, text=told, figure=lost, limit=limit)


def _score(evidence: Evidence, least: float) -> Check:
    """The mean score of the new prompt over rows that have one, held against the least that is asked for."""
    rows_of = {str(number): row for number, row in enumerate(evidence.rows)}
    scores = {key: row.after.score for key, row in rows_of.items() if row.after and row.after.score is not None}
    rows, lost, total = len(evidence.rows), len(unscored(evidence.rows)), sum(scores.values())
    if not scores:
        told = f"no row has a score; {percent(least)} or more is asked for"
        return Check(name="min-score", status=Status.CANNOT_SAY, text=told, limit=least)
    mean, bounds = total / len(scores), (total / rows, (total + lost) / rows)
    ci = _interval(scores, {key: row.group for key, row in rows_of.items() if row.group is not None})
    passed, failed = bounds[0] >= least - EPSILON, bounds[1] < least - EPSILON
    status = Status.PASSED if passed else Status.FAILED if failed else Status.CANNOT_SAY
    told = (
        f"mean score {percent(mean)} on {_rows(evidence, len(scores))}, 95% interval {percent(ci[0])} to "
        f"{percent(ci[1])}; {percent(least)} or more is asked for"
    )
    if lost:
        told += f"; {_without(lost)}: with them it lies between {percent(bounds[0])} and {percent(bounds[1])}"
    elif passed and ci[0] < least - EPSILON:
        told += "; the interval reaches below that, so other rows might fail it"
    told += ", optimistic since these rows chose the prompt" if evidence.optimistic else ""
    return Check(name="min-score", status=status, text=told, figure=mean, limit=least, bounds=bounds, ci=ci)


def _interval(scores: dict[str, float], groups: dict[str, str]) -> tuple[float, float]:
    """95% score interval of a mean of scores in [0, 1]; too wide rather than too narrow where scores are graded.

    No scores with the same mean vary more than passes and fails do.
    """
    rows = effective_rows(bundles_of(scores, groups))
    return wilson(sum(scores.values()) / len(scores) * rows, rows)


def _regressions(evidence: Evidence, most: int) -> Check:
    fell = len(regressed(evidence.rows))
    more = sum(map(_may_have_fallen, evidence.rows)) if evidence.changed else 0
    passed, failed = fell + more <= most, fell > most
    status = Status.PASSED if passed else Status.FAILED if failed else Status.CANNOT_SAY
    told = f"{fell:,} of {_rows(evidence, len(evidence.rows))} passed with the old prompt and "
    told += f"{'fails' if fell == 1 else 'fail'} now; at most {most:,} may"
    if more:
        told += f"; {counted(more, 'more row')} may have, but ended in an error on one side or were not asked"
    if evidence.elsewhere:
        told += f"; {evidence.elsewhere:,} more on the other splits, which are not counted"
    if not evidence.changed:
        told = f"the prompt did not change; at most {most:,} rows may break"
    return Check(name="max-regressions", status=status, text=told, figure=fell, limit=most, bounds=(fell, fell + more))


def _may_have_fallen(row: Row) -> bool:
    """Whether the row could be a regression, were what is not known of it known."""
    known_before = row.before is not None and not row.before.error
    known_after = row.after is not None and not row.after.error
    if known_before and known_after:
        return False
    passed_before = not known_before or (row.before is not None and row.before.passed)
    return passed_before and (not known_after or bool(failing([row])))


def _cost(evidence: Evidence, most: float) -> Check:
    old, new = evidence.costs
    unit, before, after = "usd", old.usd, new.usd
    if not before or after is None:
        unit, before, after = (
            "tokens",
            _tokens(old.input_tokens, old.output_tokens),
            _tokens(new.input_tokens, new.output_tokens),
        )
    if not before or after is None:
        told = "neither a price nor a count of tokens is known for calls of both prompts"
        return Check(name="max-cost-increase", status=Status.CANNOT_SAY, text=told, limit=most)
    rise = 100 * (after / before - 1)
    if unit == "usd":
        # No dollar signs: two of them make a formula of what stands between, where Markdown is read.
        told = f"a call costs {rise:+.1f}% in US dollars ({money(before)[1:]} -> {money(after)[1:]})"
    else:
        price = "the price is zero" if old.usd == 0 else "no price is known"
        told = f"a call takes {rise:+.1f}% in tokens, since {price} ({count(before)} -> {count(after)})"
    told += f", over {counted(new.calls, 'row')} that both answered; at most {most:+.1f}% is asked for"
    status = Status.PASSED if rise <= most + EPSILON else Status.FAILED
    return Check(name="max-cost-increase", status=status, text=told, figure=rise, limit=most, unit=unit)


def _tokens(inputs: float | None, outputs: float | None) -> float | None:
    return None if inputs is None or outputs is None else inputs + outputs


def _rows(evidence: Evidence, number: int) -> str:
    return counted(number, f"{evidence.on} row")


def _without(lost: int) -> str:
    return f"{counted(lost, 'row')} without a score"
