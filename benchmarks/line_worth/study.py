"""How true the worth of lines is: prompts of lines of known kinds in the worlds of the search benchmark.

    python benchmarks/line_worth/study.py --write                             # benchmarks/results/line-worth.md
    python benchmarks/line_worth/study.py --families slots --seeds 1000:1006 --only 250   # for tuning
    python benchmarks/line_worth/study.py --arm once                          # nothing is asked again
    python benchmarks/line_worth/study.py --arm plain                         # each line left out on all of val

The truth is the effect on 2,000 further rows, with the model's luck held equal with and without the line. A line that
was kept is held against its effect in the prompt that is left, a line that was dropped against that in the winner.
The worlds are stand-ins; no figure here says anything of a real model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.line_worth.cases import Case, Size, case_of, effects, score  # noqa: E402
from benchmarks.line_worth.plain import plain  # noqa: E402
from benchmarks.search.run import numbers  # noqa: E402
from optimizer.attribute import Priced, attribute  # noqa: E402
from optimizer.attribute.asking import Desk  # noqa: E402
from optimizer.edits import without_line  # noqa: E402
from optimizer.outcome import Phase  # noqa: E402
from optimizer.prompt import Prompt  # noqa: E402

FAMILIES = ("slots", "style", "nested", "taxonomy", "facts")
SEEDS = tuple(range(2000, 2012))
"""Seeds that nothing is tuned on; those from 1000 on are for tuning."""
SIZES = (
    *(Size(train=150, val=100, adherence=adherence, reserve=475) for adherence in (0.8, 0.9, 0.95)),
    *(Size(train=100, val=60, adherence=adherence, reserve=500) for adherence in (0.8, 0.9, 0.95)),
    *(Size(train=100, val=60, adherence=adherence, reserve=200) for adherence in (0.8, 0.9, 0.95)),
)
ARMS = {
    "ours": "as it ships",
    "once": "rows that differ are not asked again",
    "plain": "each line left out on all of val, one after another, with the interval of the difference",
}
RESULT = ROOT / "benchmarks" / "results" / "line-worth.md"
WANTED = "150 + 100 rows, adherence 0.9, reserve 475"
"""The cases that the second target speaks of."""
LARGE = 0.04
"""A worth that 250 rows must show."""
MATTERS = 0.01
"""A line that is worth this in the end must not go."""
NOTHING = 0.003
"""A line that is worth less in the end is useless."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One line: what was said, and what is true."""

    family: str
    seed: int
    line: str
    kind: str
    label: str
    worth: float | None
    raw: float | None
    ci: tuple[float, float] | None
    rows: int
    dropped: bool
    truth: float
    """Its effect in the prompt that it was priced in."""
    end: float
    """Its effect beside what is left: for a dropped line, were it put back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One case."""

    lines: tuple[Told, ...]
    calls: int
    """Requests used."""
    change: float
    """True score of what is left, minus that of the winner."""


async def nothing(*_: object) -> None:
    """Asks for nothing again."""


async def run(family: str, seed: int, size: Size, arm: str) -> Run:
    """Price one winner, and hold the prices against the truth."""
    case = await case_of(family, seed, size)
    if arm == "plain":
        priced = await plain(case)
    else:
        with nullcontext() if arm == "ours" else patch.object(Desk, "look_again", nothing):
            priced = await attribute(case.bench, case.seed, case.winner, case.causes)
    left = priced.winner.prompt
    return Run(
        lines=tuple(told(case, priced, left, family, seed)),
        calls=len(case.bench.plan.asked[Phase.ATTRIBUTION]),
        change=score(case.world, left) - score(case.world, case.winner.prompt),
    )


def told(case: Case, priced: Priced, left: Prompt, family: str, seed: int) -> Iterator[Told]:
    """Every line with its truth."""
    at_winner = effects(case, case.winner.prompt, [one.id for one in priced.dropped])
    at_end = effects(case, left, [one.id for one in priced.lines])
    gone = [one.id for one in priced.dropped]
    for one in (*priced.lines, *priced.dropped):
        dropped = one.id in gone
        end = put_back(case, left, gone, one.id) if dropped else at_end[one.id]
        planted = case.planted.get(one.id)
        yield Told(
            family=family,
            seed=seed,
            line=one.id,
            kind=planted.kind if planted else "of the seed",
            label=one.label,
            worth=one.worth,
            raw=one.raw,
            ci=one.ci,
            rows=one.rows,
            dropped=dropped,
            truth=at_winner[one.id] if dropped else end,
            end=end,
        )


