"""Slots and choices: the space that a round's study searches. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.edits import Edit, Slot
from optimizer.prompt import Prompt
from optimizer.search.place import Behind, made
from optimizer.search.screen import Screened

KEEP = "keep"
"""The choice that changes nothing."""

Choices = Mapping[str, str]
"""Slot id -> `keep` or an edit id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """The slots of one round, the edit that did most alone first."""

    slots: tuple[Slot, ...]
    """One categorical parameter each."""
    champion: Prompt
    """What `keep` everywhere means."""
    own: frozenset[str] = frozenset()
    """Ids of the lines of the prompt that the run began with."""
    behind: Behind = field(default_factory=dict)
    """Edit -> edits that it has to stand behind."""

    def edits(self, choices: Choices) -> tuple[Edit, ...]:
        """The edits that choices stand for, in the order of the slots."""
        return tuple(edit for slot in self.slots for edit in slot.edits if edit.id == choices[slot.id])

    def candidate(self, choices: Choices) -> Prompt:
        """The champion with the chosen edits made."""
        return made(self.champion, self.edits(choices), self.own, self.behind)

    def without(self, choices: Choices, edits: Collection[str]) -> dict[str, str]:
        """The choices, with the slots of these edits kept as they were."""
        return {slot: KEEP if choice in edits else choice for slot, choice in choices.items()}

    @property
    def keep_all(self) -> dict[str, str]:
        """The champion."""
        return {slot.id: KEEP for slot in self.slots}

    @property
    def bundle(self) -> dict[str, str]:
        """The best edit of every slot."""
        return {slot.id: slot.edits[0].id for slot in self.slots}

    def first_choices(self) -> Iterator[dict[str, str]]:
        """What is tried before the sampler is asked: the bundle, its halves, the best edit alone."""
        yield self.bundle
        middle = (len(self.slots) + 1) // 2
        if len(self.slots) > 1:
            for part in (self.slots[:middle], self.slots[middle:], self.slots[:1]):
                yield {**self.keep_all, **{slot.id: slot.edits[0].id for slot in part}}


def space(
    champion: Prompt,
    screened: Sequence[Screened],
    own: frozenset[str] = frozenset(),
    behind: Behind | None = None,
) -> Space:
    """A slot an edit that passed the screen, the one that mends most first; ties keep the proposers' order.

    The screen has settled which edits of one cause, and which edits of one line, stand in each other's place: those
    that passed can be made together. An edit that mends two causes counts once.
    """
    best_first = sorted((item for item in screened if item.passed), key=lambda item: (-len(item.mended), -item.rate))
    once: dict[str, Edit] = {}
    for item in best_first:
        once.setdefault(item.edit.id, item.edit)
    found: dict[str, Slot] = {}
    for edit in once.values():
        number = sum(slot.partition("/")[0] == edit.slot for slot in found)
        slot = f"{edit.slot}/{number + 1}" if number else edit.slot
        found[slot] = Slot(id=slot, edits=(edit,))
    return Space(slots=tuple(found.values()), champion=champion, own=own, behind=behind or {})


def sampler_seed(run_seed: int, round_number: int) -> int:
    """Seed of a round's sampler: a function of the run's seed and the round, in [0, 2^32)."""
    digest = hashlib.sha256(f"{run_seed}:{round_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
