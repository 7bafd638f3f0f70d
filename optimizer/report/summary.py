"""The facts of a run as plain values: what `show --json` prints, for runs that have not ended as well."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Split, groups_of
from optimizer.outcome import Comparison, LineWorth, Outcome, Phase, Role
from optimizer.prompt import Prompt
from optimizer.report.front import front
from optimizer.report.wording import go_on
from optimizer.stats import compare
from optimizer.store.figures import ClusterChange, PerCall, cluster_changes, flips, per_call, row_errors
from optimizer.store.reader import RunReader, RunStatus
from optimizer.store.totals import Spending, spending
from optimizer.tokens import prompt_tokens

MOST_ERRORS = 1000
"""Rows with an error that are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the summary is made of: read once, in one snapshot."""

    reader: RunReader
    """The run."""
    outcome: Outcome | None
    """How it ended."""
    seed: Prompt | None
    """The prompt that it began with."""
    winner: Prompt | None
    """The winner, or the champion so far."""
    spent: Spending
    """What was sent."""

    @property
    def pair(self) -> tuple[str, str]:
        """Fingerprints of seed and winner."""
        seed = self.seed.fingerprint if self.seed else self.reader.meta.seed_prompt
        return seed, self.winner.fingerprint if self.winner else seed


def summary(reader: RunReader) -> dict[str, Any]:
    """The facts of a run. Figures that are not known are None, never 0; figures on val are optimistic.

    Raises StoreError where the run is damaged.
    """
    with reader.snapshot():
        outcome = reader.outcome()
        facts = Facts(
            reader=reader,
            outcome=outcome,
            seed=reader.seed(),
            winner=reader.best(),
            spent=spending(reader),
        )
        return {**_about(facts), **_scores(facts), **_costs(facts), **_prompt(facts), **_causes(facts)}


def _about(facts: Facts) -> dict[str, Any]:
    reader, outcome = facts.reader, facts.outcome
    meta = reader.meta
    return {
        "run": reader.id,
        "name": meta.name,
        "status": reader.status.value,
        "failure": reader.failure,
        "started": reader.started,
        "seconds": reader.seconds,
        "verdict": None if outcome is None else outcome.verdict.value,
        "reason": "" if outcome is None else outcome.reason,
        "model": meta.model,
        "mutator": meta.mutator.partition(" ")[0] or None,
        "metrics": list(meta.metrics),
        "stand_in": meta.stand_in,
        "rows": dict(meta.sizes),
        "rounds": reader.query("SELECT COUNT(*) FROM clusterings")[0][0],
        "trials": reader.query("SELECT COUNT(*) FROM trials")[0][0],
        "figures": {} if outcome is None else dict(outcome.figures),
        "protected": None if outcome is None else {"passed": outcome.protected, "broken": list(outcome.broken)},
        "max_tokens": meta.search.get("max_tokens"),
        "prefer": meta.search.get("prefer"),
        "marks": reader.marks,
        "next": commands(facts),
    }


def _scores(facts: Facts) -> dict[str, Any]:
    outcome = facts.outcome
    test = outcome.test if outcome else None
    val = (outcome.val if outcome else None) or _so_far(facts)
    shown = test or val
    flipped = flips(facts.reader, *facts.pair)
    errors = row_errors(facts.reader, *dict.fromkeys(facts.pair))
    names = {facts.pair[1]: "winner", facts.pair[0]: "seed"}
    return {
        "test": _comparison(test),
        "val": None if val is None else {**_val(val, changed=facts.pair[0] != facts.pair[1]), "optimistic": True},
        "fixed": list(shown.fixed) if shown else [],
        "broken": list(shown.broken) if shown else [],
        "flips": {
            split.value: {"rows": found.rows, "fixed": list(found.fixed), "broken": list(found.broken)}
            for split, found in flipped.items()
        },
        "errors": [
            {
                "example": error.example,
                "split": error.split.value,
                "candidate": names[error.candidate],
                "kind": error.kind.value,
                "message": error.message,
            }
            for error in errors[:MOST_ERRORS]
        ],
    }


def _so_far(facts: Facts) -> Comparison | None:
    """Seed and best candidate on val, as far as they ran: for runs that have not ended, or kept their seed."""
    if facts.pair[0] == facts.pair[1]:
        return _alone(facts)
    before, after = (facts.reader.evaluation(fingerprint, Split.VAL) for fingerprint in facts.pair)
    if not before.scored or not after.scored:
        return None
    seed = facts.reader.meta.search.get("seed")
    groups = groups_of(stored.example for stored in facts.reader.examples(Split.VAL))
    return compare(before, after, seed=seed if isinstance(seed, int) else 0, groups=groups)


def _alone(facts: Facts) -> Comparison | None:
    """The seed on val, with nothing to compare it with."""
    ran = "SELECT COUNT(score), AVG(score) FROM results WHERE candidate = ? AND split = 'val'"
    rows, mean = facts.reader.query(ran, facts.pair[0])[0]
    if not rows:
        return None
    return Comparison(n=rows, baseline=mean, winner=mean, gain=0.0, ci=(0.0, 0.0), p=0.5, discordant=0)


def _val(found: Comparison, *, changed: bool) -> dict[str, Any]:
    """A prompt beside itself has a score, and nothing to be uncertain about."""
    told = _comparison(found) or {}
    return told if changed else {**told, "ci": None, "p": None}


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "n": found.n,
        "baseline": found.baseline,
        "winner": found.winner,
        "gain": found.gain,
        "ci": list(found.ci),
        "p": found.p,
        "discordant": found.discordant,
        "groups": found.groups,
        "look": found.look,
    }


def _costs(facts: Facts) -> dict[str, Any]:
    spent = facts.spent
    baseline, winner = per_call(facts.reader, *facts.pair)
    return {
        "calls": {
            **{role.value: spent.by_role.get(role, 0) for role in Role},
            "cached": spent.saved,
            "by_phase": {phase.value: spent.by_phase.get(phase, 0) for phase in Phase},
            "total": spent.calls,
            "failed": spent.failed,
            "lost": spent.lost,
        },
        "tokens": spent.tokens,
        "usd": spent.usd,
        "saved": {"calls": spent.saved, "tokens": spent.saved_tokens, "usd": spent.saved_usd},
        "lost": {"calls": spent.lost, "tokens": spent.lost_tokens, "usd": spent.lost_usd if spent.lost else 0.0},
        "per_call": {
            "baseline": _per_call(baseline),
            "winner": _per_call(winner),
        },
    }


def _per_call(found: PerCall) -> dict[str, Any]:
    return {
        "calls": found.calls,
        "input_tokens": found.input_tokens,
        "output_tokens": found.output_tokens,
        "usd": found.usd,
        "seconds_p95": found.seconds_p95,
    }


def _prompt(facts: Facts) -> dict[str, Any]:
    meta, winner = facts.reader.meta, facts.winner
    seed, best = facts.pair
    path, version = _written(facts)
    return {
        "prompt": {
            "name": winner.name if winner else meta.prompt,
            "version": version,
            "path": path,
            "text": winner.text if winner else None,
            "fingerprint": best,
            "lines": len(winner.lines) if winner else None,
            "tokens": prompt_tokens(winner) if winner else None,
        },
        "seed": {
            "name": meta.prompt,
            "version": meta.prompt_version,
            "path": meta.prompt_path,
            "text": facts.seed.text if facts.seed else None,
            "fingerprint": seed,
            "lines": len(facts.seed.lines) if facts.seed else None,
            "tokens": prompt_tokens(facts.seed) if facts.seed else None,
        },
        "lines": [_line(worth) for worth in facts.reader.lines()],
        "tries": _tries(facts),
        "front": front(facts.reader, seed, winner),
    }


def _tries(facts: Facts) -> list[dict[str, Any]]:
    """What became of each line that the user wanted tried; outcome None for one that nothing was there to try on."""
    lines = facts.reader.meta.search.get("lines")
    wanted = lines if isinstance(lines, list | tuple) else ()
    judged = {found.edit.text: found for found in facts.reader.edits()} if wanted else {}
    kept = {line.content.strip() for line in facts.winner.lines} if facts.winner else set()
    told = []
    for text in wanted:
        found = judged.get(text)
        told.append(
            {
                "text": text,
                "outcome": found.outcome if found else None,
                "reason": found.reason if found else "",
                "kept": str(text).strip() in kept,
            }
        )
    return told


def _written(facts: Facts) -> tuple[str | None, int | None]:
    """Where the winner lies, and as which version."""
    meta = facts.reader.meta
    if facts.pair[0] == facts.pair[1]:
        return meta.prompt_path or None, meta.prompt_version
    for decision in reversed(facts.reader.decisions("written")):
        figures: Mapping[str, Any] = decision.decided.figures
        return figures.get("path"), figures.get("version")
    return None, None


def _line(worth: LineWorth) -> dict[str, Any]:
    return {
        "id": worth.id,
        "text": worth.text,
        "change": worth.change,
        "worth": worth.worth,
        "ci": None if worth.ci is None else list(worth.ci),
        "label": worth.label,
        "cluster": worth.cluster,
        "tokens": worth.tokens,
        "fixed": list(worth.fixed),
        "broken": list(worth.broken),
        "raw": worth.raw,
        "rows": worth.rows,
        "with": worth.with_line or None,
    }


def _causes(facts: Facts) -> dict[str, Any]:
    return {"clusters": [_cluster(change) for change in cluster_changes(facts.reader, *facts.pair)]}


def _cluster(change: ClusterChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "label": change.label,
        "before": change.before,
        "after": change.after,
        "found": change.found,
        "now": change.now,
        "new": list(change.new),
        "still_failing": change.failing,
        "unknown": change.unknown,
        "stage": change.stage.value,
        "rounds": rounds_of(change),
        "ids": list(change.ids),
        "round": change.round,
        "share": change.share,
        "members": [row.example for row in change.rows],
    }


def rounds_of(change: ClusterChange) -> list[dict[str, Any]]:
    """A cause in each round from the one on in which it was found: its rows, and what had become of it."""
    return [{"round": one.round, "rows": one.rows, "stage": one.stage.value} for one in change.history]


def commands(facts: Facts) -> list[str]:
    """What to type next, ready to be pasted; FILE and KEY are the user's own."""
    reader = facts.reader
    run, meta = shlex.quote(reader.id), reader.meta
    failures = f"optimizer failures {run}"
    if reader.status in (RunStatus.INTERRUPTED, RunStatus.FAILED):
        return [go_on(meta.arguments or ("run", meta.eval_file or f"evals/{meta.name}.yaml"), reader.id), failures]
    if facts.pair[0] == facts.pair[1]:
        return [failures]
    path, version = _written(facts)
    before = _ref(meta.prompt, meta.prompt_version, meta.prompt_path)
    after = _ref(meta.prompt, version, path or reader.id)
    broken = facts.outcome.broken[:1] if facts.outcome else ()
    cases = [f"optimizer case {shlex.quote(row)} {run}" for row in broken]
    steps = [f"optimizer diff {before} {after}", *cases, failures]
    if reader.status is RunStatus.COMPLETE and path is not None:
        steps.append(f"optimizer apply {run} --file FILE --key KEY")
    return steps


def _ref(name: str, version: int | None, otherwise: str | None) -> str:
    return shlex.quote(otherwise or name) if version is None else shlex.quote(f"{name}@v{version}")
