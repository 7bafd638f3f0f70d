"""All edits of a round in one candidate, each judged on the failing rows of its own cause.

Causes share few rows, so one request a failing row tries all edits at once. Where the first edit of a cause leaves
rows open, its next one joins on those rows alone. An edit that mends nothing, or no more than a placebo does, goes no
further; what it did is told to the next proposal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.dataset import Example, Split
from optimizer.edits import Edit
from optimizer.evaluator import Bench, Purpose, fits
from optimizer.events import CandidateMade, EditJudged
from optimizer.failures import Cluster
from optimizer.mutate.base import Proposal
from optimizer.mutate.validate import near_copies, within_demo_limit
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation, Result
from optimizer.search.again import again, room_for
from optimizer.search.guard import broken, guards
from optimizer.search.place import Behind, made, overruling, told_of
from optimizer.stats import EPSILON

MOST_ROWS = 8
"""Failing rows of one cause that an edit is tried on."""
MOST_TAKEN = 3
"""Rows of other causes that follow an edit, from which it is out: if it mends fewer of its own."""
MOST_STAGES = 5
"""Turns in which a cause may bring its next edit."""
DEMO_ROWS = 4
"""Failing rows that a cause must have left for a demo to be tried: it is long, and affects all rows."""
LEAST_OF_DEMO = 2
"""Rows that a demo must mend."""
DOUBTFUL = 2
"""An edit that mends so few rows, or less, must mend more of them than a placebo."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """What an edit did, beside the edits of other causes."""

    edit: Edit
    """The edit."""
    mended: tuple[str, ...] = ()
    """Failing rows whose broken expectation got better."""
    tried: int = 0
    """Failing rows tried."""
    placebo: int = 0
    """Of those mended, rows that a line that says nothing mends too."""
    broke: tuple[str, ...] = ()
    """Rows that were right and are not beside it: it is not taken."""
    chosen: bool = False
    """Whether it is in the bundle."""

    @property
    def passed(self) -> bool:
        """It is in the bundle, and mends more than a placebo does."""
        return self.chosen and len(self.mended) > self.placebo

    @property
    def rate(self) -> float:
        """Share of rows mended beyond those that a placebo mends: the order of edits."""
        return (len(self.mended) - self.placebo) / self.tried if self.tried else 0.0

    @property
    def told(self) -> str:
        """In words, for people and for the next proposal."""
        if not self.tried:
            return "not tried: others mended its rows, the prompt would be too long, or the plan for the search ended"
        chance = f" (a placebo mended {self.placebo})" if self.placebo else ""
        broke = f", and broke {', '.join(self.broke)}" if self.broke else ""
        return f"mended {len(self.mended)} of {self.tried} failing rows{chance}{broke}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Edits to screen, with the rows that they are screened on."""

    champion: Prompt
    """The prompt that they change."""
    base: Evaluation
    """The champion on train."""
    proposals: Mapping[str, Proposal]
    """Cluster id -> what its proposer saw."""
    edits: Sequence[Edit]
    """Validated edits, best first within a cluster."""
    own: frozenset[str] = frozenset()
    """Ids of the lines of the prompt that the run began with."""
    keep_calls: int = 0
    """Requests of the plan that must be left for the trials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Screening:
    """A round's edits, judged."""

    edits: tuple[Screened, ...]
    """One an edit, in the order given."""
    results: Mapping[str, Result]
    """Train row -> its result under the last candidate that it was tried with."""
    behind: Behind = field(default_factory=dict)
    """Edit -> edits that it has to stand behind."""


async def screen(bench: Bench, wanted: Candidates, round_number: int) -> Screening:
    """Screen edits in turns; those that the plan cannot pay for come back untried."""
    work = _Work(bench=bench, wanted=wanted, round=round_number, causes=_causes(wanted))
    for _ in range(MOST_STAGES):
        if not await work.turn():
            break
    judged = await work.judged()
    for item in judged:
        await bench.tell(
            EditJudged(
                round=round_number,
                edit=item.edit,
                outcome="passed" if item.passed else "screened out" if item.tried else "not tried",
                reason=item.told,
                mended=len(item.mended),
                tried=item.tried,
                broke=item.broke,
            )
        )
    return Screening(edits=judged, results=work.results, behind=work.behind)


@dataclass(kw_only=True, slots=True)
class _Cause:
    """One cluster with its edits in line."""

    cluster: Cluster
    queue: list[Edit]
    rows: list[Example]
    """Rows that edits are tried on."""
    open: list[Example]
    """Of those, rows that no chosen edit mends."""
    chosen: list[Edit] = field(default_factory=list)

    def learn(self, item: Screened) -> None:
        """Keep an edit that mends something, and see what is left open."""
        least = LEAST_OF_DEMO if item.edit.demo else 1
        if len(item.mended) >= least and not item.broke:
            self.chosen.append(item.edit)
            shown = item.edit.demo.row if item.edit.demo else ""
            self.open = [row for row in self.open if row.id not in item.mended and row.id != shown]


