"""One proposal a cluster, by lost score; what comes back is validated before anything is tried."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.dataset import Example
from optimizer.edits import END, Edit, Op
from optimizer.errors import FATAL, RETRYABLE, ErrorKind, ModelError, ProviderError, UserError
from optimizer.evaluator import Bench
from optimizer.events import Decided, EditJudged
from optimizer.executors.together import together
from optimizer.failures import Cluster, Failure
from optimizer.mutate.base import Attempt, Author, Mutator, Proposal
from optimizer.mutate.validate import copied_runs, near_copies, objection
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.wording import input_words, quote

NEAR_MISSES = 6
"""Passing rows handed to proposers, most alike to the members first."""
LEAST_SHARE = 0.02
"""A cluster that accounts for less of the lost score is left for a later round."""
MOST_CLUSTERS = 20
"""Clusters proposed for in one round."""
MOST_PROPOSALS = 40
"""Clusters that a model is asked about in one run."""
MOST_TIMES = 3
"""A failing row is shown so often; one that nothing mends is set aside then: its label may be wrong."""
THIN = 2
"""Causes of so few rows, or less, are shown together."""
TOGETHER = 4
"""Rows of thin causes in one proposal."""
MENDABLE = (RETRYABLE | FATAL) - {ErrorKind.MALFORMED}
"""Faults of a mutator that may be gone when the run is resumed; a reply that makes no sense is kept, and stays."""

Answer = tuple[Edit, ...] | ModelError
"""What a proposer said of one cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposers:
    """Who proposes."""

    mutators: tuple[Mutator, ...]
    """In the order in which equal edits are credited."""
    asks_model: bool
    """Whether one of them calls a model: a call a cluster counts in the plan."""
    tries: tuple[str, ...] = ()
    """Lines of the user's own, tried in the first round."""
    author: Author | None = None
    """Writes whole prompts; None where no model is asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What proposers brought in one round."""

    proposals: Mapping[str, Proposal]
    """Cluster id -> what its proposers saw."""
    edits: tuple[Edit, ...]
    """Edits that may be tried, in order of clusters, then proposers."""


def proposals_for(
    prompt: Prompt,
    clusters: Sequence[Cluster],
    evaluation: Evaluation,
    examples: Mapping[str, Example],
    attempts: Mapping[str, Sequence[Attempt]],
    shown: Mapping[str, int] | None = None,
) -> dict[str, Proposal]:
    """What proposers will see for each cluster that is worth a call, largest share first.

    Args:
        prompt: the champion.
        clusters: its failures by cause.
        evaluation: its results on train.
        examples: train rows by id.
        attempts: what was tried before, by cluster id.
        shown: row -> how often it was shown already, and not mended.
    """
    passing = [
        Failure(example=examples[result.example], result=result)
        for result in evaluation.results.values()
        if result.error is None and result.passed
    ]
    failing = [Failure(example=examples[result.example], result=result) for result in evaluation.failures]
    labels = expected_labels(evaluation)
    return {
        found.id: Proposal(
            prompt=prompt,
            cluster=found,
            passing=near_misses(found, passing),
            others=_outside(found, failing),
            attempts=tuple(attempts.get(found.id, ())),
            labels=labels,
        )
        for found in worth_asking(clusters, shown or {})[:MOST_CLUSTERS]
    }


def _outside(found: Cluster, failing: Sequence[Failure]) -> tuple[Failure, ...]:
    members = {member.example.id for member in found.members}
    return tuple(failure for failure in failing if failure.example.id not in members)


def worth_asking(clusters: Sequence[Cluster], shown: Mapping[str, int]) -> list[Cluster]:
    """Clusters without rows that were shown too often; thin ones of one place together."""
    fresh = []
    for found in clusters:
        members = tuple(member for member in found.members if shown.get(member.example.id, 0) < MOST_TIMES)
        if members:
            share = found.share * len(members) / len(found.members)
            fresh.append(replace(found, members=members, share=share))
    worth = [found for found in fresh if found.share >= LEAST_SHARE] or fresh[:1]
    parts = [part for found in worth for part in _parts(found)]
    return [
        *(part for part in parts if len(part.members) > THIN),
        *_pooled([p for p in parts if len(p.members) <= THIN]),
    ]


