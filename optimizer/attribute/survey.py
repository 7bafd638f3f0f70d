"""What there is to leave out: changed lines with their causes, and the rows that may judge each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.attribute.asking import Desk, variant
from optimizer.attribute.cause import NO_CAUSE, Cause
from optimizer.attribute.posterior import OTHERS
from optimizer.attribute.removal import Removal
from optimizer.attribute.rows import Cut, Ground, in_turn
from optimizer.edits import Op, changed_lines, without_line
from optimizer.mutate.shorten import shorter
from optimizer.prompt import Line, Prompt, with_lines
from optimizer.results import Evaluation, Result
from optimizer.search.study import Champion
from optimizer.tokens import unit_tokens

SEED = "of the seed"
"""The change of a line that nothing has changed yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """One changed line, or one of the seed that might go."""

    id: str
    """Id of a line or a demo."""
    text: str
    """The line; for a removed one, what was removed."""
    old: str
    """What the seed has there; empty for an added line."""
    change: str
    """`added`, `replaced` or `removed`; `of the seed` for a line that nothing has changed yet."""
    cause: Cause
    """What it was proposed for."""
    tokens: int
    """About how many it adds to a call; for a removed one, how many it took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """The lines of a winner that may be left out, and the ground that they are judged on."""

    seed: Prompt
    """The prompt that the run began with."""
    lines: Mapping[str, Changed]
    """By id, in the prompt's order; removed lines behind, lines of the seed last."""
    ground: Ground
    """Rows, and what is known of them."""
    first: str
    """Fingerprint of the prompt whose answers the rows were cut by."""
    made: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Removal] = field(default_factory=dict)
    """(fingerprint, lines, lines gone before) -> removal: what was asked once is not forgotten."""
    touched: dict[str, frozenset[str]] = field(default_factory=dict)
    """Line -> rows on which it can be seen to matter."""

    def without(self, prompt: Prompt, lines: Sequence[str]) -> Prompt:
        """A prompt with some lines left out: changed ones put back to what the seed has there."""
        for line in lines:
            of_seed = self.lines[line].change == SEED
            prompt = _less(prompt, line) if of_seed else without_line(self.seed, prompt, line)
        return prompt

    def part(self, prompt: Prompt, lines: Sequence[str]) -> Prompt:
        """The same, to be asked: the first prompt is asked anew, with a line that says nothing.

        Rows stand among those of a cause because the first prompt's answers were wrong there. Held against these very
        answers, any line would seem to mend them.
        """
        left = self.without(prompt, lines)
        return variant(left, 1) if left.fingerprint == self.first else left

    def removal(self, whole: Prompt, lines: Sequence[str], gone: Sequence[str] = ()) -> Removal:
        """Some lines left out of a prompt that holds them, beside others that it was found to do without."""
        key = (whole.fingerprint, tuple(lines), tuple(gone))
        if key not in self.made:
            part = self.part(whole, [*gone, *lines])
            cut = self._cut([self.lines[line] for line in lines], whole.demo_rows | part.demo_rows)
            metrics = cut.metrics if len(lines) == 1 else frozenset()
            self.made[key] = Removal(lines=tuple(lines), whole=whole, part=part, strata=cut.strata, metrics=metrics)
        return self.made[key]

    def carry(self, old: Removal, base: Prompt) -> Removal:
        """What was seen of a removal holds for a prompt that other lines have left as well."""
        carried = replace(
            old,
            whole=base,
            part=self.part(base, old.lines),
            seen=dict(old.seen),
            asked=set(old.asked),
            carried=frozenset(old.asked),
        )
        self.made[base.fingerprint, old.lines, ()] = carried
        return carried

    def overlap(self, line: str, others: Sequence[str]) -> bool:
        """Whether others can have stood in for a line, or in its way: they touch a good part of its own rows."""
        mine, theirs = self.own(line), self.own(*others)
        return len(mine & theirs) >= max(len(mine) / 4, 1)

    def own(self, *lines: str) -> frozenset[str]:
        """Rows on which lines can be seen to matter."""
        for line in lines:
            if line not in self.touched:
                chosen = self.lines[line]
                aims = [(chosen.cause.shown, chosen.cause.mended)]
                strata = self.ground.cut((chosen.text, chosen.old), aims, ()).strata
                self.touched[line] = frozenset(row.id for part in strata if part.name != OTHERS for row in part.rows)
        return frozenset().union(*(self.touched[line] for line in lines))

    def _cut(self, lines: Sequence[Changed], demos: frozenset[str]) -> Cut:
        return self.ground.cut(
            [text for line in lines for text in (line.text, line.old)],
            [(line.cause.shown, line.cause.mended) for line in lines],
            demos | frozenset().union(*(line.cause.shown for line in lines)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What was asked before."""

    first: Prompt
    """The prompt of the baseline."""
    train: Evaluation | None = None
    """The winner on train, or near relatives of it; None where nothing is known."""


def survey(desk: Desk, seed: Prompt, winner: Champion, causes: Mapping[str, Cause], known: Known) -> Survey:
    """Look at what changed, and at what is known of val and train before a line is left out."""
    rows = tuple(desk.rows.values())
    free = {row.id for row in rows if desk.is_known(winner.prompt, row)}
    train = known.train.results if known.train else {}
    ground = Ground(
        rows=in_turn(rows, desk.bench.seed, free),
        before=_known(desk, known.first),
        after={**train, **_known(desk, winner.prompt), **winner.val.results},
    )
    lines = [
        *_changed(seed, winner.prompt, causes),
        *(_of_seed(seed, line) for line in _removable(seed, winner.prompt)),
    ]
    return Survey(seed=seed, ground=ground, lines={line.id: line for line in lines}, first=known.first.fingerprint)


def _removable(seed: Prompt, winner: Prompt) -> list[str]:
    """Lines of the seed that may go."""
    kept = {line.id for line in seed.lines} & {line.id for line in winner.lines}
    changed = {line for line, _, _ in changed_lines(seed, winner)}
    found = [edit.target for edit in shorter(winner, seed) if edit.op is Op.REMOVE_LINE]
    return [line for line in dict.fromkeys(found) if line is not None and line in kept - changed]


def _less(prompt: Prompt, line: str) -> Prompt:
    """A prompt without a line, that nothing is put back for; it may be left with none."""
    messages = [
        replace(message, lines=tuple(one for one in message.lines if one.id != line)) for message in prompt.messages
    ]
    return with_lines(prompt, messages)


def _of_seed(seed: Prompt, line: str) -> Changed:
    text = seed.line(line).content
    return Changed(id=line, text=text, old=text, change=SEED, cause=NO_CAUSE, tokens=unit_tokens(seed, line))


def _known(desk: Desk, prompt: Prompt) -> dict[str, Result]:
    found = {row.id: desk.result(prompt, row) for row in desk.rows.values() if desk.is_known(prompt, row)}
    return {key: result for key, result in found.items() if result is not None}


def _changed(seed: Prompt, winner: Prompt, causes: Mapping[str, Cause]) -> list[Changed]:
    found = []
    for line, old, new in changed_lines(seed, winner):
        text = _text(new or old)
        found.append(
            Changed(
                id=line,
                text=text,
                old=_text(old),
                change="added" if old is None else "removed" if new is None else "replaced",
                cause=causes.get(text, NO_CAUSE),
                tokens=unit_tokens(seed if new is None else winner, line),
            )
        )
    return found


def _text(line: Line | None) -> str:
    return line.content if line else ""
