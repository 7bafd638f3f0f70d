"""A gate for GitHub Actions: annotations on lines of the prompt's file, outputs of the step.

A workflow command is a line that the runner obeys: `::error file=F,line=N::message`. Here percent signs and line ends
of every value are escaped, and colons and commas of properties too, so that no text ends a value or begins a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from optimizer.errors import UserError
from optimizer.gate.checks import Gate
from optimizer.gate.evidence import Evidence
from optimizer.gate.facts import score
from optimizer.outcome import LineWorth
from optimizer.readers.places import places
from optimizer.report.wording import counted, interval, points
from optimizer.terminal import clean, defused

MOST = 10
"""Annotations of one step and level that GitHub shows."""
MOST_TEXT = 500
"""Characters of one message."""
MOST_IDS = 5
"""Rows that a message names."""
TITLE = "optimizer gate"


def commands(gate: Gate, workspace: Path) -> list[str]:
    """Workflow commands, at most ten: what failed, then lines of the prompt that hurt or broke rows.

    Args:
        gate: the gate.
        workspace: the checkout, which paths of annotations are relative to: GITHUB_WORKSPACE.
    """
    evidence = gate.evidence
    level = "warning" if gate.passed else "error"
    own = evidence.path or evidence.seed_path
    found = [
        _command(level, f"{check.name} {check.status}: {gate.marked(check)}", file=_relative(own, workspace))
        for check in gate.failed
    ]
    found += _of_lines(evidence, level, workspace)
    if len(found) > MOST:
        left = f"... and {len(found) - MOST + 1} more: see the summary"
        found = [*found[: MOST - 1], _command(level, left)]
    return found


def outputs(gate: Gate) -> str:
    """`name=value` lines for GITHUB_OUTPUT: words and numbers of ours alone."""
    evidence, mean = gate.evidence, score(gate.evidence)
    gained = evidence.compared.gain if evidence.compared is not None and evidence.run else None
    told = {
        "passed": str(gate.passed).lower(),
        "exit-code": str(gate.exit_code),
        "verdict": evidence.verdict.value if evidence.verdict else "",
        "score": "" if mean is None else f"{mean:.4f}",
        "gain": "" if gained is None else f"{gained:.4f}",
    }
    return "".join(f"{name}={value}\n" for name, value in told.items())


def _of_lines(evidence: Evidence, level: str, workspace: Path) -> Iterator[str]:
    bad = [line for line in evidence.lines if line.label == "hurts" or line.broken]
    if not bad:
        return
    own = _places(evidence.path, bad)
    seed = _places(evidence.seed_path, bad, by_id=True)
    for line in bad:
        told = f"{_told(line)}{evidence.mark}"
        if line.id in own:
            yield _command(level, told, file=_relative(evidence.path, workspace), line=own[line.id])
        else:
            # Removed, or never written to a file: what it took the place of may stand in the seed.
            file = _relative(evidence.seed_path or evidence.path, workspace)
            yield _command(level, told, file=file, line=seed.get(line.id))


def _places(path: str, lines: Sequence[LineWorth], *, by_id: bool = False) -> dict[str, int]:
    """Line id -> line of the file; empty where the file is gone, or is no prompt any more."""
    if not path:
        return {}
    wanted = [line for line in lines if by_id or line.change != "removed"]
    try:
        return places(Path(path), [(line.id, None if by_id else line.text) for line in wanted])
    except UserError:
        return {}


def _told(line: LineWorth) -> str:
    price = "worth not measured"
    if line.worth is not None:
        price = f"{points(line.worth)} points {interval(line.ci)}, {line.label}"
    told = f"{line.change} line {line.id}: {price}; fixed {counted(len(line.fixed), 'row')}"
    if line.broken:
        more = ", ..." if len(line.broken) > MOST_IDS else ""
        told += f", broke {len(line.broken):,}: {', '.join(line.broken[:MOST_IDS])}{more}"
    return f"{told} | {line.text}"


def _relative(path: str, workspace: Path) -> str:
    """The path as GitHub finds it: from the checkout, with forward slashes; empty for one that lies outside."""
    if not path:
        return ""
    full = Path(path).resolve()
    return full.relative_to(workspace.resolve()).as_posix() if full.is_relative_to(workspace.resolve()) else ""


def _command(level: str, text: str, *, file: str = "", line: int | None = None) -> str:
    shown = clean(text)
    cut = shown if len(shown) <= MOST_TEXT else f"{shown[:MOST_TEXT]}..."
    parts = [f"file={_property(file)}"] if file else []
    parts += [f"line={line}"] if file and line else []
    parts.append(f"title={_property(TITLE)}")
    return f"::{level} {','.join(parts)}::{_data(cut)}"


def _data(text: str) -> str:
    # The runner's older way to write a command counts anywhere in a line.
    return defused(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")
