"""What the stand-in knows, read once from `world.json`, and how it compares words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "«": '"', "»": '"'})
STOP = frozenset(
    "a an the of to in on at for from with by and or as is are was were be been being it its this that these those "
    "he she his her him they their them do does did has have had will would shall should can could may might must "
    "who whom whose which what where when why how name names named called character characters person people one "
    "please tell me us give i you your we our my so but if then than there here into out up down about "
    "while not no yes s t d ll re ve also just very only own same each any all some".split()
)


@lru_cache(maxsize=1)
def load() -> dict[str, Any]:
    """The data file. Nothing else is ever read."""
    text = (files(__package__ or "") / "world.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def plain(text: str) -> str:
    """Lower case, straight quotes."""
    return text.translate(QUOTES).lower()


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A rough stem: the same for `kill`, `kills`, `killed` and `killing`."""
    word = word.removesuffix("'s").replace("'", "")
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


@lru_cache(maxsize=1)
def _synonyms() -> dict[str, str]:
    """Stem -> stem of the word that stands for its group; ids of people stand for themselves."""
    play = load()["play"]
    known = {stem(word): stem(head) for head, members in play["synonyms"].items() for word in (head, *members)}
    return known | {who: who for who in play["people"]}


def concept(word: str) -> str:
    """The stem of a word's synonym group."""
    known = _synonyms()
    found = stem(word)
    return known.get(word) or known.get(found, found)


def concepts(text: str) -> list[str]:
    """Content words of a text, each as its concept, in order."""
    return [concept(word) for word in WORD.findall(text) if word not in STOP]


def alternatives(terms: Iterable[str]) -> str:
    """A regex that finds any of the terms, the longest first."""
    return "|".join(re.escape(term) for term in sorted(set(terms), key=lambda t: (-len(t), t)))


def chance(*parts: object) -> float:
    """A number in [0, 1) that the parts alone decide."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def pick(options: list[str], *parts: object) -> str:
    """One of the options, decided by the parts. Needs at least one."""
    return options[min(int(chance(*parts) * len(options)), len(options) - 1)]