def put_back(case: Case, left: Prompt, gone: Sequence[str], line: str) -> float:
    """What a dropped line would be worth beside what is left."""
    removed = {one.id for one in case.winner.prompt.lines} - {one.id for one in left.lines} - {line}
    back = case.winner.prompt
    for other in gone:
        back = back if other == line else without_line(case.seed, back, other)
    keep = [
        type(message)(role=message.role, lines=tuple(one for one in message.lines if one.id not in removed))
        for message in back.messages
    ]
    return score(case.world, type(back)(name=back.name, messages=tuple(keep), variables=back.variables)) - score(
        case.world, left
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a number of cases show."""

    lines: int
    labelled: int
    right: float
    """Labelled lines whose sign is that of the truth."""
    large: int
    """Lines of 4 points or more, either way."""
    found: float
    """Of these, labelled rightly."""
    rho: float
    """Spearman's rank correlation of the worth with the truth."""
    rho_raw: float
    """The same of the worth before it was shrunk, where there is one."""
    cover: float
    """Intervals that hold the truth, to a tenth of a point."""
    lost: float
    """Lines worth a point or more in the end that were dropped."""
    idle: float
    """Lines worth less than 0.3 points in the end that stayed."""
    calls: float
    change: float


def figures(runs: Sequence[Run]) -> Figures:
    """Figures over all lines of some cases."""
    lines = [line for one in runs for line in one.lines]
    labelled = [line for line in lines if line.label != "not measurable"]
    large = [line for line in lines if abs(line.truth) >= LARGE]
    priced = [(line.worth, line.truth) for line in lines if line.worth is not None]
    raw = [(line.raw, line.truth) for line in lines if line.raw is not None]
    held = [line.ci[0] - 0.001 <= line.truth <= line.ci[1] + 0.001 for line in lines if line.ci is not None]
    return Figures(
        lines=len(lines),
        labelled=len(labelled),
        right=share(is_right(line) for line in labelled),
        large=len(large),
        found=share(line.label != "not measurable" and is_right(line) for line in large),
        rho=spearman(priced),
        rho_raw=spearman(raw),
        cover=share(held),
        lost=share(line.dropped for line in lines if line.end >= MATTERS),
        idle=share(not line.dropped for line in lines if line.end < NOTHING),
        calls=fmean(one.calls for one in runs),
        change=fmean(one.change for one in runs),
    )


def is_right(line: Told) -> bool:
    """Whether a label has the sign of the truth."""
    return line.truth > 0 if line.label == "earns" else line.truth < 0


def share(found: Iterator[bool] | Sequence[bool]) -> float:
    """Part that is true; nan of nothing."""
    values = list(found)
    return fmean(values) if values else float("nan")


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Rank correlation, ties at their mean rank; nan of fewer than three pairs."""
    if len(pairs) < 3:
        return float("nan")
    first, second = ranks([pair[0] for pair in pairs]), ranks([pair[1] for pair in pairs])
    middle = (len(pairs) + 1) / 2
    both = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    spread = sum((a - middle) ** 2 for a in first) * sum((b - middle) ** 2 for b in second)
    return both / spread**0.5 if spread else float("nan")


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the least."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), 1):
        places[value].append(place)
    return [fmean(places[value]) for value in values]


INTRODUCTION = """# Worth of lines and its truth

Prompts of lines of known kinds (true rules, rules said twice, harmful, spurious and useless ones) in five families of
the search benchmark's worlds, seeds {first} to {last}, on which nothing was tuned. The truth is the effect on 2,000
further rows with the model's luck held equal. "Right sign" counts lines labelled *earns* or *hurts*; "interval holds"
counts intervals that hold the truth to a tenth of a point; "dropped, worth 1 point" counts lines worth a point or more
in the end that are gone; "kept, worth nothing" those worth less than 0.3 points that stayed; "score" is the change of
the true score by the drops, in points. The worlds are stand-ins: no figure here says anything of a real model."""
HEAD = (
    "| cases | lines | labelled | right sign | of 4 points or more | labelled rightly | Spearman | raw "
    "| interval holds | dropped, worth 1 point | kept, worth nothing | calls | score |\n|---" + "|---" * 12 + "|"
)


def row(name: str, found: Figures) -> str:
    """One line of the table."""
    return (
        f"| {name} | {found.lines} | {found.labelled} | {found.right:.1%} | {found.large} | {found.found:.1%} | "
        f"{found.rho:.2f} | {found.rho_raw:.2f} | {found.cover:.1%} | {found.lost:.1%} | {found.idle:.0%} | "
        f"{found.calls:.0f} | {100 * found.change:+.1f} |"
    )


def chosen() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--families", default=",".join(FAMILIES), help="comma-separated")
    parser.add_argument("--seeds", type=numbers, default=SEEDS, help="2000:2012 or 3,5")
    parser.add_argument("--arm", default="ours", choices=tuple(ARMS))
    parser.add_argument("--only", type=int, help="sizes of so many rows alone: 160 or 250")
    parser.add_argument("--adherence", type=float, help="of this adherence alone")
    parser.add_argument("--reserve", type=int, help="of this reserve alone")
    parser.add_argument("--keep", type=Path, help="a file that gets every line as JSON")
    parser.add_argument(
        "--write", action="store_true", help="all sizes and arms, into benchmarks/results/line-worth.md"
    )
    return parser.parse_args()


def sizes(asked: argparse.Namespace) -> list[Size]:
    """Those that the command line asks for."""
    return [
        size
        for size in SIZES
        if asked.only in (None, size.train + size.val)
        and asked.adherence in (None, size.adherence)
        and asked.reserve in (None, size.reserve)
    ]


def main() -> None:
    """Run and print, or write the page."""
    asked = chosen()
    if asked.write:
        RESULT.write_text(page(), encoding="utf-8")
        return
    kept: list[dict[str, object]] = []
    for size in sizes(asked):
        runs = study(size, asked.arm, asked.families.split(","), asked.seeds)
        print(f"\n{size}, {asked.arm}, {len(asked.seeds)} seeds a family\n\n{table(runs)}", flush=True)
        kept += [{"size": str(size), **asdict(line)} for found in runs.values() for one in found for line in one.lines]
    if asked.keep:
        asked.keep.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")


def study(size: Size, arm: str, families: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Run]]:
    """Family -> its cases."""
    return {family: [asyncio.run(run(family, seed, size, arm)) for seed in seeds] for family in families}


def table(runs: Mapping[str, Sequence[Run]]) -> str:
    """A row a family, and one for all of them."""
    rows = [row(family, figures(found)) for family, found in runs.items()]
    return "\n".join([HEAD, *rows, row("**all**", figures([one for found in runs.values() for one in found]))])


def page() -> str:
    """The result as it is kept: targets first, then every size, then the arms that it is held against."""
    found = {}
    for size in SIZES:
        print(size, file=sys.stderr, flush=True)
        found[str(size)] = study(size, "ours", FAMILIES, SEEDS)
    parts = [INTRODUCTION.format(first=SEEDS[0], last=SEEDS[-1]), targets(found)]
    for name, runs in found.items():
        parts.append(f"## {name}\n\n{table(runs)}")
    for arm in ("once", "plain"):
        size = next(size for size in SIZES if str(size) == WANTED)
        parts.append(f"## Beside it: {ARMS[arm]}\n\n{size}.\n\n{table(study(size, arm, FAMILIES, SEEDS))}")
    return "\n\n".join(parts) + "\n"


def targets(found: Mapping[str, Mapping[str, Sequence[Run]]]) -> str:
    """What was asked for, and what came."""
    every = figures([one for runs in found.values() for several in runs.values() for one in several])
    wanted = figures([one for several in found[WANTED].values() for one in several])
    rows = [
        ("labelled lines with the right sign, all cases", f"{every.right:.1%}", "97%", every.right >= 0.97),
        (f"lines of 4 points or more labelled rightly, {WANTED}", f"{wanted.found:.1%}", "95%", wanted.found >= 0.95),
        ("Spearman's correlation of worth and truth, all cases", f"{every.rho:.2f}", "0.8", every.rho >= 0.8),
    ]
    told = [f"| {what} | {figure} | {least} | {'yes' if holds else '**no**'} |" for what, figure, least, holds in rows]
    return "\n".join(["| figure | is | at least | holds |", "|---|---:|---:|---|", *told])


if __name__ == "__main__":
    main()
