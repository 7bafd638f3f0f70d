"""Slots and choices: the space that a round's study searches. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.edits import Edit, Slot, apply, slots
from optimizer.prompt import Prompt
from optimizer.search.screen import Screened

KEEP = "keep"
"""The choice that changes nothing."""

Choices = Mapping[str, str]
"""Slot id -> `keep` or an edit id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """The slots of one round, edits of each in order of what they did alone."""

    slots: tuple[Slot, ...]
    """One categorical parameter each."""
    champion: Prompt
    """What `keep` everywhere means."""

    def edits(self, choices: Choices) -> tuple[Edit, ...]:
        """The edits that choices stand for, in the order of the slots."""
        return tuple(edit for slot in self.slots for edit in slot.edits if edit.id == choices[slot.id])

    def candidate(self, choices: Choices) -> Prompt:
        """The champion with the chosen edits made."""
        return apply(self.champion, self.edits(choices))

    @property
    def keep_all(self) -> dict[str, str]:
        """The champion."""
        return {slot.id: KEEP for slot in self.slots}

    @property
    def bundle(self) -> dict[str, str]:
        """The best edit of every slot."""
        return {slot.id: slot.edits[0].id for slot in self.slots}

    def first_choices(self) -> Iterator[dict[str, str]]:
        """What is tried before the sampler is asked.

        The bundle, the best edit alone, the bundle's halves, then each slot's second edit.
        """
        yield self.bundle
        middle = (len(self.slots) + 1) // 2
        if len(self.slots) > 1:
            for part in (self.slots[:1], self.slots[:middle], self.slots[middle:]):
                yield {**self.keep_all, **{slot.id: slot.edits[0].id for slot in part}}
        for slot in self.slots:
            if len(slot.edits) > 1:
                yield {**self.bundle, slot.id: slot.edits[1].id}


def space(champion: Prompt, screened: Sequence[Screened]) -> Space:
    """Slots of the edits that passed the screen, the best edit of each first; ties keep the proposers' order."""
    best_first = sorted((item for item in screened if item.passed), key=lambda item: (-item.rate, -item.mended))
    # An edit that mends two causes competes in the slot of the one that it mends better.
    once = {item.edit.id: item.edit for item in reversed(best_first)}
    return Space(slots=slots(item.edit for item in best_first if once[item.edit.id] is item.edit), champion=champion)


def sampler_seed(run_seed: int, round_number: int) -> int:
    """Seed of a round's sampler: a function of the run's seed and the round, in [0, 2^32)."""
    digest = hashlib.sha256(f"{run_seed}:{round_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
