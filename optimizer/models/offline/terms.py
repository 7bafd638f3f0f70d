"""Pieces of the grammar: quoted and bare terms, sentences, lists, names of fields."""

from __future__ import annotations

import re
from functools import lru_cache

from optimizer.models.offline.world import load

STRAIGHT = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "—": " - ", "–": "-", "`": '"'}
)
QUOTED = r"\"[^\"]{1,80}\"|(?<![\w])'[^']{1,60}'(?!\w)"
BARE = r"[\w&'./+-]+(?: (?!instead\b|rather\b|never\b|not\b)[\w&'./+-]+){0,3}?"
LONG_BARE = r"[\w&'./+-]+(?: (?!instead\b|rather\b)[\w&'./+-]+){0,8}?"
NAMED = (
    r"(?!(?:In|The|Always|Never|Please|Use|Write|Say|If|When|For|Do|Not|And|But|Here|Where|Wherever|Whenever|Instead|"
    r"Rather|Call|Name|Replace|Refer|Only|Just|It|This|That|You|Your|Every|All|Answer|Reply|Note|Remember|Treat|With|"
    r"As|Put|Give|Avoid|Let|Any|We|Our|From|Now|Think|Speak|Swap|Substitute|Change|Rename|Make|Have|Must|Should|"
    r"Address|Important|Rule)\b)[A-Z][\w-]+(?:'(?!s\b)\w+)?(?: [A-Z][\w-]*){0,2}"
)
KIND = (
    r"(?:(?:the|a|an|his|her|their|its) )?(?:(?:new |real |right |proper |single |exact |bare |other |short )?"
    r"(?:name|word|term|phrase|label|value|string|spelling|character|code|expression|person|hero|title)s? (?:of |for "
    r")?(?=[\"']|(?-i:[A-Z])))?"
)
END = (
    r"(?=\s*(?:[,;:!?)\]]|\.(?:\s|$)|$)|\s+(?:in|when|wherever|whenever|everywhere|every|throughout|at|anywhere|for|"
    r"and|or|"
    r"instead|as|even|always|from|if|because|since|with|but|on|please|so|here|only|no|whatever|both|each|also|too|to|"
    r"by|"
    r"who|which|rather|where|while|now|all|under|within|once|is|are)\b)"
)
NO = (
    r"(?:do not|don't|never|must not|mustn't|should not|shouldn't|cannot|can't|may not|not|no longer|stop|avoid|"
    r"refrain from|quit|cease)"
)
"""What denies an instruction."""
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z(])")
SPLIT = re.compile(r"\s*(?:,|\||;|/|\bor\b|\band\b)\s*(?:or\b|and\b)?\s*", re.IGNORECASE)
IDENTIFIER = re.compile(r"\b[a-zA-Z]+(?:_[a-zA-Z0-9]+)+\b")
STRIP = " \t\"'`.,;:()[]{}<>*"


def straight(text: str) -> str:
    """Straight quotes and plain dashes; case is kept."""
    return " ".join(text.translate(STRAIGHT).split())


def sentences(text: str) -> list[str]:
    """Sentences of a line, quoted full stops left alone. At most 20."""
    inside = {match.span() for match in re.finditer(QUOTED, text)}
    parts, start = [], 0
    for match in SENTENCE.finditer(text):
        if not any(a < match.start() < b for a, b in inside):
            parts.append(text[start : match.start()])
            start = match.end()
    return [part.strip() for part in (*parts, text[start:]) if part.strip()][:20]


def bare(term: str) -> str:
    """A term without its quotes and the words that announce it."""
    cleaned = term.strip()
    quoted = re.fullmatch(QUOTED, cleaned)
    if quoted:
        return cleaned[1:-1].strip()
    return re.sub(r"^(?:the (?:name|word|term|label|value|phrase)) (?=\S)", "", cleaned.strip(STRIP)).strip(STRIP)


def items(text: str) -> tuple[str, ...]:
    """Items of a list: the quoted ones where there are any, else what separators part. Each at most 5 words."""
    quoted = re.findall(QUOTED, text)
    parts = quoted if len(quoted) >= 2 else SPLIT.split(text)
    found = [bare(part) for part in parts]
    return tuple(dict.fromkeys(item for item in found if item and len(item.split()) <= 5))


@lru_cache(maxsize=1)
def field_words() -> dict[str, str]:
    """Word in a key -> what the stand-in knows under it: `sentiment`, `business`, `text`, ..."""
    return {word: kind for kind, words in load()["reviews"]["fields"].items() for word in words}


@lru_cache(maxsize=1024)
def meaning_of(key: str) -> str | None:
    """What a key is about, by its words; None where no word tells."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower())
    known = field_words()
    joined = known.get("_".join(words))
    if joined:
        return joined
    return next((known[word] for word in words if word in known), None)


def field_in(text: str) -> str | None:
    """The field that a piece of a sentence names: quoted, with an underscore, or by a word the stand-in knows."""
    for quoted in re.findall(QUOTED, text):
        if re.fullmatch(r"[\w $.-]{1,40}", quoted[1:-1]):
            return str(quoted[1:-1]).removeprefix("$.")
    match = IDENTIFIER.search(text)
    if match:
        return match.group(0)
    words = re.findall(r"[a-z]+", text.lower())
    pairs = [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]
    for pair in pairs:
        if pair in ("business type", "business kind", "business category", "overall sentiment"):
            return pair.replace(" ", "_")
    telling = [word for word in words if field_words().get(word) in ("sentiment", "business", "rating", "language")]
    return telling[-1] if telling else None