def _parts(found: Cluster) -> list[Cluster]:
    """A mixed cluster, in which hardly two rows want the same, in parts that one call can see through."""
    if len(found.members) <= TOGETHER or len(found.wanted) < 0.5 * len(found.members):
        return [found]
    size = TOGETHER
    parts = [found.members[start : start + size] for start in range(0, len(found.members), size)]
    return [
        replace(found, id=f"{found.id}-{number}", members=part, share=found.share * len(part) / len(found.members))
        for number, part in enumerate(parts, 1)
    ]


def _pooled(thin: Sequence[Cluster]) -> list[Cluster]:
    """Thin causes of one place, a few rows together: one call may see several of them."""
    places: dict[str, list[list[Cluster]]] = defaultdict(list)
    for found in thin:
        groups = places[found.place]
        if not groups or sum(len(one.members) for one in (*groups[-1], found)) > TOGETHER:
            groups.append([])
        groups[-1].append(found)
    return [_joined(group) for groups in places.values() for group in groups]


def _joined(group: Sequence[Cluster]) -> Cluster:
    if len(group) == 1:
        return group[0]
    first = group[0]
    members = {member.example.id: member for found in group for member in found.members}
    digest = hashlib.sha256("\x00".join(sorted(found.id for found in group)).encode()).hexdigest()
    return replace(
        first,
        id=f"c{digest[:6]}",
        label=f"{len(group)} causes of few rows, one of them: {first.label}",
        members=tuple(members.values()),
        share=sum(found.share for found in group),
        metrics=tuple(sorted({metric for found in group for metric in found.metrics})),
        wanted=tuple(dict.fromkeys(value for found in group for value in found.wanted)),
        got=tuple(dict.fromkeys(value for found in group for value in found.got)),
        terms=(),
        evidence=tuple(dict.fromkeys(reason for found in group for reason in found.evidence))[:3],
    )


async def propose(bench: Bench, proposers: Proposers, proposals: Mapping[str, Proposal], number: int) -> Round:
    """Ask every proposer about every cluster, side by side; the order of the answers decides nothing.

    Refused edits are recorded and left out, and so are those that were tried before.
    Raises ProviderError where a model was asked, every one of its calls failed and no other proposer found an edit.
    """
    proposals = _affordable(bench, proposers, proposals, number)
    asked = [(proposal, mutator) for proposal in proposals.values() for mutator in proposers.mutators]
    answers = await _ask(asked)
    await _report_faults(bench, proposers, answers, number)
    brought = [edit for answer in answers if not isinstance(answer, ModelError) for edit in answer]
    copied = copied_runs(
        [edit.text or "" for edit in brought if edit.demo is None], [*bench.train, *bench.val, *bench.test]
    )
    near = near_copies(brought, [*bench.val, *bench.test])
    # Two clusters may bring the same edit: it is tried for each, since it may mend one and not the other.
    seen = {(cluster_id, tried.edit.id) for cluster_id, proposal in proposals.items() for tried in proposal.attempts}
    edits: list[Edit] = []
    for (proposal, _), answer in zip(asked, answers, strict=True):
        for edit in () if isinstance(answer, ModelError) else answer:
            if (edit.cluster, edit.id) not in seen:
                seen.add((edit.cluster, edit.id))
                edits += await _fit(bench, edit, proposal.prompt, (copied, near), number)
    if number == 1 and proposals:
        own: list[Edit] = []
        largest = next(iter(proposals.values()))
        for text in proposers.tries:
            edit = _own(text, largest.cluster.id)
            if (edit.cluster, edit.id) not in seen:
                seen.add((edit.cluster, edit.id))
                # Their author may quote the rows.
                own += await _fit(bench, edit, largest.prompt, (frozenset(), frozenset()), number)
        # Before others of its cause: those are tried only on what is left open.
        edits = [*own, *edits]
    return Round(proposals=proposals, edits=tuple(_lines_first(edits, proposals)))


def _lines_first(edits: Sequence[Edit], proposals: Mapping[str, Proposal]) -> list[Edit]:
    """The edits, without demos for causes that are met with a line for the first time: a line costs less."""
    met = {edit.cluster for edit in edits if edit.demo is None and not proposals[edit.cluster].attempts}
    return [edit for edit in edits if edit.demo is None or edit.cluster not in met]


def check_tries(tries: Sequence[str], prompt: Prompt) -> None:
    """Check lines of the user's own before anything is sent. Raises UserError for one that could not be tried."""
    for text in tries:
        if refused := objection(_own(text), prompt, frozenset()):
            raise UserError(f"the line {quote(text)} cannot be tried: {refused}")


