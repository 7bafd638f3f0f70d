"""Words of a reason -> stems: without the words that every reason has, and one stem for words of one meaning."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts that put no space between words: pairs of characters stand for them."""
LONGEST: Final = 6
"""Letters of a stem: `apologise`, `apology` and `apologetic` are one."""
LEAST: Final = 3
"""Letters that an ending leaves."""

STOP: Final = frozenset(
    """
a an the this that these those there here it its itself he she they them his her their him we us our you your i my
me who whom whose which what when where why how is are was were be been being am do does did doing done has have had
having will would shall should can could may might must need needs needed and or but nor so if then else than as of
in on at by for from to into onto with within about after before between during over under up out off again once
also too very much more most many some any each every all both few other such own same only just even yet still
already however although though while because since therefore thus hence besides additionally moreover furthermore
finally no not never none nothing nobody neither without cannot don't doesn't didn't isn't aren't wasn't won't
instead rather another quite really simply entirely clearly answer answers answered response responses respond reply
replies replied output outputs text result results criterion criteria rubric requirement requirements require
requires required rule rules guideline guidelines check checks checked grader judge verdict score fail fails failed
failing failure pass passes violate violates violated violation violations expect expects expected expectation want
wants wanted acceptable accepted allowed permitted mention mentions mentioned contain contains contained include
includes included give gives gave given giving provide provides provided state states stated use uses used using say
says said saying tell tells told make makes made appear appears appeared occur occurs see sees seen find finds found
show shows shown get gets got go goes come comes came keep keeps put puts least meet meets met following reason
reasons issue issues problem problems part parts missing misses lack lacks lacking omit omits omitted leave leaves
left absent absence wrong wrongly incorrect incorrectly inaccurate erroneous mistaken bad poor correct correctly
right proper properly customer customers user users agent assistant model reader readers one ones
""".split()
)
"""Words that say nothing of the cause: of the language, of judging, and of all that can be missing."""

ENDINGS: Final = (
    "izations", "isations", "ization", "isation", "ations", "ation", "ingly", "ments", "ment", "ness", "ings", "ing",
    "edly", "ies", "ied", "ions", "ion", "ers", "ors", "er", "or", "ed", "es", "ly", "al", "ity", "ic", "s", "y", "e",
)  # fmt: skip
"""The longest that fits is cut off."""

MEANINGS: Final = """
long length lengthy verbose verbosity wordy exceed limit short brief concise terse
invent fabricate hallucinate unsupported supported unfounded ungrounded basis
apology sorry regret
cite citation source reference
reveal leak disclose expose
polite rude impolite discourteous disrespectful courteous
irrelevant unrelated topic relevant
repeat repetition repetitive duplicate redundant
vague unclear ambiguous imprecise confusing
contradict inconsistent contradiction inconsistency conflict
explain explanation rationale justify justification
refuse refusal decline
greet greeting salutation
closing farewell
format formatting formatted
list bullet enumerate
"""
"""Words that judges use for one thing, a line each."""


def stems(text: str) -> frozenset[str]:
    """Stems of a text's words, those of one meaning made one."""
    return frozenset(one for word in WORD.findall(text.lower()) for one in _stems(word))


@lru_cache(maxsize=20_000)
def _stems(word: str) -> tuple[str, ...]:
    if UNSPACED.search(word):
        return tuple(word[place : place + 2] for place in range(max(len(word) - 1, 1)))
    word = word.replace("’", "'")
    one = "" if word in STOP or word.partition("'")[0] in STOP else stem(word)
    return (_MEANING.get(one, one),) if one else ()


def stem(word: str) -> str:
    """A word in lower case without its ending, at most six letters."""
    word = word.partition("'")[0]
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= LEAST and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > LEAST + 1 and word[-1] == word[-2] and word[-1] != "s":
        word = word[:-1]
    return word[:LONGEST]


_MEANING: Final = {stem(word): stem(line.split()[0]) for line in MEANINGS.strip().splitlines() for word in line.split()}
