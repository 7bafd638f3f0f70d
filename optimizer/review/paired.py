"""Two prompts on the same rows, row by row: what was fixed, what broke, what it costs.

Stored results alone are read: no call is made, no look at the test rows is counted, and a test row that no run opened
stays sealed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Split
from optimizer.outcome import Comparison
from optimizer.review.rows import Row, contents, evaluation, read
from optimizer.stats import EPSILON, compare
from optimizer.store.reader import RunReader

FATES = ("broken", "worse", "error", "fixed", "better", "same")
"""What became of a row from A to B, the worst first."""
NAMED = 1000
"""Row ids of a kind that are listed at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two prompts, and the run that knows its rows."""

    ref: str
    """What it is called: a version, or a run's winner."""
    fingerprint: str
    """Of the prompt."""
    reader: RunReader
    """The run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which rows are asked for."""

    fates: tuple[str, ...] = ()
    """Only these; empty for all."""
    tag: str | None = None
    """Only rows with this tag."""
    split: Split | None = None
    """Only rows of this split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One row under both prompts."""

    a: Row
    """Under the first."""
    b: Row
    """Under the second."""

    delta: float | None
    """Score of B minus score of A; None where one of them is an error."""
    fate: str
    """What became of it."""

    @classmethod
    def of(cls, a: Row, b: Row) -> Pair:
        """The pair of one row."""
        delta = None if a.score is None or b.score is None else b.score - a.score
        if delta is None:
            fate = "error"
        elif a.passed != b.passed:
            fate = "fixed" if b.passed else "broken"
        else:
            fate = "worse" if delta < -EPSILON else "better" if delta > EPSILON else "same"
        return cls(a=a, b=b, delta=delta, fate=fate)

    def to_json(self) -> dict[str, Any]:
        """As plain values, with what the checks say now and said before."""
        return {
            "id": self.a.id,
            "split": self.b.split.value,
            "tags": list(self.b.tags),
            "fate": self.fate,
            "a": self.a.score,
            "b": self.b.score,
            "delta": self.delta,
            "errors": {"a": self.a.error or None, "b": self.b.error or None},
            "broken_checks": [one for one in self._turned(self.a, self.b)],
            "fixed_checks": [one for one in self._turned(self.b, self.a)],
        }

    @staticmethod
    def _turned(before: Row, after: Row) -> Iterable[dict[str, str]]:
        for name, check in after.checks.items():
            was = before.checks.get(name)
            if was is not None and was.passed and not check.passed:
                yield {"check": name, "reason": check.reason}


def paired(a: Side, b: Side, wanted: Wanted | None = None, *, limit: int | None = None) -> dict[str, Any]:
    """The comparison as plain values; rows come worst first. Figures that are not known are None.

    Figures by split, tag and check are over all rows with that split and tag, whatever fates are asked for.

    Args:
        a: the first prompt.
        b: the second.
        wanted: which rows; None for all.
        limit: list so many rows, and only such as differ; None for all, the same ones too.
    """
    wanted = wanted or Wanted()
    rows_a, rows_b = read(a.reader, a.fingerprint), read(b.reader, b.fingerprint)
    sets = _sets(a, b)
    changed = frozenset(sets["changed"])
    both = [Pair.of(rows_a[name], rows_b[name]) for name in rows_a if name in rows_b and name not in changed]
    asked = [pair for pair in both if _is_asked(pair, wanted)]
    fates = Counter(pair.fate for pair in asked)
    shown = sorted((pair for pair in asked if not wanted.fates or pair.fate in wanted.fates), key=_worst_first)
    differing = [pair for pair in shown if pair.fate != "same"]
    return {
        "a": _side(a, len(rows_a)),
        "b": _side(b, len(rows_b)),
        "stand_in": a.reader.meta.stand_in or b.reader.meta.stand_in,
        "split": wanted.split.value if wanted.split else None,
        "tag": wanted.tag,
        "fates": {fate: fates[fate] for fate in FATES},
        "splits": _splits(a, b, asked, Counter(pair.b.split for pair in both)),
        "tags": _by(asked, lambda pair: pair.b.tags),
        "checks": _checks(asked),
        "per_call": {"a": _per_call([pair.a for pair in asked]), "b": _per_call([pair.b for pair in asked])},
        "eval_sets": {**sets, "changed": sets["changed"][:NAMED]},
        "differ": _conditions(a, b),
        "looks": 0,
        "marks": b.reader.marks or a.reader.marks,
        "differing": len(differing),
        "rows": [pair.to_json() for pair in (shown if limit is None else differing[:limit])],
    }


