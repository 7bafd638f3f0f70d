"""One label of a set: `label`, and the figures of a whole set of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.dataset import Example
from optimizer.errors import ConfigError
from optimizer.metrics.base import FLAG, TEXTS, Check, Finding, MetricContext, expected_text, text_fault, wanted_text
from optimizer.results import Result
from optimizer.wording import cut, difference, loose, nearest, normal, quote, within

OUTSIDE: Final = "(no label)"
"""Column of the confusion matrix for outputs that are none of the labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label(Check):
    """The output is the row's expected label: compared in Unicode NFC, whitespace at both ends left out."""

    name: ClassVar[str] = "label"
    short: ClassVar[str | None] = "labels"

    labels: tuple[str, ...] = field(default=(), metadata=TEXTS)
    """The set; where it is empty, any text can be a label."""
    ignore_case: bool = field(default=False, metadata=FLAG)
    """Whether `Mixed` is the label `mixed`."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """No label twice."""
        views = Counter(view(label, args.get("ignore_case", False)) for label in args.get("labels", ()))
        twice = [label for label, count in views.items() if count > 1]
        if twice:
            raise ConfigError(f"the label {quote(twice[0])} is listed twice; leave one out")
        return Check.prepare(args, root)

    async def measure(self, context: MetricContext) -> Finding:
        """1 for the expected label, else 0; an output that is no label at all says so."""
        wanted = wanted_text(self.key, None, context)
        got = self.read(context.output)
        if got is not None and view(got, self.ignore_case) == view(wanted, self.ignore_case):
            return Finding(value=1.0, place="label", wanted=cut(wanted), got=cut(got))
        if got is None:
            reason = f"the output is not one of the labels: {self._outside(context.output)}"
        else:
            kind = "" if self.labels else difference(got, wanted)
            reason = f"the label is {quote(got)}, expected {quote(wanted)}{kind}"
        found = context.output.strip() if got is None else got
        return Finding(reason=reason, place="label", wanted=cut(wanted), got=cut(found))

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The label is the one that it must not be."""
        found = finding.got or ""
        return Finding(reason=f"the label is {quote(found)}, which it must not be", place="label", got=found)

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """A row needs a label, and one of the set."""
        fault = text_fault(self.key, example)
        if fault is not None or not self.labels:
            return fault
        wanted = expected_text(example) or ""
        if self.read(wanted) is not None:
            return None
        near = nearest(wanted, self.labels)
        return f"is {quote(wanted)}, which {self.key} does not list", near or "add it to the labels, or mend the row"

    def read(self, output: str) -> str | None:
        """The label that an output is, as the set writes it; None where it is none of them."""
        if not self.labels:
            return output.strip()
        found = view(output, self.ignore_case)
        return next((label for label in self.labels if view(label, self.ignore_case) == found), None)

    def _outside(self, output: str) -> str:
        plain = loose(output)
        for label in self.labels:
            if loose(label) == plain:
                return f"it is {quote(output)}, near {quote(label)}{difference(output, label)}"
        named = [label for label in self.labels if within(loose(label), plain)]
        # A label inside a longer label that is named too is not named by itself: "positive" in "very positive".
        named = [a for a in named if not any(a != b and within(loose(a), loose(b)) for b in named)]
        if len(named) == 1:
            return f"it has extra words around {quote(named[0])}"
        if named:
            return f"it names several of them, {quote(', '.join(named))}"
        return f"it is {quote(output)} (labels are: {quote(', '.join(self.labels))})"


def view(text: str, ignore_case: bool) -> str:
    """A label as it is compared."""
    return normal(text, ignore_case=ignore_case).strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFigure:
    """How well one label is found; each figure in [0, 1], 0 where there is nothing to divide by."""

    label: str
    """The label."""
    precision: float
    """Part of the outputs with this label that are right."""
    recall: float
    """Part of the rows that expect it whose output is it."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Rows that expect it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFigures:
    """Figures over a set of rows. They are reported and never decide what is accepted."""

    labels: tuple[LabelFigure, ...]
    """One for each label that is expected or comes out at least once."""
    confusion: Mapping[str, Mapping[str, int]]
    """Expected label -> label that came out -> rows; `(no label)` counts outputs outside the set."""
    macro_f1: float
    """Mean F1 of `labels`, in [0, 1]; each label weighs the same, however rare."""
    accuracy: float
    """Part of the rows that are right, in [0, 1]."""
    rows: int
    """Rows counted; errors and rows without an expected label are left out."""


def label_figures(metric: Label, examples: Mapping[str, Example], results: Iterable[Result]) -> LabelFigures:
    """Macro-F1, confusion matrix and figures per label.

    Args:
        metric: says how an output is read as a label; without a set of labels, the expected ones are the set.
        examples: id -> example, at least for every result.
        results: results of one candidate; those that are errors are left out.
    """
    ran = [result for result in results if result.error is None]
    pairs = [(expected_text(examples[r.example]), r.output) for r in ran]
    known = [(wanted, output) for wanted, output in pairs if wanted is not None]
    if not metric.labels:
        expected = tuple(dict.fromkeys(wanted for wanted, _ in known))
        metric = Label(key=metric.key, labels=expected, ignore_case=metric.ignore_case)
    counts = Counter((metric.read(wanted) or wanted, metric.read(output) or OUTSIDE) for wanted, output in known)
    seen = {label for pair in counts for label in pair} - {OUTSIDE}
    order = [label for label in metric.labels if label in seen] + sorted(seen - set(metric.labels))
    figures = tuple(_figure(label, counts) for label in order)
    right = sum(count for (wanted, got), count in counts.items() if wanted == got)
    return LabelFigures(
        labels=figures,
        confusion={
            wanted: {got: counts[wanted, got] for got in [*order, OUTSIDE] if counts[wanted, got]}
            for wanted in order
            if any(pair[0] == wanted for pair in counts)
        },
        macro_f1=sum(figure.f1 for figure in figures) / len(figures) if figures else 0.0,
        accuracy=right / len(known) if known else 0.0,
        rows=len(known),
    )


def _figure(label: str, counts: Counter[tuple[str, str]]) -> LabelFigure:
    right = counts[label, label]
    came = sum(count for (_, got), count in counts.items() if got == label)
    support = sum(count for (wanted, _), count in counts.items() if wanted == label)
    return LabelFigure(
        label=label,
        precision=right / came if came else 0.0,
        recall=right / support if support else 0.0,
        f1=2 * right / (came + support) if came + support else 0.0,
        support=support,
    )
