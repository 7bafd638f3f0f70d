"""Failures that a judge explains in free words: causes are known, every row is worded anew.

A draw is one judge: a few causes, a preamble and an ending of its own, six phrasings a cause, other numbers and quotes
in every row, and now and then a row with two causes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from benchmarks.clusters.truth import Known
from optimizer.dataset import Example
from optimizer.results import Completion, Evaluation, Result, Score

BANKS = Path(__file__).parent / "banks"
CAUSES = (3, 6)
"""How many a draw has, from and to."""
ROWS = (4, 14)
"""Rows of one cause, from and to."""
TWO_CAUSES = 0.12
"""Share of rows with a second cause."""
JOINTS = (" Also: ", " Besides, ", " ", "\n- ")
"""What stands between two causes of one row."""
SNIPPETS = (
    "Dear Sir or Madam", "see you soon", "this might take a while", "42-7781", "as stated above", "our partner",
    "kindly note", "in due course", "ok, whatever", "the item", "A-119", "you know how it is",
)  # fmt: skip


@lru_cache
def bank(name: str) -> dict[str, tuple[str, ...]]:
    """Cause -> its phrasings, of one file of `banks/`."""
    parts = (BANKS / f"{name}.txt").read_text(encoding="utf-8").split("# ")[1:]
    return {part.split("\n")[0]: tuple(part.strip().split("\n")[1:]) for part in parts}


@lru_cache
def lines(name: str) -> tuple[str, ...]:
    """Lines of one file of `banks/`; the first is empty."""
    return tuple((BANKS / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n").split("\n"))


def draw(name: str, seed: int) -> Known:
    """One judge's failures, with causes of one bank."""
    rng = Random(f"reasons:{name}:{seed}")
    causes = rng.sample(sorted(bank(name)), rng.randint(*CAUSES))
    preamble, ending = rng.choice(lines("preambles")), rng.choice(lines("endings"))
    reasons: dict[str, str] = {}
    truth: dict[str, frozenset[str]] = {}
    for cause in causes:
        for _ in range(rng.randint(*ROWS)):
            second = [rng.choice([other for other in causes if other != cause])] if rng.random() < TWO_CAUSES else []
            key = f"row-{len(reasons):03}"
            told = [_filled(rng.choice(bank(name)[one]), rng) for one in [cause, *second]]
            reasons[key] = _filled(preamble, rng) + rng.choice(JOINTS).join(told) + _filled(ending, rng)
            truth[key] = frozenset([cause, *second])
    return judged(reasons, truth)


def large(rng: Random, rows: int = 10_000) -> dict[str, Known]:
    """Many failures: what they are -> the failures. Their causes are not told."""
    names = ("tuning", "heldout", "confusable")
    phrasings = [phrasing for name in names for told in bank(name).values() for phrasing in told]
    words = ["".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(3)) for _ in range(4000)]
    two = [f"{rng.choice(phrasings)} Besides, {rng.choice(phrasings)}" for _ in range(rows)]
    any_ = [" ".join(rng.choice(words) for _ in range(12)) for _ in range(rows)]
    made = {f"a judge, two causes a row, {len(phrasings)} phrasings": two, "a judge, no two reasons alike": any_}
    return {
        name: judged({f"row-{n:05}": f"After review: {_filled(text, rng)}" for n, text in enumerate(told)}, {})
        for name, told in made.items()
    }


def judged(reasons: dict[str, str], truth: dict[str, frozenset[str]]) -> Known:
    """Rows that fail for the reasons given, by id."""
    examples = {key: Example(id=key, inputs={"text": f"message {key}"}) for key in reasons}
    results = {
        key: Result(
            example=key,
            candidate="prompt",
            completion=Completion(text="an answer"),
            scores=(Score(metric="judge", value=0.0, passed=False, reason=reason, place="text"),),
        )
        for key, reason in reasons.items()
    }
    return Known(examples=examples, evaluation=Evaluation(candidate="prompt", results=results), causes=truth)


def _filled(text: str, rng: Random, snippets: Sequence[str] = SNIPPETS) -> str:
    while "{n}" in text:
        text = text.replace("{n}", str(rng.randint(2, 400)), 1)
    while "{q}" in text:
        text = text.replace("{q}", f'"{rng.choice(snippets)}"', 1)
    return text