def _is_asked(pair: Pair, wanted: Wanted) -> bool:
    return (wanted.tag is None or wanted.tag in pair.b.tags) and wanted.split in (None, pair.b.split)


def _worst_first(pair: Pair) -> tuple[int, float, str]:
    return FATES.index(pair.fate), 0.0 if pair.delta is None else pair.delta, pair.a.id


def _side(side: Side, rows: int) -> dict[str, Any]:
    meta = side.reader.meta
    return {
        "ref": side.ref,
        "run": side.reader.id,
        "fingerprint": side.fingerprint,
        "model": meta.model,
        "rows": rows,
        "stand_in": meta.stand_in,
    }


def _splits(a: Side, b: Side, pairs: Sequence[Pair], ran: Mapping[Split, int]) -> dict[str, Any]:
    """Split -> paired figures. A run's own pair on all its rows has the figures that the run ended with.

    Where both ran on a part of train or val alone, the search picked those rows for how they came out: they are no
    sample, so that they get neither interval nor p.

    Args:
        a: the first prompt.
        b: the second.
        pairs: the rows that are asked for.
        ran: split -> rows that ran under both, asked for or not.
    """
    found: dict[str, Any] = {}
    sizes = Counter(Split(split) for split, _ in contents(b.reader).values())
    for split in Split:
        here = [pair for pair in pairs if pair.b.split is split]
        if not here:
            continue
        fates = Counter(pair.fate for pair in here)
        known = _as_ended(a, b, split)
        compared = known if known is not None and known.n == _scored(here) else _compared(a, here)
        picked = split is not Split.TEST and ran[split] < sizes[split]
        found[split.value] = {
            "n": compared.n,
            "of": sizes[split],
            "a": compared.baseline,
            "b": compared.winner,
            "gain": compared.gain,
            "ci": None if picked else list(compared.ci),
            "p": None if picked else compared.p,
            "discordant": compared.discordant,
            "groups": compared.groups,
            "picked": picked,
            "fates": {fate: fates[fate] for fate in FATES},
            "optimistic": split is not Split.TEST,
            "claim": split is Split.TEST and known is not None and compared is known,
        }
    return found


def _scored(pairs: Iterable[Pair]) -> int:
    return sum(pair.delta is not None for pair in pairs)


def _as_ended(a: Side, b: Side, split: Split) -> Comparison | None:
    outcome = a.reader.outcome() if a.reader.folder == b.reader.folder else None
    if outcome is None or (a.fingerprint, b.fingerprint) != (outcome.seed, outcome.winner):
        return None
    return {Split.TEST: outcome.test, Split.VAL: outcome.val}.get(split)


def _compared(a: Side, pairs: Sequence[Pair]) -> Comparison:
    seed = a.reader.meta.search.get("seed")
    groups = {pair.b.id: pair.b.group for pair in pairs if pair.b.group is not None}
    before, after = (evaluation(rows, "") for rows in ([pair.a for pair in pairs], [pair.b for pair in pairs]))
    return compare(before, after, seed=seed if isinstance(seed, int) else 0, groups=groups)


