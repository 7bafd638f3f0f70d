"""Asks for rows with and without lines, within the reserve, and asks again where they differ.

A model answers a little differently whatever is changed, so that some rows differ though the line does nothing. The
side that lost is asked once more, and once more again, with a line that says nothing in its prompt; a row counts as
up or down only where it loses each time. A row that passes with p with the line and with q without it then goes up
with p (1-q)^3 and down with q (1-p)^3. Without an effect (p = q) both are the same, and rarer than the p (1-p) of one
asking: 0.001 in place of 0.09 at p = 0.9. An effect keeps its sign, since for p > q also p / (1-p)^3 > q / (1-q)^3;
and it keeps its size where one side hardly ever passes, as with a rule that the prompt states or does not state.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.attribute.posterior import Seen
from optimizer.attribute.removal import Removal
from optimizer.dataset import Example, Split
from optimizer.edits import apply
from optimizer.evaluator import Bench, Purpose, by_id, fits, judges, row_key
from optimizer.events import CandidateMade
from optimizer.executors.together import together
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Result
from optimizer.search.again import PLACEBOS
from optimizer.stats import EPSILON

Job = tuple[Prompt, Sequence[Example]]
AGAIN = "asked again, with a line that says nothing"


@dataclass(kw_only=True, slots=True)
class Desk:
    """Where rows are asked for: keeps to the reserve."""

    bench: Bench
    """What candidates are scored with."""
    metrics: int = 1
    """How many count for the score of a row."""
    failing: float = 1.0
    """Part of the rows that the winner fails."""
    found: dict[str, Removal] = field(default_factory=dict)
    """Line -> what leaving it out alone showed, those of lines that are gone included."""
    kept: int = 0
    """Requests of the reserve that are held back for later."""
    relatives: dict[str, tuple[Prompt, frozenset[str]]] = field(default_factory=dict)
    """Fingerprint -> the prompt that it came from by a drop, and the rows that the lines that went can touch."""
    told: set[str] = field(default_factory=set)
    """Fingerprints of candidates that the sink knows of."""
    variants: dict[tuple[str, int], Prompt] = field(default_factory=dict)
    """(fingerprint, number) -> the same prompt with a line that says nothing."""
    asked: set[tuple[str, str]] = field(default_factory=set)
    """(fingerprint, example id) of what was found to be asked for: it is looked up often, and stays so."""

    @property
    def left(self) -> int:
        """Requests that may still be asked for."""
        return max(self.bench.plan.left(Phase.ATTRIBUTION) - self.kept, 0)

    @property
    def rows(self) -> Mapping[str, Example]:
        """Val and train, by id."""
        return by_id((*self.bench.val, *self.bench.train))

    def fits(self, prompt: Prompt) -> bool:
        """Whether a run may end with a prompt: it says something, and is within the limit of tokens."""
        return any(message.lines for message in prompt.messages) and fits(prompt, self.bench.max_tokens)

    def cost(self, jobs: Iterable[Job]) -> int:
        """Requests that jobs would add to the plan."""
        return len(self._fresh(jobs))

    def _fresh(self, jobs: Iterable[Job]) -> set[str]:
        return self.bench.plan.fresh({key for job in jobs for key in self._keys(*job)})

    def affordable(
        self, wanted: Sequence[tuple[Removal, Sequence[Example]]]
    ) -> list[tuple[Removal, Sequence[Example]]]:
        """Those that the reserve can pay for, in the order given; enough is left to ask each row again."""
        chosen: list[tuple[Removal, Sequence[Example]]] = []
        asked: set[str] = set()
        again, left = 0, self.left
        for removal, rows in wanted:
            together = asked | self._fresh(self.jobs(removal, rows))
            once_more = again + self.bench.evaluator.requests(rows)
            if len(together) + once_more <= left:
                chosen.append((removal, rows))
                asked, again = together, once_more
        return chosen

    def jobs(self, removal: Removal, rows: Sequence[Example]) -> list[Job]:
        """What must be asked to hold both sides against each other."""
        return [(removal.part, rows), (removal.whole, self.unanswered(removal.whole, rows))]

    def is_known(self, prompt: Prompt, row: Example) -> bool:
        """Whether a row was asked for already; no matter whether its answer is at hand, as after a resume."""
        key = (prompt.fingerprint, row.id)
        if key not in self.asked:
            if self.bench.plan.fresh(self._keys(prompt, [row])):
                return False
            self.asked.add(key)
        return True

    def answered(self, prompt: Prompt, row: Example) -> Prompt | None:
        """The prompt whose answer to a row may be taken: this one, or a near relative of it; None for none."""
        if self.is_known(prompt, row):
            return prompt
        older, touched = self.relatives.get(prompt.fingerprint, (None, frozenset()))
        return None if older is None or row.id in touched else self.answered(older, row)

    def unanswered(self, prompt: Prompt, rows: Sequence[Example]) -> list[Example]:
        """Rows that must be asked for."""
        return [row for row in rows if self.answered(prompt, row) is None]

    def result(self, prompt: Prompt, row: Example) -> Result | None:
        """The answer to what was asked; None for a row that the prompt shows as a demo."""
        return self.bench.evaluator.known.get(((self.answered(prompt, row) or prompt).fingerprint, row.id))

    async def ask(self, jobs: Sequence[tuple[Prompt, str, Sequence[Example]]], parent: Prompt) -> None:
        """Score candidates, each on rows of its own; val and train rows are told apart in the record."""
        for prompt, origin, rows in jobs:
            if rows and prompt.fingerprint not in self.told:
                self.told.add(prompt.fingerprint)
                await self.bench.tell(CandidateMade(prompt=prompt, round=0, origin=origin, parent=parent.fingerprint))
        purpose = Purpose(phase=Phase.ATTRIBUTION, split=Split.TRAIN, round=0)
        others = {row.id: Split.VAL for row in self.bench.val}
        wanted = [(prompt, rows) for prompt, _, rows in jobs if rows]
        await self.bench.evaluator.evaluate_all(wanted, purpose, others)

    async def look(self, wanted: Sequence[tuple[Removal, Sequence[Example]]]) -> None:
        """Ask for rows with and without lines, and note the differences; the caller checked what it costs."""
        if not wanted:
            return
        jobs = [(removal.part, f"without {', '.join(removal.lines)}", rows) for removal, rows in wanted]
        jobs += [(removal.whole, "winner", self.unanswered(removal.whole, rows)) for removal, rows in wanted]
        await self.ask(jobs, wanted[0][0].whole)
        for removal, rows in wanted:
            for row in rows:
                removal.asked.add(row.id)
                seen = self.read(removal, row, 0, removal.counts(row))
                if seen is not None:
                    removal.seen[row.id] = seen

    async def look_well(self, wanted: Sequence[tuple[Removal, Sequence[Example]]]) -> None:
        """`look`, and again where rows differ: each row goes its own way, where the reserve is enough whatever comes.

        Else rows are looked at once, and which are asked again is for `look_again` to say, which comes next.
        """
        most = (2 + 2 * len(PLACEBOS)) * sum(self.bench.evaluator.requests(rows) for _, rows in wanted)
        if most > self.left:
            return await self.look(wanted)
        new = [(removal, row.id) for removal, rows in wanted for row in rows if row.id not in removal.seen]
        by_row: dict[str, list[tuple[Removal, Sequence[Example]]]] = {}
        for removal, rows in wanted:
            for row in rows:
                by_row.setdefault(row.id, []).append((removal, [row]))
        await _each([self._look_through(row, part) for row, part in by_row.items()])
        for removal, key in new:
            # In the order asked: what follows must not depend on which answer came first.
            if key in removal.seen:
                removal.seen[key] = removal.seen.pop(key)

    async def _look_through(self, row: str, wanted: Sequence[tuple[Removal, Sequence[Example]]]) -> None:
        await self.look(wanted)
        await self._again([removal for removal, _ in wanted], {row})

    async def look_again(self, removals: Sequence[Removal], only: Collection[str] | None = None) -> None:
        """Ask the side that lost again, for every row that differs, as far as the reserve goes.

        Args:
            removals: what was asked.
            only: rows to which this is limited; None for all.
        """
        pairs = [key for one in removals for number in range(len(PLACEBOS)) for key in one.differing(number)]
        rows = dict.fromkeys(key for key in pairs if only is None or key in only)
        most = 2 * len(PLACEBOS) * len(pairs) * self.bench.evaluator.requests(self.bench.val[:1])
        if most > self.left:
            return await self._again(removals, only)
        # The reserve is enough whatever comes: no row waits for another.
        await _each([self._again(removals, {row}) for row in rows])

    async def _again(self, removals: Sequence[Removal], only: Collection[str] | None) -> None:
        for number in range(1, len(PLACEBOS) + 1):
            wanted = [(one, row) for one in removals for row in one.differing(number - 1)]
            await self._once_more([(one, row) for one, row in wanted if only is None or row in only], number)

    async def _once_more(self, wanted: Sequence[tuple[Removal, str]], number: int) -> None:
        rows = self.rows
        chosen: list[tuple[Removal, Example]] = []
        jobs: list[tuple[Prompt, str, Sequence[Example]]] = []
        asked: set[str] = set()
        left = self.left
        for removal, key in wanted:
            more = [(self.variant(side, number), AGAIN, [rows[key]]) for side in self._losers(removal, rows[key])]
            together = asked | self._fresh([(prompt, one) for prompt, _, one in more])
            if len(together) <= left:
                jobs += more
                asked = together
                chosen.append((removal, rows[key]))
        if jobs:
            await self.ask(jobs, chosen[0][0].whole)
        for removal, row in chosen:
            seen = self.read(removal, row, number, removal.counts(row))
            if seen is not None:
                removal.seen[row.id] = seen

    def variant(self, prompt: Prompt, number: int) -> Prompt:
        """`variant`, made once."""
        known = self.variants.get((prompt.fingerprint, number))
        return known or self.variants.setdefault((prompt.fingerprint, number), variant(prompt, number))

    def _losers(self, removal: Removal, row: Example) -> list[Prompt]:
        """The sides that lost on a metric that counts."""
        whole, part = _parts(self.result(removal.whole, row)), _parts(self.result(removal.part, row))
        counted = removal.counts(row) or whole.keys()
        changes = [value - part.get(key, 0.0) for key, value in whole.items() if key in counted]
        sides = [removal.whole] if any(change < -EPSILON for change in changes) else []
        return [*sides, removal.part] if any(change > EPSILON for change in changes) else sides

    def read(self, removal: Removal, row: Example, number: int, metrics: frozenset[str]) -> Seen | None:
        """A row with the lines and without them; None where a side ended in an error.

        Args:
            removal: the two sides.
            row: asked on both.
            number: how often the losers were asked again; metric by metric, the best of their answers counts.
            metrics: those that count; empty for all.
        """
        whole, part = self.result(removal.whole, row), self.result(removal.part, row)
        if whole is None or part is None or whole.score is None or part.score is None:
            return None
        first, second = self._answers(removal.whole, row, number), self._answers(removal.part, row, number)
        raw = value = beside = 0.0
        again = number
        for key, mine in first[0].items():
            other = second[0].get(key, 0.0)
            if metrics and key not in metrics:
                beside += mine - other
                continue
            raw += mine - other
            if mine > other:
                value += max(mine - max(answer.get(key, 0.0) for answer in second), 0.0)
                again = min(again, len(second) - 1)
            elif mine < other:
                value -= max(other - max(answer.get(key, 0.0) for answer in first), 0.0)
                again = min(again, len(first) - 1)
        flip = int(whole.passed) - int(part.passed)
        return Seen(raw=raw, value=value, beside=beside if metrics else None, again=again, flip=flip)

    def _answers(self, prompt: Prompt, row: Example, number: int) -> list[Mapping[str, float]]:
        """Metric -> part of the score, of a prompt's first answer and of those after it that are no errors."""
        again = [self.variant(prompt, time) for time in range(1, number + 1)]
        more = [_parts(self.result(one, row)) for one in again if self.is_known(one, row)]
        return [_parts(self.result(prompt, row)), *(parts for parts in more if parts)]

    def _keys(self, prompt: Prompt, rows: Sequence[Example]) -> set[str]:
        """What the plan counts."""
        samples, fingerprint = range(self.bench.evaluator.repeats), prompt.fingerprint
        return {row_key(fingerprint, row, sample) for row in judges(prompt, rows) for sample in samples}


async def _each(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all side by side, to their ends; raises the first fault among them."""
    for ended in await together(work):
        if isinstance(ended, BaseException):
            raise ended


def variant(prompt: Prompt, number: int) -> Prompt:
    """The same prompt with a line that says nothing: another answer of the same model to the same task."""
    return apply(prompt, [PLACEBOS[number - 1]])


def _parts(result: Result | None) -> Mapping[str, float]:
    """Metric -> its part of the row's score; empty for an error."""
    if result is None or result.error is not None:
        return {}
    total = sum(score.weight for score in result.scores) or 1.0
    return {score.metric: score.weight * score.value / total for score in result.scores}
