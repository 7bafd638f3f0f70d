"""Grammar of substitutions: `write T instead of S`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from optimizer.models.offline.bans import JUNK, bans
from optimizer.models.offline.reviews import names_a_value
from optimizer.models.offline.rules import Rule, Swap
from optimizer.models.offline.terms import BARE, END, IDENTIFIER, KIND, LONG_BARE, NAMED, NO, QUOTED, bare, meaning_of

WRITE = (
    r"(?:write|writing|use|using|say|saying|put|print|output|give|answer(?: with)?|reply(?: with)?|respond(?: with)?|"
    r"type|return|"
    r"prefer|choose|employ|state|mention|mentioning|naming|speak of|pick|insert|go with|take|enter|utter|read|favou?r|"
    r"stick to|call (?:him|her|it|them|this one)|make it|opt for|have|set down|show)"
)
NOT = (
    r"(?:instead of|rather than|in place of|in lieu of|in the place of|,? ?(?:and |but )?never|,? ?(?:and )?not|"
    r"as a (?:substitute|replacement|stand-in) for|in preference to|in (?:the )?stead of|as opposed to)"
)
SEP = (
    r"\s*(?:,|;|:|-|\.|\band\b|\bbut\b|\brather\b|\binstead\b)"
    r"(?:\s|\band\b|\bbut\b|\bthen\b|\binstead\b|\balways\b|\bonly\b|\bjust\b|\bplease\b|\brather\b|\byou should\b|"
    r"\bwe\b|\byou\b)*"
)
THEN = (
    r"(?:,|;|:|-|\.|\band\b|\bbut\b|\bthen\b|\binstead\b|\balways\b|\bonly\b|\bjust\b|\bplease\b|\brather\b|\byou "
    r"should\b|\s)+"
)
LINKED = (
    r"(?:called|named|known as|known here as|referred to as|renamed(?: to| as| into)?|replaced (?:by|with)|written(?: "
    r"as| down as)?|"
    r"rendered(?: as)?|changed (?:to|into)|spelled|spelt|turned into|given as|printed as|styled|dubbed|listed as|"
    r"reported as|substituted (?:by|with)|swapped (?:for|with)|exchanged for|titled|labelled|labeled|put as|shown as|"
    r"answered (?:as|with)|addressed as|rechristened|cited as|described as|going by)"
)
BE = (
    r"(?:is|are|was|be|gets|has been|have been|must be|should be|shall be|will be|be|is to be|has to be|needs to be|"
    r"ought to be|can be)"
)
CALL = (
    r"(?:refer to|speak of|address|treat|label|render|spell|present|report|identify|think of|know|write|mention|list|"
    r"give|"
    r"name|call|dub|rechristen|style|describe|cite|show|quote|put|announce|announces?|speak about|talk about|talk of)"
)
ADVERB = (
    r"(?: now| here| always| henceforth| also| simply| really| in this house| instead| only| from now on| "
    r"everywhere| thus)*"
)
FORMS = (
    rf"\b{WRITE} <T>,? {NOT}(?: (?:{WRITE}|by|of))? <S>",
    rf"\b(?:instead of|rather than|in place of|in lieu of|as a (?:substitute|replacement) for)(?: {WRITE})? <S>,?"
    rf"(?: (?:always|please|just|you|should|must|simply))* (?:{WRITE}|comes|goes|there (?:is|comes)|stands?|should "
    r"(?:be|stand)) <T>",
    r"\b(?:where(?:ver)?|when(?:ever)?|if|any ?time|anytime|every time|each time|anywhere|everywhere|any place|in all "
    r"places where)"
    r"(?: (?:that|you|the (?:right |true |correct )?(?:answer|output|reply|name|response|text|play|input|script|story|"
    r"book|original|row|question)|your answer|it|an answer|others|people|someone|anyone|we|speak of|write of|one|"
    r"would|want|wants|to|"
    r"mean|means|are|is|were|be|about|tempted|might|going|need|must|have|feel|like|otherwise|should|normally|else|"
    r"think|of|ought|has|"
    rf"happens to be|contains?|holds?|{WRITE}|says|uses|call for|calls for))* <S>(?: (?:appears?|occurs?|stands?|"
    r"comes up|shows up|pops up|"
    r"turns up|would(?: otherwise)? (?:appear|stand|be used|come up|be|occur|go|fit)|is (?:used|meant|named|the "
    r"answer|mentioned|due|"
    rf"correct|right|wanted|called for)|are meant|crops up|belongs))?{THEN}(?:{WRITE}|it (?:is|should be|becomes)|"
    r"becomes) <T>",
    r"\b(?:replace|swap(?: out)?|exchange|change|rename|turn|convert|translate|switch|alter|transform|rewrite|map|"
    r"correct)"
    r"(?: (?:every|each|any|all|the)(?: (?:mention|occurrence|instance|use|appearance)s? of)?)? <S> (?:with|by|for|to|"
    r"into|as|in favou?r of) <T>",
    r"\b(?:substitute|swap in|put in|fill in|bring in) <T> (?:for|in for|in place of|where you find) <S>",
    r"\b(?:treat|take|use|regard|see|consider|have) <T> as (?:the |a )?(?:new |right )?(?:name|word|term|label) (?:of|"
    r"for) <S>",
    rf"\b{CALL} <S> (?:only |always |simply |just )?(?:as|by the name(?: of)?|with the name|under the name(?: of)?|"
    r"using the name) <T>",
    rf"\b(?:call|name|dub) (?P<s>(?:the|that|this) [\w' ]{{3,60}}?) (?-i:(?P<t>{QUOTED}|[A-Z][\w-]*))\W*$",
    r"\b(?:call|name|dub|rename|rechristen|christen|style|term) <NS> (?:always |simply )?<NT>",
    rf"<S>(?:'s (?:new |real |true |right |proper |house )?name)?(?: always| now| here| henceforth)* {BE}{ADVERB} "
    rf"{LINKED} <T>",
    r"<NS>'s? (?:new |real |true |right |proper |house |first |given )?name(?: here| now| in this \w+)? (?:is|must "
    rf"be|should be|shall be|will be|becomes){ADVERB} <T>",
    r"<S> (?:now |here |always )?(?:goes by(?: the name(?: of)?)?|goes under the name(?: of)?|answers to(?: the "
    r"name(?: of)?)?|"
    r"becomes|is now|turns into|has (?:a|the) (?:new )?name|takes the name(?: of)?|gets the name(?: of)?|bears the "
    r"name(?: of)?|must become|should become|shall become) <T>",
    r"<S>\s*(?:->|=>|→|⇒|:=|==>|-->)\s*<T>",
    r"<T> (?:replaces|takes the place of|stands in for|stands for|is used (?:instead of|for|in place of)|supersedes|"
    r"is (?:the |our |your |his |her )?(?:new |right |correct |proper |house |only )*(?:name|word|term|label) (?:for|"
    r"of|we use for|(?:to use|to write|to say|used|you use|you should use) (?:for|instead of|in place of|rather than))|"
    r"is what (?:we|you|to) (?:call|say for|write for)|(?:must|should|shall|will) replace|substitutes for|comes in "
    r"place of|goes in place of|"
    r"is to be (?:used|written|said|put) (?:instead of|for|in place of)|is preferred (?:to|over)|comes instead of|is "
    r"a stand-in for|"
    r"(?:must|should|shall) be (?:used|written|said|put) (?:instead of|for|in place of|rather than)|belongs in place "
    r"of) <S>",
    r"(?:right|correct|proper|new|only|house|true|wanted|preferred|accepted) (?:name|word|term|label|answer)(?: "
    rf"here)?(?: for \w+)? (?:is|reads|must be) <T>,? (?:{NOT}) <S>",
    r"\bname (?:of|for) <S> (?:is|must be|should be|shall be)(?: now| here| always| to be)* <T>",
    rf"^(?:(?:we|you|one|people|they|i) )?{NO}(?: (?:ever|{WRITE}|the use of))*,? <S>(?: (?:ever|again|at all|"
    r"anywhere|in (?:the|your|an|this|our) (?:house|place|text|play|answer|"
    r"reply|output)))?"
    rf"(?:{SEP}(?:it is|he is|it's|he's|only|always)? ?(?:{WRITE}|to) |(?:,|;| -)? (?:but|always|instead|only)(?: "
    r"always| only| rather| instead)? )<T>(?: instead| in its place| in his place| always| only)*",
    r"<S> (?:must|should|may|shall|is|can)? ?(?:never|not|wrong|forbidden|banned|out|taboo|off limits|to be "
    rf"avoided)[^,;.:-]*{SEP}(?:{WRITE}) <T>",
    rf"\b{WRITE} <T> (?:when(?:ever)?|where(?:ver)?|if|every time|each time|everywhere|anywhere|as soon as)(?: "
    r"(?:that|you|the (?:right |true |correct )?(?:answer|name|output)|others|people|someone|anyone|speak of|we|most|"
    r"would|"
    r"it|one|would|want to|mean|means|are about to|is|were to|might|need to|otherwise|normally|have|should|expect|"
    r"think of|refer to|wish to|say|write|use|name))+ <S>(?= would| appears| comes| occurs| stands|\W*$| otherwise| "
    r"is meant| shows)",
    rf"\b{WRITE} <T> where(?:ver)? <S>",
    r"^(?:for|as the name (?:for|of)|as a name (?:for|of)|to name|to mean|to refer to) <S>,? (?:always |please |just "
    rf"|only )*{WRITE} <T>",
    r"\b(?:give|assign|grant) <S> the (?:new )?name(?: of)? <T>",
    rf"\b{WRITE} <T>(?: as (?:the|a) (?:new )?name)? (?:for|over) <S>",
    r"^(?:the (?:name|word) )?(?:it is |it's |always |only |please )*<T>(?:,? instead of|,? rather than|,? in place "
    rf"of|,? and never|, never|, not|,? and not) (?:{WRITE} )?<S>(?=\W*$| please)",
)
AND = r"\s*(?:,|;|\band\b|\bor\b)\s*(?:and |or )?"
MORE = {
    True: (
        rf"{AND}(?:replace )?<S> (?:with|by|to|into|as|for|becomes) <T>",
        rf"{AND}<S> (?:is |are |becomes )?{LINKED} <T>",
        rf"{AND}<S>\s*(?:->|=>|→)\s*<T>",
    ),
    False: (
        rf"{AND}(?:{WRITE} )?<T>,? (?:instead of|rather than|in place of|never|not|for|over|where you (?:would "
        r")?(?:say|mean)) <S>",
    ),
}
"""How a list of pairs goes on, by whether what is replaced comes first."""
FIELD_PREFIX = re.compile(
    r"^(?:and |but |also )?(?:in|inside|within|under|for|as|at) (?:the )?(?:(?:field|key|value|property) (?:of |for "
    rf")?)?(?:the )?(?P<f>{QUOTED}|[\w.$]+(?: type| kind)?)"
    r"(?: (?:field|key|value|property|label|entry|slot))?,? (?=\w|\")",
    re.IGNORECASE,
)
FIELD_SUFFIX = re.compile(
    rf"\s+(?:in|inside|within|under|for|as) (?:the )?(?:field |key |value of )?(?:the )?(?P<f>{QUOTED}|[\w.$]+(?: "
    r"type| kind)?)(?: (?:field|key|value|property|label|entry|slot))?\W*$",
    re.IGNORECASE,
)
NO_TERM = re.compile(
    r"(?:is|are|be|to|of|as|not|never|would|will|do|does|we|you|ever|appear\w*|say|write|mention|must|should|may|that|"
    r"than|"
    r"which|who|when|where|there|instead|only|always|just|also)(?:\s|$)|(?:the|a|an)$",
    re.IGNORECASE,
)
"""How a piece of a sentence begins that is no name, word or label."""
DESCRIBED = re.compile(r"\bthe (?:young|old|exiled|banished|lovesick|other|elder|younger) $", re.IGNORECASE)
"""What makes a description of the name that follows."""
NEGATED = re.compile(rf"(?:\b{NO}|\bnot to|\bwithout ever)\s*(?:ever |again |simply |just |to )?$", re.IGNORECASE)


@lru_cache(maxsize=1)
def _forms() -> tuple[re.Pattern[str], ...]:
    """Each form twice: with a name or quoted words as what is replaced, then with any words."""
    return tuple(_compile(form, strict=strict) for form in FORMS for strict in (True, False))


@lru_cache(maxsize=2)
def _more(source_first: bool) -> tuple[re.Pattern[str], ...]:
    return tuple(_compile(form) for form in MORE[source_first])


def _compile(form: str, *, strict: bool = False) -> re.Pattern[str]:
    source = rf"(?-i:{QUOTED}|{NAMED})" if strict else rf"(?:{QUOTED}|{LONG_BARE})"
    pieces = {
        "<S>": rf"{KIND}(?P<s>{source})",
        "<T>": rf"{KIND}(?P<t>{QUOTED}|{BARE})",
        "<NS>": rf"(?-i:(?P<s>{QUOTED}|{NAMED}))",
        "<NT>": rf"(?-i:(?P<t>{QUOTED}|{NAMED}))",
    }
    ending = END if form.endswith(tuple(pieces)) else ""
    for mark, piece in pieces.items():
        form = form.replace(mark, piece)
    return re.compile(form + ending, re.IGNORECASE)


def swaps_and_bans(sentence: str) -> Iterator[Rule]:
    """Substitutions of a sentence or, where there are none, its bans."""
    field, rest = scope(sentence)
    found = list(_swaps(rest, field))
    yield from found
    if not found:
        yield from bans(sentence)


def scope(sentence: str) -> tuple[str | None, str]:
    """The field that a sentence is about, and the sentence without the words that say so."""
    for pattern in (FIELD_PREFIX, FIELD_SUFFIX):
        match = pattern.search(sentence)
        if match:
            name = bare(match.group("f"))
            quoted = match.group("f")[0] in "\"'"
            if (
                IDENTIFIER.fullmatch(name)
                or (meaning_of(name) and not names_a_value(name))
                or (quoted and pattern is FIELD_PREFIX)
            ):
                return name, (sentence[: match.start()] + sentence[match.end() :]).strip()
    return None, sentence


def _swaps(sentence: str, field: str | None) -> Iterator[Swap]:
    for form in _forms():
        match = next((hit for hit in form.finditer(sentence) if _pair(hit)), None)
        if match is not None:
            break
    else:
        return
    denied = bool(NEGATED.search(sentence[: match.start()]))
    cursor, source_first = match.end(), match.start("s") < match.start("t")
    found: re.Match[str] | None = match
    while found is not None:
        source, target = _pair(found) or ("", "")
        yield Swap(source=source, target=target, field=field, denied=denied)
        cursor = found.end()
        onward = (more.match(sentence, cursor) for more in _more(source_first))
        found = next((hit for hit in onward if hit is not None and _pair(hit)), None)


def _pair(match: re.Match[str]) -> tuple[str, str] | None:
    groups = match.groupdict()
    if not groups.get("s") or not groups.get("t"):
        return None
    source, target = bare(groups["s"]), bare(groups["t"])
    if not source or not target or source.casefold() == target.casefold():
        return None
    if any(_no_term(raw, term) for raw, term in ((groups["s"], source), (groups["t"], target))):
        return None
    described = DESCRIBED.search(match.string[: match.start("s")])
    if described and source[0].isupper():
        source = described.group(0) + source
    return source, target


def _no_term(raw: str, term: str) -> bool:
    return raw[0] not in "\"'" and (term.lower() in JUNK or NO_TERM.match(term) is not None)