def _by(pairs: Sequence[Pair], names: Callable[[Pair], Iterable[str]]) -> list[dict[str, Any]]:
    """Figures by tag; the one that lost most comes first."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        for name in names(pair):
            found.setdefault(name, []).append(pair)
    told = [{"tag": name, **_sums(members)} for name, members in found.items()]
    return sorted(told, key=lambda one: (1.0 if one["gain"] is None else one["gain"], -one["broken"], one["tag"]))


def _sums(pairs: Sequence[Pair]) -> dict[str, Any]:
    scored = [(pair.a.score, pair.b.score) for pair in pairs if pair.a.score is not None and pair.b.score is not None]
    n = len(scored)
    fates = Counter(pair.fate for pair in pairs)
    first, second = (sum(values) / n if n else None for values in (([a for a, _ in scored]), ([b for _, b in scored])))
    return {
        "n": n,
        "a": first,
        "b": second,
        "gain": None if first is None or second is None else second - first,
        **{fate: fates[fate] for fate in FATES},
    }


def _checks(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Figures by check: rows that pass it under either, and those that turned. The one that lost most comes first."""
    names = dict.fromkeys(name for pair in pairs for name in pair.a.checks if name in pair.b.checks)
    found = []
    for name in names:
        both = [(pair.a.checks[name], pair.b.checks[name]) for pair in pairs if _has(pair, name)]
        found.append(
            {
                "check": name,
                "n": len(both),
                "a": sum(a.value for a, _ in both) / len(both),
                "b": sum(b.value for _, b in both) / len(both),
                "passed": [sum(a.passed for a, _ in both), sum(b.passed for _, b in both)],
                "fixed": sum(b.passed and not a.passed for a, b in both),
                "broken": sum(a.passed and not b.passed for a, b in both),
            }
        )
    return sorted(found, key=lambda one: (one["b"] - one["a"], one["check"]))


def _has(pair: Pair, name: str) -> bool:
    return name in pair.a.checks and name in pair.b.checks


def _per_call(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over the rows that both ran on, errors left out; None where a figure is not known of each of them."""
    ran = [row for row in rows if row.tokens is not None]
    seconds = sorted(row.seconds for row in ran if row.seconds is not None)
    prices = [row.usd for row in ran if row.usd is not None]
    n = len(ran)
    return {
        "calls": n,
        "input_tokens": sum(row.tokens[0] for row in ran if row.tokens) / n if n else None,
        "output_tokens": sum(row.tokens[1] for row in ran if row.tokens) / n if n else None,
        "usd": sum(prices) / n if n and len(prices) == n else None,
        "seconds_p50": seconds[len(seconds) // 2] if seconds else None,
        "seconds_p95": seconds[min(int(len(seconds) * 0.95), len(seconds) - 1)] if seconds else None,
    }


def _sets(a: Side, b: Side) -> dict[str, Any]:
    """How the eval sets of both runs differ, and the test rows that neither opened."""
    here = contents(a.reader)
    there = here if a.reader.folder == b.reader.folder else contents(b.reader)
    moved = [name for name in here if name in there and here[name][0] != there[name][0]]
    opened = {name for side in (a, b) for (name,) in side.reader.query(_OPENED)}
    return {
        "same": here == there,
        "changed": sorted(name for name in here if name in there and here[name][1] != there[name][1]),
        "only_a": sorted(here.keys() - there.keys())[:NAMED],
        "only_b": sorted(there.keys() - here.keys())[:NAMED],
        "moved": sorted(moved)[:NAMED],
        "sealed": sum(split == Split.TEST.value and name not in opened for name, (split, _) in there.items()),
    }


# Naming the candidates lets the index on them answer.
_OPENED = """
SELECT DISTINCT example FROM results
WHERE candidate IN (SELECT DISTINCT fingerprint FROM prompts) AND split = 'test'
"""


def _conditions(a: Side, b: Side) -> list[str]:
    """What else differs than the prompt, in words."""
    one, other = a.reader.meta, b.reader.meta
    told = []
    if (one.model, one.model_settings) != (other.model, other.model_settings):
        same = one.model == other.model
        told.append(f"settings of model {one.model}" if same else f"model: {one.model}, then {other.model}")
    if dict(one.metrics) != dict(other.metrics):
        told.append("metrics")
    if one.repeats != other.repeats:
        told.append(f"repeats: {one.repeats}, then {other.repeats}")
    return told