def _causes(wanted: Candidates) -> list[_Cause]:
    found = []
    for cluster_id, proposal in wanted.proposals.items():
        rows = [member.example for member in proposal.cluster.members][:MOST_ROWS]
        queue = [edit for edit in wanted.edits if edit.cluster == cluster_id]
        found.append(_Cause(cluster=proposal.cluster, queue=queue, rows=rows, open=rows))
    return found


@dataclass(kw_only=True, slots=True)
class _Work:
    """The turns of one screening."""

    bench: Bench
    wanted: Candidates
    round: int
    causes: list[_Cause]
    done: dict[tuple[str, str], Screened] = field(default_factory=dict)
    """(cluster, edit) -> what it did."""
    results: dict[str, Result] = field(default_factory=dict)
    behind: dict[str, set[str]] = field(default_factory=dict)

    async def turn(self) -> bool:
        """Try the next edit of every cause that has open rows, all in one candidate; False where there is none."""
        turn: list[tuple[_Cause, Edit]] = []
        while not turn and (wanted := self._next()):
            turn, rows = self._paid(wanted)
        if not turn:
            return False
        edits = self._bundle(turn)
        candidate = made(self.wanted.champion, edits, self.wanted.own, self.behind)
        await self._made(candidate, tuple(edits))
        evaluation = await self.bench.evaluator.evaluate(candidate, list(rows.values()), self._purpose)
        broke = await self._broke(candidate, turn, rows)
        self.results |= evaluation.results
        taken = self._taken(turn, edits, evaluation)
        for cause, edit in turn:
            if edit.id in taken:
                rows_taken = tuple(sorted(taken[edit.id]))
                self.done[cause.cluster.id, edit.id] = Screened(edit=edit, tried=len(rows_taken), broke=rows_taken)
            elif any(row.id in found for row in cause.open for found in taken.values()):
                # Another cause's line answered for its rows: it has its turn without that line.
                cause.queue.insert(0, edit)
            else:
                self._learn(cause, edit, evaluation, broke if edit.demo else ())
        self._order(edits, evaluation)
        return True

    def _paid(self, wanted: Sequence[tuple[_Cause, Edit]]) -> tuple[list[tuple[_Cause, Edit]], dict[str, Example]]:
        """Those that can be paid for and fit into one candidate, and their rows; where none is, the next ones' turn."""
        left = self._room()
        rows: dict[str, Example] = {}
        turn: list[tuple[_Cause, Edit]] = []
        for cause, edit in wanted:
            more = {row.id: row for row in cause.open if row.id not in rows}
            cost = self.bench.evaluator.requests(list(more.values()))
            if cost <= left and self._fits([*turn, (cause, edit)]):
                left -= cost
                rows |= more
                turn.append((cause, edit))
        return turn, rows

    def _taken(
        self, turn: Sequence[tuple[_Cause, Edit]], edits: Sequence[Edit], evaluation: Evaluation
    ) -> dict[str, set[str]]:
        """Edits of this turn that more rows of other causes follow than they mend of their own -> those rows."""
        taken: dict[str, set[str]] = {edit.id: set() for _, edit in turn}
        mended: Counter[str] = Counter()
        for cause, edit in turn:
            for row in cause.open:
                before, after = self.wanted.base.results[row.id], evaluation.results.get(row.id)
                if after is None or is_mended(before, after, cause.cluster.metrics):
                    mended[edit.id] += after is not None
                    continue
                said = (told_of(result, cause.cluster.metrics) for result in (after, before))
                for other in overruling(edits, *said) & taken.keys() - {edit.id}:
                    taken[other].add(row.id)
        return {edit: rows for edit, rows in taken.items() if len(rows) >= MOST_TAKEN and len(rows) > mended[edit]}

    async def _broke(
        self, candidate: Prompt, turn: Sequence[tuple[_Cause, Edit]], asked: Mapping[str, Example]
    ) -> tuple[str, ...]:
        """Rows that this turn's demos break."""
        causes = [cause.cluster.id for cause, edit in turn if edit.demo]
        alike = [row for cause in causes for row in self.wanted.proposals[cause].passing]
        mended = [row for cause in self.causes for row in cause.rows if row not in cause.open]
        rows = guards(alike, [row for row in mended if row.id in self.results], asked) if causes else []
        before = {**self.wanted.base.results, **self.results}
        return await broken(self.bench, candidate, rows, before, self._purpose, self._room())

    def _fits(self, turn: Sequence[tuple[_Cause, Edit]]) -> bool:
        """Whether the candidate of this turn is within the limits: tokens, and demos."""
        champion, bundle = self.wanted.champion, self._bundle(turn)
        if len(within_demo_limit(champion, bundle)) < len(bundle):
            return False
        limit = self.bench.max_tokens
        return limit is None or fits(made(champion, bundle, self.wanted.own), limit)

    def _next(self) -> list[tuple[_Cause, Edit]]:
        """The next edit of every cause, as far as no two change one line."""
        taken = {edit.target for cause in self.causes for edit in cause.chosen if edit.target}
        turn = []
        for cause in self.causes:
            fit = [edit for edit in cause.queue if edit.target not in taken or edit.target is None]
            if fit and fit[0].demo is not None and len(cause.open) < DEMO_ROWS:
                continue
            if cause.open and fit:
                cause.queue.remove(fit[0])
                turn.append((cause, fit[0]))
                if fit[0].target:
                    taken.add(fit[0].target)
        return turn

    def _bundle(self, turn: Sequence[tuple[_Cause, Edit]]) -> list[Edit]:
        """What was chosen so far and this turn's edits, by cause; an edit of two causes once."""
        new = {id(cause): edit for cause, edit in turn}
        edits: dict[str, Edit] = {}
        for cause in self.causes:
            for edit in (*cause.chosen, *((new[id(cause)],) if id(cause) in new else ())):
                edits.setdefault(edit.id, edit)
        return list(edits.values())

    def _learn(self, cause: _Cause, edit: Edit, evaluation: Evaluation, broke: tuple[str, ...]) -> None:
        # No row judges a demo that asks nearly the same; one that the candidate shows has no result.
        tried = [row for row in cause.open if row.id in evaluation.results and not near_copies([edit], [row])]
        mended = tuple(
            row.id
            for row in tried
            if is_mended(self.wanted.base.results[row.id], evaluation.results[row.id], cause.cluster.metrics)
        )
        item = Screened(edit=edit, mended=mended, tried=len(tried), broke=broke)
        self.done[cause.cluster.id, edit.id] = item
        cause.learn(item)

    def _order(self, edits: Sequence[Edit], evaluation: Evaluation) -> None:
        """Where an open row follows the line of another cause, the lines of its own cause go behind that one."""
        for cause in self.causes:
            mine = {edit.id for edit in cause.chosen}
            for row in cause.open if mine else ():
                if row.id in evaluation.results:
                    said, before = evaluation.results[row.id].output, self.wanted.base.results[row.id].output
                    for edit in mine:
                        self.behind.setdefault(edit, set()).update(overruling(edits, said, before) - mine)

    async def judged(self) -> tuple[Screened, ...]:
        """All edits; those that mend few rows must mend more of them than a placebo in their place."""
        kept = {(cause.cluster.id, edit.id) for cause in self.causes for edit in cause.chosen}
        few = {key for key in kept if len(self.done[key].mended) <= DOUBTFUL}
        luck = await self._luck(few)
        found = []
        for edit in self.wanted.edits:
            key = (edit.cluster, edit.id)
            item = self.done.get(key, Screened(edit=edit))
            placebo = sum((edit.cluster, row) in luck for row in item.mended) if key in few else 0
            found.append(replace(item, placebo=placebo, chosen=key in kept))
        return tuple(found)

    async def _luck(self, few: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """(cluster, row) of what these edits mended and the bundle without them mends too, at a second try."""
        rows = {row.id: row for cause in self.causes for row in cause.rows}
        doubtful = [rows[row] for row in dict.fromkeys(row for key in sorted(few) for row in self.done[key].mended)]
        dropped = {edit for _, edit in few}
        without = made(
            self.wanted.champion,
            [edit for edit in self._bundle([]) if edit.id not in dropped],
            self.wanted.own,
            self.behind,
        )
        if not doubtful or not room_for(self.bench, without, doubtful, self._room()):
            return set()
        second = await again(self.bench, without, doubtful, self._purpose)
        return {
            (cause.cluster.id, row.id)
            for cause in self.causes
            for row in cause.rows
            if row.id in second.results
            and is_mended(self.wanted.base.results[row.id], second.results[row.id], cause.cluster.metrics)
        }

    def _room(self) -> int:
        return self.bench.plan.left(Phase.SEARCH) - self.wanted.keep_calls

    @property
    def _purpose(self) -> Purpose:
        return Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=self.round)

    async def _made(self, candidate: Prompt, edits: tuple[Edit, ...]) -> None:
        parent = self.wanted.champion.fingerprint
        await self.bench.tell(
            CandidateMade(prompt=candidate, round=self.round, origin="screen", parent=parent, edits=edits)
        )


def is_mended(before: Result, after: Result, metrics: Sequence[str]) -> bool:
    """Whether the broken expectation itself got better; a row with two causes may rise for the other one."""
    old = {score.metric: score.value for score in before.scores}
    return any(score.metric in metrics and score.value > old.get(score.metric, 0.0) + EPSILON for score in after.scores)
