"""Grammar of bans (`never say S`) and of what lifts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from optimizer.models.offline.rules import Ban
from optimizer.models.offline.terms import NO, QUOTED, bare

JUNK = frozenset(
    "it them this that these those any other something anything text prose you he she him her they words one "
    "not".split()
)
BANS = (
    rf"(?:^|[,;:.!-] |\band |\bbut |\byou |\bplease |\banswers? |\bit )(?:must |should |may |shall |ever )*{NO}(?: "
    r"ever| again| to)*"
    r" (?:say|saying|write|writing|mention|mentioning|use|using|print|printing|output|name|naming|utter|uttering|"
    r"contain|include|"
    r"including|speak|speak of|type|put|call (?:him|her|it|them)|refer to|employ|have|let slip|give)(?: out)?(?: "
    r"(?:any of )?the (?:word|name|term|phrase|label|value)s?| words like| names like)? (?P<list>.+)$",
    r"^(?:please |always )?(?:avoid|omit|leave out|skip|drop|ban|forbid|exclude|strike|eschew|shun|stay away from|"
    r"steer clear of|keep away from|refrain from)"
    r"(?: (?:the )?(?:word|name|term|phrase|label|use of(?: the (?:word|name))?|mention of|saying|writing|using|"
    r"mentioning)s?)* (?P<list>.+)$",
    r"^(?:the (?:word|name|term|phrase|label)s? )?(?P<list>.+?) (?:is|are) (?:a )?(?:forbidden|banned|taboo|off "
    r"limits|off-limits|not allowed|prohibited|not to be (?:used|said|written|mentioned|named)|never to be (?:used|"
    r"said|written|mentioned|named|spoken)|out of bounds)",
    r"^(?:the (?:word|name|term|phrase|label)s? )?(?P<list>.+?) (?:must|should|may|shall|can|does|do) (?:not|never) "
    r"(?:ever )?(?:appear|be (?:used|said|written|mentioned|named|spoken)|occur|show up|come up|turn up|stand|belong)",
    r"^(?:the (?:word|name|term|phrase|label)s? )?(?P<list>.+?) (?:never|mustn't|shouldn't|cannot|can't) (?:appears?|"
    r"occurs?|be (?:used|said|written|mentioned))",
    r"^(?:without|no (?:use|mention) of)(?: (?:saying|writing|using|mentioning|naming|the (?:word|name)))* "
    r"(?P<list>.+)$",
    r"\bkeep (?P<list>.+?) out of (?:the|your|every|any|all)",
)
LIFTS = (
    r"^(?:you )?(?:may|can|are (?:free|allowed) to|feel free to|it is (?:fine|ok|okay|allowed) to)(?: again| also| "
    r"now)*"
    r" (?:say|write|use|mention|print|name) (?:the (?:word|name) )?(?P<list>.+?)(?: again| freely| once more| as "
    r"usual)*\W*$",
    r"^(?P<list>.+?) (?:is|are) (?:allowed|fine|permitted|ok|okay)(?: again)?\W*$",
)
FORMAT_WORDS = re.compile(
    r"\b(?:json|markdown|code|fences?|fenced|backticks?|prose|text|explanations?|explain|bullets?|lists?|comments?|"
    r"anything|everything|"
    r"something|else|words|sentences|more|other|extra|preamble|introduction|apolog\w+|upper|lower|capital\w*|case|"
    r"emojis?|it|them|this|that|things?|punctuation|quotes?|quotation)\b",
    re.IGNORECASE,
)
TAIL = re.compile(
    r"\s+(?:in (?:the|your|any|an?|all|every)\b.*|at all\b.*|anywhere\b.*|again\b.*|ever\b.*|when\b.*|under any\b.*|"
    r"whatever\b.*|even\b.*|"
    r"as (?:a|an|the)\b.*|to (?:the|any)\b.*|for (?:any|the)\b.*|please\b.*|because\b.*|if\b.*|no matter\b.*|"
    r"throughout\b.*|there\b.*|once\b.*)$",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def _bans() -> tuple[tuple[re.Pattern[str], bool], ...]:
    pairs = [(form, False) for form in BANS] + [(form, True) for form in LIFTS]
    return tuple((re.compile(form, re.IGNORECASE), lifted) for form, lifted in pairs)


def bans(sentence: str) -> Iterator[Ban]:
    """Bans of a sentence, and what lifts them."""
    for pattern, lifted in _bans():
        match = pattern.search(sentence)
        if match is None:
            continue
        listed = match.group("list")
        quoted = re.findall(QUOTED, listed)
        words = [bare(q) for q in quoted] or [
            bare(part) for part in re.split(r",|\bor\b|\band\b", TAIL.sub("", listed.rstrip(".! ")))
        ]
        for word in words:
            plain = bool(quoted) or (len(word.split()) <= 3 and not FORMAT_WORDS.search(word))
            if word and plain and word.lower() not in JUNK:
                yield Ban(word=word, lifted=lifted)
        return
