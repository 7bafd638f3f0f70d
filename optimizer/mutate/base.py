"""The seam to proposers: one cluster in, a few edits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from optimizer.edits import Edit
from optimizer.failures import Cluster, Failure
from optimizer.prompt import Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """An edit that was tried on this cluster before, and what came of it."""

    edit: Edit
    """The edit."""
    outcome: str
    """In words: `mended 1 of 6 failing rows (a placebo mended 1)`."""
    broke: tuple[str, ...] = ()
    """Ids of rows whose score fell with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """All that a proposer may look at. Holds train rows alone; val and test never get here."""

    prompt: Prompt
    """The champion."""
    cluster: Cluster
    """The cause to mend."""
    passing: tuple[Failure, ...] = ()
    """Near misses: rows that pass, most alike to the members first."""
    others: tuple[Failure, ...] = ()
    """Rows that fail for other causes alone."""
    attempts: tuple[Attempt, ...] = ()
    """What was tried on this cluster, oldest first."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Place -> expected labels there over all train rows, in alphabetical order: the same set is the same line."""


class Author(Protocol):
    """Writes a whole prompt anew."""

    async def rewrite(self, prompt: Prompt, clusters: Sequence[Cluster], attempts: Sequence[Attempt] = ()) -> Prompt:
        """Write the prompt anew, so that it mends these causes. What comes back is untrusted: the caller checks it.

        Args:
            prompt: the champion.
            clusters: its failures by cause, largest first.
            attempts: what was tried, oldest first.

        Raises ModelError where the model failed, or its reply holds no prompt.
        """
        ...


class Mutator(Protocol):
    """Proposes edits for one cluster."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        """Propose edits, best first. They are validated by the caller.

        Raises ModelError where a model was asked and failed.
        """
        ...
