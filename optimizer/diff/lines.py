"""Two versions of a prompt, matched line by line and word by word, with what a run knows of each change."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from optimizer.alignment import Pair, aligned
from optimizer.dataset import Split, display
from optimizer.events import EditJudged
from optimizer.outcome import LineWorth
from optimizer.prompt import Line, Prompt, PromptMessage, seen
from optimizer.store.figures import Flips, flips
from optimizer.store.reader import RunReader

SAME, ADDED, REMOVED, REPLACED = "same", "added", "removed", "replaced"
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A stretch of a changed line."""

    change: str
    """`same`, `added` or `removed`."""
    text: str
    """The words, with the spaces between them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What a run knows of a changed line."""

    why: str = ""
    """The proposer's reason."""
    cluster: str = ""
    """Label of the cluster that it aims at."""
    worth: float | None = None
    """Score with it minus score without it on train and val, in [-1, 1]; None where it was not measured."""
    ci: tuple[float, float] | None = None
    """95% interval; optimistic."""
    label: str = ""
    """`earns`, `hurts` or `not measurable`; empty where it was not priced."""
    raw: float | None = None
    """The worth before it was shrunk."""
    rows: int = 0
    """Rows that judged it."""
    with_line: str = ""
    """Id of the line that it only works together with."""
    fixed: tuple[str, ...] = ()
    """Rows that pass only with it."""
    broken: tuple[str, ...] = ()
    """Rows that pass only without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineChange:
    """One line of either version."""

    change: str
    """`same`, `added`, `removed` or `replaced`."""
    message: int
    """Index of its message; demos come behind the last one."""
    role: str
    """Role of that message, or `demos`."""
    before: Line | None
    """The line in the first version."""
    after: Line | None
    """The line in the second version."""
    words: tuple[Words, ...] = ()
    """What changed inside a replaced line."""
    price: Price | None = None
    """What a run knows of it."""

    @property
    def id(self) -> str:
        """Id of the line: that of the second version, where it is there."""
        line = self.after or self.before
        return line.id if line else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptDiff:
    """Two versions side by side."""

    before: Prompt
    """The first version."""
    after: Prompt
    """The second version."""
    lines: tuple[LineChange, ...]
    """All lines of both, in order."""
    settings: tuple[str, ...] = ()
    """What changed besides: parameters, variables, in words."""
    flips: Mapping[Split, Flips] = field(default_factory=dict)
    """Rows that came out otherwise, by split, where a run has results of both."""
    stand_in: bool = False
    """True where the run's figures come from the offline stand-in."""

    @property
    def changes(self) -> tuple[LineChange, ...]:
        """Lines that differ."""
        return tuple(line for line in self.lines if line.change != SAME)

    @property
    def hunks(self) -> tuple[tuple[int, LineChange], ...]:
        """Lines that differ, each with the number of its hunk: changes with no unchanged line between are one."""
        found: list[tuple[int, LineChange]] = []
        number, last = 0, -2
        for place, line in enumerate(self.lines):
            if line.change == SAME:
                continue
            number += place != last + 1 or line.message != self.lines[last].message
            found.append((number, line))
            last = place
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The diff as plain values."""
        return {
            "before": _version(self.before),
            "after": _version(self.after),
            "lines": [{"hunk": number, **_json_line(line)} for number, line in self.hunks],
            "unchanged": len(self.lines) - len(self.changes),
            "settings": list(self.settings),
            "flips": {
                split.value: {"rows": found.rows, "fixed": list(found.fixed), "broken": list(found.broken)}
                for split, found in self.flips.items()
            },
            "stand_in": self.stand_in,
        }


def diff(before: Prompt, after: Prompt, *, reader: RunReader | None = None) -> PromptDiff:
    """Compare two versions.

    Lines are matched by their text first, then by their id, then by likeness: so versions that were numbered anew
    compare as well as those that kept their ids.

    Args:
        before: the first version.
        after: the second version.
        reader: a run that knows why lines changed, what they are worth, and which rows flipped; None for none.
    """
    prices = _Prices(reader) if reader is not None else None
    lines: list[LineChange] = []
    pairs = itertools.zip_longest(before.messages, after.messages)
    for number, (old, new) in enumerate(pairs):
        pairs_of_lines = aligned(old.lines if old else (), new.lines if new else ())
        lines += _changes(number, _role(old, new), pairs_of_lines, prices)
    lines += _changes(max(len(before.messages), len(after.messages)), "demos", _demos(before, after), prices)
    return PromptDiff(
        before=before,
        after=after,
        lines=tuple(lines),
        settings=tuple(_settings(before, after)),
        flips={} if reader is None else flips(reader, before.fingerprint, after.fingerprint),
        stand_in=reader is not None and reader.meta.stand_in,
    )


class _Prices:
    """What a run knows of changed lines."""

    def __init__(self, reader: RunReader) -> None:
        self._worth = {worth.id: worth for worth in reader.lines()}
        self._labels = dict(reader.query("SELECT id, label FROM clusters ORDER BY round"))
        self._edits: dict[str, EditJudged] = {}
        for judged in reader.edits():
            key = judged.edit.text if judged.edit.text is not None else f"- {judged.edit.target}"
            if key not in self._edits or judged.outcome == "passed":
                self._edits[key] = judged

    def of(self, before: Line | None, after: Line | None) -> Price | None:
        """The price of one change; None where the run knows nothing of it."""
        line = after or before
        assert line is not None
        judged = self._edits.get(line.text if after is not None else f"- {line.id}")
        worth = self._worth.get(line.id)
        if worth is not None and worth.text != line.content:
            worth = None
        if judged is None and worth is None:
            return None
        return _price(judged, worth, self._labels)


def _price(judged: EditJudged | None, worth: LineWorth | None, labels: Mapping[str, str]) -> Price:
    aimed = "" if judged is None else labels.get(judged.edit.cluster, "")
    known = Price(why="" if judged is None else judged.edit.why, cluster=aimed)
    if worth is None:
        return known
    return replace(
        known,
        cluster=worth.cluster or aimed,
        worth=worth.worth,
        ci=worth.ci,
        label=worth.label,
        raw=worth.raw,
        rows=worth.rows,
        with_line=worth.with_line,
        fixed=worth.fixed,
        broken=worth.broken,
    )


def _changes(number: int, role: str, pairs: Iterable[Pair], prices: _Prices | None) -> Iterator[LineChange]:
    for before, after in pairs:
        if before is not None and after is not None:
            change = SAME if before.content == after.content else REPLACED
        else:
            change = ADDED if before is None else REMOVED
        yield LineChange(
            change=change,
            message=number,
            role=role,
            before=before,
            after=after,
            words=words(before.content, after.content) if change == REPLACED and before and after else (),
            price=prices.of(before, after) if prices is not None and change != SAME else None,
        )


def _demos(before: Prompt, after: Prompt) -> Iterator[Pair]:
    """Demos as lines, by what a model sees of them: those that stayed, went, came."""
    old = [(demo, seen(demo, before.variables)) for demo in before.demos]
    new = [(demo, seen(demo, after.variables)) for demo in after.demos]
    for demo, said in old:
        stayed = next((other.line for other, shown in new if shown == said), None)
        yield stayed or demo.line, stayed
    yield from ((None, demo.line) for demo, said in new if all(said != known for _, known in old))


def _role(old: PromptMessage | None, new: PromptMessage | None) -> str:
    """`system`, or `system -> user` where it changed."""
    roles = dict.fromkeys(message.role for message in (old, new) if message is not None)
    return " -> ".join(roles)


def words(before: str, after: str) -> tuple[Words, ...]:
    """Two texts word by word: what stayed, went and came, in order."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    found: list[Words] = []
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag == "equal":
            found.append(Words(change=SAME, text="".join(old[start:end])))
            continue
        if end > start:
            found.append(Words(change=REMOVED, text="".join(old[start:end])))
        if new_end > new_start:
            found.append(Words(change=ADDED, text="".join(new[new_start:new_end])))
    return tuple(found)


