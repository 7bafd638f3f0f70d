"""One prompt on some splits, without a search: results as they come, however many, none of them held in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from optimizer.build import Several, opened
from optimizer.config import RunConfig
from optimizer.dataset import Example, Split
from optimizer.evaluator import Purpose
from optimizer.events import Decided, Sink
from optimizer.failures import Cluster, Kept
from optimizer.intake import Loaded, take_in
from optimizer.models.gate import connected
from optimizer.outcome import Phase
from optimizer.plan import Plan
from optimizer.prompt import Prompt
from optimizer.readers.rows import Ledger
from optimizer.results import Evaluation
from optimizer.store.looks import count_look, look_at
from optimizer.store.spooled import ResultSpool
from optimizer.unscored import told_or_stopped


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """One prompt on some splits."""

    prompt: Prompt
    """The prompt."""
    evaluations: Mapping[Split, Evaluation]
    """Results by split; they are read from a temporary file at every use."""
    clusters: tuple[Cluster, ...]
    """Failures of all the splits, by cause."""
    ledger: Ledger
    """What the rows' file held."""
    look: int | None = None
    """Which look at the test rows this was; None where it was none."""
    examples: Sequence[Example] = ()
    """All rows of the eval set."""


async def score(config: RunConfig, *, root: Path, splits: Sequence[Split], watch: Sequence[Sink] = ()) -> Scored:
    """Score the config's prompt on some splits, without a search and without a run on disk.

    The test split may be among them: that is a look at it, and it is counted.
    Raises as `execute` does.
    """
    loaded = take_in(config, spooled=True)
    look = None
    if Split.TEST in splits:
        look = count_look(root, look_at(loaded.meta(), loaded.prompt.fingerprint, loaded.prompt.fingerprint))
    sink = Several(tuple(watch))
    async with loaded.ready(sink):
        await loaded.tell(sink)
        spool = await _results(loaded, root, splits, sink)
    whole = spool.of()
    if unscored := told_or_stopped(whole.values()):
        await sink.record(Decided(kind="warning", round=0, reason=unscored))
    # What groups failures is imported behind the calls: nobody waits for it before the first.
    from optimizer.cluster import cluster

    examples = loaded.evalset.by_id()
    candidate = loaded.prompt.fingerprint
    return Scored(
        prompt=loaded.prompt,
        evaluations={split: Evaluation(candidate=candidate, results=spool.of(split)) for split in splits},
        clusters=cluster(
            examples,
            Evaluation(candidate=candidate, results=whole),
            hold=lambda result: Kept(result.example, examples, whole),
        ),
        ledger=loaded.ledger,
        look=look,
        examples=loaded.evalset.examples,
    )


async def _results(loaded: Loaded, root: Path, splits: Sequence[Split], sink: Sink) -> ResultSpool:
    spool = ResultSpool()
    plan = Plan(limits=dict.fromkeys(Phase, 0))  # Nothing is searched for, so nothing is planned.
    async with connected(loaded.config) as providers, opened(loaded, root, sink, providers, None) as live:
        evaluator = live.evaluator(loaded, plan, sink, {})
        for split in splits:
            purpose = Purpose(phase=Phase.TEST if split is Split.TEST else Phase.SEARCH, split=split, round=0)
            rows = loaded.evalset.split(split)
            async with aclosing(evaluator.scan(loaded.prompt, rows, purpose)) as results:
                async for result in results:
                    spool.add(result, split)
    return spool
