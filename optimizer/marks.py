"""Marks and a run that is there: the rows as people have marked them since, scored anew without a call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optimizer.config import RunConfig
from optimizer.dataset import Example, Split
from optimizer.errors import DataError, ErrorKind, UserError
from optimizer.metrics import build_metrics, check_rows, metrics_fingerprint, score_output, threshold_of
from optimizer.metrics.base import Metric, MetricContext
from optimizer.outcome import Comparison, Outcome
from optimizer.readers.config import load_config
from optimizer.readers.marks import Mark, marks_path, read_marks, standing, version_of
from optimizer.repeats import joined
from optimizer.results import CallError, Completion, Evaluation, Result, Score
from optimizer.stats import compare
from optimizer.store.meta import content_hash, metric_name
from optimizer.store.overlay import Overlay
from optimizer.store.reader import RunReader
from optimizer.store.records import StoredResult


def with_marks(reader: RunReader, *, keep: bool = False) -> RunReader:
    """The same reader, which sees the rows as they are marked now.

    Rows with a right label are scored anew from the stored answers; rows without one are set aside. The verdict stays
    that of the run: labels that were changed after the test was opened make no claim. The next run's does.

    Args:
        reader: the run; nothing is written to it.
        keep: leave rows that are set aside where they are, to look at one of them.

    Raises DataError where the file of marks is damaged.
    """
    marks = read_marks(marks_path(Path(reader.meta.eval_file))) if reader.meta.eval_file else ()
    if not marks:
        return reader
    holds = standing(marks)
    versions, stale = _versions(reader, holds.labels.values())
    metrics = _metrics(reader) if any(row is not None for row in versions.values()) else None
    if metrics is None:
        # What cannot be scored anew is in no figure.
        unscored = sorted(name for name, row in versions.items() if row is not None)
        versions = dict.fromkeys(versions)
    else:
        unscored = []
    relabelled = [name for name, row in versions.items() if row is not None]
    aside = [name for name, row in versions.items() if row is None]
    if keep:
        versions = {name: row for name, row in versions.items() if row is not None}
    reader.marks = {
        "relabelled": sorted(relabelled),
        "set_aside": sorted(aside),
        "unscored": unscored,
        "regressions": [row for row in holds.regressions if reader.example(row) is not None],
        "stale": stale,
        "as_run": _as_run(reader.outcome()),
    }
    if versions:
        results = [] if metrics is None else list(_scored_anew(reader, versions.values(), metrics))
        reader.lay_over(Overlay(rows=versions, results=results))
        ended = reader.outcome()
        if ended is not None:
            reader.tell_outcome(_compared_anew(reader, ended))
    return reader


def check_label(config: RunConfig, row: Example) -> None:
    """Raise DataError where no metric could use what the row expects now."""
    problems = check_rows(build_metrics(config.metrics, config.path.parent), [row])
    if problems:
        raise DataError(problems)


def _versions(reader: RunReader, labels: Iterable[Mark]) -> tuple[dict[str, Example | None], list[str]]:
    """Marked rows of a run as they are now, and those that the mark does not fit."""
    versions: dict[str, Example | None] = {}
    stale: list[str] = []
    for label in labels:
        stored = reader.example(label.row)
        if stored is None:
            continue
        now = version_of(stored.example, label, content_hash(stored.example))
        if now is None or content_hash(now) != content_hash(stored.example):
            versions[label.row] = now
        elif label.content and not (label.relabelled and label.expected == stored.example.expected):
            # A run after the mark has its label already; any other content is a row that was edited.
            stale.append(label.row)
    return versions, sorted(stale)


def _metrics(reader: RunReader) -> tuple[Metric, ...] | None:
    """The run's metrics, from its eval file; None where that is gone, or has others by now."""
    path = Path(reader.meta.eval_file)
    try:
        config = load_config(path)
        names = {metric_name(spec): metrics_fingerprint([spec], path.parent) for spec in config.metrics}
        same = all(
            name in reader.meta.metrics and version in reader.meta.metrics[name] for name, version in names.items()
        )
        return build_metrics(config.metrics, path.parent) if same and len(names) == len(reader.meta.metrics) else None
    except UserError:
        # A file that cannot be read scores nothing; `run` tells what is wrong with it.
        return None


def _scored_anew(
    reader: RunReader, rows: Iterable[Example | None], metrics: Sequence[Metric]
) -> Iterable[StoredResult]:
    candidates = [str(name) for (name,) in reader.query("SELECT DISTINCT fingerprint FROM prompts")]
    for row in rows:
        for candidate in candidates if row is not None else ():
            stored = reader.result(candidate, row.id) if row is not None else None
            if stored is not None and row is not None and stored.result.completion is not None:
                yield replace(stored, result=_score(stored.result, row, metrics))


def _score(result: Result, row: Example, metrics: Sequence[Metric]) -> Result:
    """One result by another label; of a row that was asked several times, each answer."""
    assert result.completion is not None
    outputs = [step["output"] for step in result.trace if "repeat" in step and "error" not in step]
    answers = [replace(result.completion, text=text) for text in outputs] or [result.completion]
    scored = [replace(result, scores=_scores(answer, row, metrics), trace=()) for answer in answers]
    made = joined(scored, [threshold_of(metric) for metric in metrics])
    return replace(result, scores=made.scores, error=None)


def _scores(answer: Completion, row: Example, metrics: Sequence[Metric]) -> tuple[Any, ...]:
    return asyncio.run(score_output(metrics, MetricContext(example=row, completion=answer)))


def _as_run(outcome: Outcome | None) -> dict[str, Any]:
    """Scores as the run ended with them, by the labels that it had."""
    found = {"val": outcome.val, "test": outcome.test} if outcome else {}
    return {
        split: {"n": one.n, "baseline": one.baseline, "winner": one.winner, "gain": one.gain, "ci": list(one.ci)}
        for split, one in found.items()
        if one is not None
    }


def _compared_anew(reader: RunReader, outcome: Outcome) -> Outcome:
    def again(old: Comparison | None, split: Split) -> Comparison | None:
        if old is None:
            return None
        before, after = (_light(reader, name, split) for name in (outcome.seed, outcome.winner))
        seed = reader.meta.search.get("seed")
        groups = dict(reader.query(_GROUPS, split.value))
        return compare(before, after, seed=seed if isinstance(seed, int) else 0, look=old.look, groups=groups)

    return replace(outcome, val=again(outcome.val, Split.VAL), test=again(outcome.test, Split.TEST))


_GROUPS = """
SELECT id, json_extract(body, '$.group') FROM examples WHERE split = ? AND json_extract(body, '$.group') IS NOT NULL
"""


def _light(reader: RunReader, candidate: str, split: Split) -> Evaluation:
    """An evaluation with scores alone: no answer is read, so that ten thousand rows take a moment."""
    rows = reader.query(
        "SELECT example, passed, score FROM results WHERE candidate = ? AND split = ?", candidate, split.value
    )
    lost = CallError(kind=ErrorKind.EMPTY, message="no score")
    results = {
        row: Result(example=row, candidate=candidate, error=lost)
        if score is None
        else Result(example=row, candidate=candidate, scores=(Score(metric="", value=score, passed=bool(passed)),))
        for row, passed, score in rows
    }
    return Evaluation(candidate=candidate, results=results)
