"""The winner becomes a version file, with the reasons and prices of its lines beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optimizer.edits import changed_lines
from optimizer.errors import UserError
from optimizer.events import Decided
from optimizer.outcome import Comparison, Outcome, Verdict
from optimizer.prompt import Prompt
from optimizer.readers.prompts import load_prompt
from optimizer.readers.provenance import EditRecord, Provenance, ScoreRecord
from optimizer.readers.versions import list_versions, save_version, version_of
from optimizer.redaction import Scrubber


def ship(
    seed: Prompt, winner: Prompt, outcome: Outcome, *, run_id: str, folder: Path, stand_in: bool = False
) -> Decided:
    """Write the winner as the next version, and say where; a version with the same content is not written twice.

    A winner that is worse than its seed, or blocked, is kept in the run alone.

    Args:
        seed: the prompt that the run began with.
        winner: the prompt that it ends with.
        outcome: the verdict, the comparisons and the prices of the lines.
        run_id: goes into the provenance.
        folder: the folder that holds a folder a prompt.
        stand_in: whether the offline stand-in gave the figures.

    Raises StoreError where the file cannot be written.
    """
    if outcome.verdict in (Verdict.WORSE, Verdict.BLOCKED):
        return Decided(kind="not written", round=0, reason=f"the verdict is {outcome.verdict}: the seed stays")
    path = _same_content(winner, folder / winner.name)
    if path is None:
        saved = save_version(winner, provenance(seed, winner, outcome, run_id, stand_in=stand_in), folder)
        path = folder / winner.name / f"v{saved.version}.yaml"
    version = version_of(path)
    return Decided(
        kind="written",
        round=0,
        reason=f"{winner.name}@v{version}",
        figures={"path": str(path), "version": version},
    )


def provenance(seed: Prompt, winner: Prompt, outcome: Outcome, run_id: str, *, stand_in: bool = False) -> Provenance:
    """Where the winner comes from: its edits with cluster and worth, its scores with intervals."""
    prices = {line.id: line for line in outcome.lines}
    # A cause is named after what rows hold.
    scrub = Scrubber().text
    edits = []
    demos = {demo.id for demo in (*seed.demos, *winner.demos)}
    for line_id, old, new in changed_lines(seed, winner):
        op = "add" if old is None else "remove" if new is None else "replace"
        price = prices.get(line_id)
        edits.append(
            EditRecord(
                op=f"{op}_{'demo' if line_id in demos else 'line'}",
                line=line_id,
                text=new.text if new else None,
                cluster=scrub(price.cluster) if price else "",
                worth=price.worth if price else None,
                ci=price.ci if price else None,
                label=price.label if price and price.worth is not None else "",
            )
        )
    scores = {}
    if outcome.test:
        scores["test"] = replace(_scores(outcome.test), verdict=outcome.verdict.value)
    if outcome.val:
        scores["val"] = _scores(outcome.val)
    return Provenance(
        parent=seed.ref,
        run=run_id,
        stand_in=stand_in,
        edits=tuple(edits),
        scores=scores,
        sha256=winner.fingerprint,
        lines=tuple(line.id for line in winner.lines),
    )


def _scores(paired: Comparison) -> ScoreRecord:
    return ScoreRecord(n=paired.n, baseline=paired.baseline, winner=paired.winner, gain=paired.gain, ci=paired.ci)


def _same_content(winner: Prompt, home: Path) -> Path | None:
    """The newest version that reads exactly like the winner."""
    for path in reversed(list_versions(home)):
        try:
            found = load_prompt(path)
        except UserError:
            # A version that cannot be read is not this one, and no reason to end a run that is paid for.
            continue
        if found.fingerprint == winner.fingerprint:
            return path
    return None