def _own(text: str, cluster: str = "") -> Edit:
    return Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster, why="a line of yours", source="user")


async def _fit(
    bench: Bench, edit: Edit, prompt: Prompt, leaks: tuple[frozenset[tuple[str, ...]], frozenset[str]], number: int
) -> tuple[Edit, ...]:
    """The edit, or nothing where it is refused; `leaks` are what `copied_runs` and `near_copies` found."""
    refused = objection(edit, prompt, *leaks)
    if refused is None:
        return (edit,)
    await bench.tell(EditJudged(round=number, edit=edit, outcome="refused", reason=f"refused: {refused}"))
    return ()


def _affordable(
    bench: Bench, proposers: Proposers, proposals: Mapping[str, Proposal], number: int
) -> dict[str, Proposal]:
    """As many clusters as the plan can ask a model about while a trial stays affordable."""
    if not proposers.asks_model:
        return dict(proposals)
    kept = dict(list(proposals.items())[: affordable(bench)])
    bench.plan.take(Phase.SEARCH, {f"mutator:{number}:{cluster_id}" for cluster_id in kept})
    return kept


def affordable(bench: Bench) -> int:
    """Calls of the model that proposes which the plan and the cap on them leave, while a trial stays affordable."""
    asked = sum(key.startswith("mutator:") for key in bench.plan.asked[Phase.SEARCH])
    return max(min(bench.plan.left(Phase.SEARCH) - bench.evaluator.requests(bench.val), MOST_PROPOSALS - asked), 0)


async def _ask(asked: Sequence[tuple[Proposal, Mutator]]) -> list[Answer]:
    """Answers in the order asked. Whatever ends the run waits for the calls under way: they are paid for."""
    answers: list[Answer] = []
    for answer in await together([mutator.propose(proposal) for proposal, mutator in asked]):
        if isinstance(answer, BaseException) and not isinstance(answer, ModelError):
            raise answer
        answers.append(answer)
    return answers


async def _report_faults(bench: Bench, proposers: Proposers, answers: Sequence[Answer], number: int) -> None:
    """Tell of failed proposals; a round that ends for want of a mutator must not pass for a search that found nothing.

    In a later round a fault that asking again cannot mend ends the rounds alone: the run would fail so for ever.
    """
    faults = [answer for answer in answers if isinstance(answer, ModelError)]
    for fault in faults:
        await bench.tell(
            Decided(kind="proposal failed", round=number, reason=fault.message, figures={"kind": fault.kind.value})
        )
    each = [answers[place :: len(proposers.mutators)] for place in range(len(proposers.mutators))]
    silent = any(found and all(isinstance(answer, ModelError) for answer in found) for found in each)
    # A demo is found for nearly every cluster: it does not make up for a mutator that is not there.
    edits = any(edit.demo is None for answer in answers if not isinstance(answer, ModelError) for edit in answer)
    if silent and not edits and (number == 1 or any(fault.kind in MENDABLE for fault in faults)):
        raise ProviderError(
            f"the mutator failed for every cluster ({faults[-1].kind.value}: {faults[-1].message}); "
            "check its name and key, or run with --mutator none"
        )


def near_misses(found: Cluster, passing: Sequence[Failure]) -> tuple[Failure, ...]:
    """Passing rows whose inputs share most words with the cluster's members (Jaccard, then id)."""
    theirs: set[str] = set().union(*(input_words(member.example) for member in found.members))

    def distance(row: Failure) -> tuple[float, str]:
        words = input_words(row.example)
        return (-len(words & theirs) / max(len(words | theirs), 1), row.example.id)

    return tuple(sorted(passing, key=distance)[:NEAR_MISSES])


def expected_labels(evaluation: Evaluation) -> dict[str, tuple[str, ...]]:
    """Place -> expected labels there over all rows, in alphabetical order; places whose values repeat as labels do."""
    wanted: dict[str, Counter[str]] = defaultdict(Counter)
    for result in evaluation.results.values():
        for score in result.scores:
            if score.wanted is not None:
                wanted[score.place][score.wanted] += 1
    return {
        place: tuple(sorted(counts)) for place, counts in wanted.items() if len(counts) <= max(2, counts.total() // 2)
    }
