"""Some lines left out of a prompt, and what the rows say of that."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.attribute.posterior import (
    BESIDE,
    CLUSTER,
    FAILED,
    NAMED,
    OTHERS,
    OWN,
    Pool,
    Posterior,
    Seen,
    Tally,
    posterior,
)
from optimizer.attribute.rows import Stratum
from optimizer.dataset import Example
from optimizer.prompt import Prompt
from optimizer.stats import EPSILON

LEAST_OWN = 3
"""Rows of its own that a line is tried on before it is doubted."""


@dataclass(kw_only=True, slots=True)
class Removal:
    """Some lines left out of a prompt, and what the rows say of that."""

    lines: tuple[str, ...]
    """Ids."""
    whole: Prompt
    """With the lines."""
    part: Prompt
    """Without them."""
    strata: tuple[Stratum, ...]
    """Rows that may judge, the most telling first."""
    metrics: frozenset[str] = frozenset()
    """What the lines are about: on their own rows the other metrics are counted apart. Empty for all of them."""
    seen: dict[str, Seen] = field(default_factory=dict)
    """Row -> what it showed; rows with an error on either side are not there."""
    asked: set[str] = field(default_factory=set)
    """Rows asked, those with errors included."""
    carried: frozenset[str] = frozenset()
    """Rows of these that were asked beside other lines than now: they are not asked again."""

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """What each stratum showed so far, and what its own rows showed on other metrics."""
        found = [
            Tally(stratum=part.name, share=part.share, seen=tuple(self._seen(part)), of=part.of) for part in self.strata
        ]
        own = [part for part in self.strata if part.name != OTHERS]
        beside = [seen.beside for part in own for seen in self._seen(part) if seen.beside is not None]
        if self.metrics:
            share = sum(part.share for part in own)
            seen = tuple(Seen(raw=value, value=value) for value in beside)
            found.append(Tally(stratum=BESIDE, share=share, seen=seen, of=own[0].of))
        return tuple(found)

    def _seen(self, part: Stratum) -> list[Seen]:
        return [self.seen[row.id] for row in part.rows if row.id in self.seen]

    def counts(self, row: Example) -> frozenset[str]:
        """Metrics that count on a row; empty for all."""
        return self.metrics if self.metrics and row in self.rows(*OWN) else frozenset()

    @property
    def is_tried(self) -> bool:
        """Whether enough of the lines' own rows told something, or all that do, to think of doing without them."""
        own = self.rows(*self.home)
        told = sum(row.id in self.seen for row in own)
        return bool(self.seen) and (told >= min(LEAST_OWN, len(own)) or (told > 0 and not self.open(*self.home)))

    @property
    def home(self) -> tuple[str, ...]:
        """Strata of the rows that the lines were made for: of their cluster, or else with values that they name."""
        return (CLUSTER,) if self.rows(CLUSTER) else (FAILED, NAMED)

    def posterior(self, pool: Pool) -> Posterior:
        """The worth of the lines together."""
        return posterior(self.tallies, pool)

    def rows(self, *names: str) -> list[Example]:
        """Rows of some strata."""
        return [row for stratum in self.strata if stratum.name in names for row in stratum.rows]

    def open(self, *names: str) -> list[Example]:
        """Those that were not asked yet."""
        return [row for row in self.rows(*names) if row.id not in self.asked]

    def differing(self, again: int) -> list[str]:
        """Rows that still differ after so many askings more."""
        found = [key for key, seen in self.seen.items() if abs(seen.value) > EPSILON and seen.again == again]
        return [key for key in found if key not in self.carried]
