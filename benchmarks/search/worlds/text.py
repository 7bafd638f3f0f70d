"""How inputs are written: a concept's phrasing among sentences that say nothing, and amounts in many notations."""

from __future__ import annotations

from random import Random

from benchmarks.search.worlds.world import Concept, bank

ITEMS = (
    "lamp", "kettle", "rucksack", "bench", "clock", "mirror", "radio", "kite", "toaster", "vase", "drill", "tent",
    "scarf", "globe", "mixer", "stool", "basket", "helmet", "puzzle", "speaker", "candle", "racket", "blanket", "cart",
)  # fmt: skip
DAYS = (
    "on Monday", "on Tuesday", "on Friday", "last week", "at the weekend", "on the third", "in the morning",
    "a fortnight ago", "at Easter", "on the ninth", "the other day", "on Thursday",
)  # fmt: skip
ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def filled(phrasing: str, rng: Random) -> str:
    """A phrasing with its blanks filled."""
    item, other = rng.sample(ITEMS, 2)
    return phrasing.replace("{item}", item).replace("{other}", other).replace("{day}", rng.choice(DAYS))


def written(amount: int, rng: Random) -> str:
    """An amount in one of many notations."""
    notations = (
        f"${amount}",
        f"{amount}.00 dollars",
        f"{amount} bucks",
        f"USD {amount:,}",
        f"{amount - 1}.{rng.randint(50, 99)} dollars",
        " ".join(ONES[int(digit)] for digit in str(amount)) + " dollars, digit by digit",
        f"{amount} $",
        f"a bit under {amount} dollars" if amount % 10 == 0 else f"{amount},- dollars",
    )
    return rng.choice(notations)


def message(shown: list[Concept], amount: int | None, rng: Random) -> str:
    """An input that shows some concepts, and maybe an amount."""
    asides = bank_of("asides")
    told = [filled(rng.choice(concept.phrasings), rng) for concept in shown]
    if amount is not None:
        told.append(rng.choice(asides["amount"].phrasings).replace("{n}", written(amount, rng)))
    extra = rng.sample(asides["aside"].phrasings, rng.choice((1, 1, 2, 2, 3)))
    told += [filled(aside, rng) for aside in extra]
    rng.shuffle(told)
    told = [sentence[:1].upper() + sentence[1:] for sentence in told]
    return " ".join([rng.choice(asides["opener"].phrasings), *told])


_BANKS: dict[str, dict[str, Concept]] = {}


def bank_of(name: str) -> dict[str, Concept]:
    """A bank, read once."""
    if name not in _BANKS:
        _BANKS[name] = bank(name)
    return _BANKS[name]