def _settings(before: Prompt, after: Prompt) -> Iterator[str]:
    for name in sorted({*before.params, *after.params}):
        old, new = before.params.get(name), after.params.get(name)
        if old != new or (name in before.params) != (name in after.params):
            told = [display(value) if name in params else "not set" for value, params in _sides(name, before, after)]
            yield f"parameter {name}: {told[0]} -> {told[1]}"
    for what, names in (("added", after.variables - before.variables), ("removed", before.variables - after.variables)):
        if names:
            yield f"variables {what}: {', '.join(sorted(names))}"


def _sides(name: str, before: Prompt, after: Prompt) -> list[tuple[Any, Mapping[str, Any]]]:
    return [(prompt.params.get(name), prompt.params) for prompt in (before, after)]


def _version(prompt: Prompt) -> dict[str, Any]:
    return {"ref": prompt.ref, "version": prompt.version, "fingerprint": prompt.fingerprint}


def _json_line(line: LineChange) -> dict[str, Any]:
    price = line.price
    return {
        "id": line.id,
        "change": line.change,
        "message": line.message,
        "role": line.role,
        "before": None if line.before is None else line.before.content,
        "after": None if line.after is None else line.after.content,
        "words": [{"change": words.change, "text": words.text} for words in line.words],
        "why": price.why if price else None,
        "cluster": price.cluster if price else None,
        "worth": price.worth if price else None,
        "ci": list(price.ci) if price and price.ci else None,
        "label": price.label if price else None,
        "raw": price.raw if price else None,
        "rows": price.rows if price else 0,
        "with": (price.with_line or None) if price else None,
        "fixed": list(price.fixed) if price else [],
        "broken": list(price.broken) if price else [],
    }
