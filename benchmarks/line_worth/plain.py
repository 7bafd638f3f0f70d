"""What it is held against: each line left out on all of val, one after another, for as many as the reserve pays."""

from __future__ import annotations

from benchmarks.line_worth.cases import Case
from optimizer.attribute import Priced
from optimizer.dataset import Split
from optimizer.edits import changed_lines, without_line
from optimizer.evaluator import Purpose
from optimizer.outcome import LineWorth, Phase
from optimizer.stats import compare

PURPOSE = Purpose(phase=Phase.ATTRIBUTION, split=Split.VAL, round=0)


async def plain(case: Case) -> Priced:
    """Price without strata, second askings or shrinkage; a line is labelled where its interval leaves out zero."""
    bench, winner = case.bench, case.winner
    changed = changed_lines(case.seed, winner.prompt)
    texts = {line: new.content for line, _, new in changed if new is not None}
    order = sorted(texts, key=lambda line: (case.causes[texts[line]].members, line))
    found: dict[str, LineWorth] = {}
    for line in order:
        priced = LineWorth(
            id=line, text=texts[line], change="added", worth=None, ci=None, label="not measurable", cluster="", tokens=0
        )
        part = without_line(case.seed, winner.prompt, line)
        if bench.evaluator.cost(part, bench.val) <= bench.plan.left(Phase.ATTRIBUTION):
            paired = compare(await bench.evaluator.evaluate(part, bench.val, PURPOSE), winner.val, seed=bench.seed)
            label = "earns" if paired.ci[0] > 0 else "hurts" if paired.ci[1] < 0 else "not measurable"
            priced = LineWorth(
                id=line,
                text=texts[line],
                change="added",
                worth=paired.gain,
                ci=paired.ci,
                label=label,
                cluster="",
                tokens=0,
                raw=paired.gain,
                rows=paired.n,
            )
        found[line] = priced
    useless = [line for line, priced in found.items() if priced.worth is not None and priced.worth <= 0]
    prompt = winner.prompt
    for line in useless:
        prompt = without_line(case.seed, prompt, line)
    kept = tuple(priced for line, priced in found.items() if line not in useless)
    return Priced(
        winner=type(winner)(prompt=prompt, val=winner.val), lines=kept, dropped=tuple(found[line] for line in useless)
    )
