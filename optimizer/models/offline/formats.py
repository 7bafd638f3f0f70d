"""Grammar of the answer's form: JSON and its keys, label lists, length, case."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.models.offline.rules import Bare, Case, Choices, Limit, Rule, Shape
from optimizer.models.offline.terms import IDENTIFIER, QUOTED, bare, field_in, items, meaning_of

NUMBERS = {
    name: number
    for number, name in enumerate(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split(),
        1,
    )
} | {"single": 1, "a": 1, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "couple of": 2, "dozen": 12}
COUNT = rf"(?P<n>\d{{1,4}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
UNIT = r"(?P<u>words?|sentences?|characters?|letters?|terms?|lines?|tokens?)"
UNITS = {"word": "words", "term": "words", "sentence": "sentences", "line": "sentences"}
TOKEN_CHARACTERS = 4
"""Characters that count as a token."""
LIMITS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?:at most|no more than|not more than|up to|max(?:imum)?\.?(?: of)?|within|not exceed(?:ing)?|never "
        r"exceed|limit\w*(?: (?:it|your (?:answer|reply)|the (?:answer|reply)|answers|replies))? to|limit of|no "
        rf"longer than|stay (?:within|under)|cap\w* at|keep\w*(?: \w+){{0,3}} to|restrict\w*(?: \w+){{0,3}} to) "
        rf"{COUNT}[ -]{UNIT}",
        rf"\b(?P<less>fewer than|less than|under|below|shorter than) {COUNT}[ -]{UNIT}",
        rf"\b{COUNT}[ -]{UNIT} (?:or (?:less|fewer|shorter)|at (?:the )?most|max(?:imum)?|tops|and no more|only|limit|"
        r"long at most|alone)",
        rf"\b(?:in|with|using|of|as|be|is|exactly|just|only|to|a) (?:just |only |exactly |a )?{COUNT}[ -]{UNIT}\b",
        rf"^{COUNT}[ -]{UNIT}\b",
    )
)
BRIEF = re.compile(
    r"^(?:please |always )?(?:be |keep (?:it|your (?:answer|reply|answers)|the answer|answers) |answer |reply |stay "
    r")?(?:very |as )?(?:brief|briefly|concise|concisely|short|terse|tersely|succinct|succinctly)\b\W*$",
    re.IGNORECASE,
)
NOT_FORMAT = r"(?:no|not|never|without|don't|do not|avoid|instead of|rather than|stop using|neither)\s+(?:\w+\s+){0,4}?"
JSON = re.compile(r"\bjson\b", re.IGNORECASE)
NOT_JSON = re.compile(
    rf"\b{NOT_FORMAT}json\b|\bjson (?:is|are) (?:not|forbidden|banned)|\bplain (?:text|prose|english|sentences?|"
    r"words)\b(?! (?:around|before|after|outside))|\bin prose\b",
    re.IGNORECASE,
)
ONLY = re.compile(
    r"\bonly (?:a |an |one |the |with |valid |raw )*(?:json|object)|\bjson(?: object)? (?:only|alone)\b|\bnothing "
    r"(?:else|but|more|around|before|after|other)\b|"
    r"\bno (?:other|extra|additional|further|surrounding) (?:text|words|output|prose|commentary|content)|\bwithout "
    r"(?:any )?(?:other |extra |additional |further |surrounding )?(?:text|words|explanation|commentary|prose)|"
    r"\bno (?:explanations?|prose|commentary|preamble|introduction|markdown|code fences?|code blocks?|fences?|"
    r"backticks|wrapping|decoration|chatter|small talk)|"
    r"\b(?:do not|don't|never|avoid|without|skip|omit|leave out|drop|refrain from) (?:\w+ ){0,4}?(?:markdown|code "
    r"fences?|code blocks?|fences?|backticks|fenced|explanations?|explain|prose|preamble|commentary|anything else|any "
    r"other text|other text|extra text|text around|text before|introduction)|"
    r"\braw json\b|\bbare (?:json|object)|\bjust (?:a |an |the |one )*(?:json|object)|\bpure json|\bnot? (?:a "
    r")?(?:markdown|code fence)|\bexclusively\b|\bsolely\b|\b(?:json )?object (?:and that is all|by itself|on its "
    r"own)|\bjson by itself",
    re.IGNORECASE,
)
VALUE_ONLY = re.compile(
    r"\b(?:just|only|merely|simply) (?:with )?(?:the |a |an |one |its |his |her |that |this )?(?:bare |single |"
    r"character's |person's )?(?:name|value|answer|label|sentiment|category|character|word|term|type)s?\b|"
    r"\b(?:the |a )?(?:bare |single )?(?:name|value|label|answer) (?:only|alone|and nothing else|by itself|on its "
    r"own)\b|\bnothing (?:but|more than|except|besides) (?:the |a )?(?:bare |single )?(?:name|value|label|answer|word)|"
    r"\ba bare (?:name|value|label)\b|\b(?:a|the) (?:name|label|value) without (?:a |any )?(?:sentence|words|"
    r"explanation)|\bno full sentences?\b|\bwithout a sentence\b",
    re.IGNORECASE,
)
BULLETS = re.compile(r"\b(?:bullet(?:ed)?(?: points?| list)?|bullets|dashed list|list of points)\b", re.IGNORECASE)
NO_BULLETS = re.compile(rf"\b{NOT_FORMAT}(?:bullet|list)", re.IGNORECASE)
CASES = (
    (
        "upper",
        re.compile(
            r"\b(?:upper[- ]?cased?|all[- ]caps|capitals|capital letters|block letters|in caps|capitali[sz]e "
            r"(?:everything|all|every letter|the whole))\b",
            re.IGNORECASE,
        ),
    ),
    (
        "lower",
        re.compile(
            r"\b(?:lower[- ]?cased?|small letters|no capitals|no capital letters|without capitals?|uncapitali[sz]ed)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "title",
        re.compile(
            r"\b(?:title[- ]?cased?|capitali[sz]e (?:each|every) word|each word capitali[sz]ed|headline case|initial "
            r"capitals)\b",
            re.IGNORECASE,
        ),
    ),
)
NO_CASE = re.compile(rf"\b{NOT_FORMAT}(?:upper|all[- ]?caps|capitals|lower|title)", re.IGNORECASE)
KEYS = re.compile(
    r"\b(?:keys?|fields?|properties|property|attributes?|members?|entries|entry|slots?)\b(?:\s+(?:called|named|are|is|"
    r"of|must be|should be|exactly|only|these|to use|like|such as))*\s*:?\s*(?P<k>.+)$",
    re.IGNORECASE,
)
KEYS_BEFORE = re.compile(
    rf"(?P<k>(?:{QUOTED}|\w+)(?:(?:, | and |, and )(?:the )?(?:{QUOTED}|\w+))*) (?:as|are) (?:the |its )?(?:only "
    r")?(?:keys|fields|properties)",
    re.IGNORECASE,
)
KEYS_END = re.compile(
    r",? (?:and|with) (?:nothing|no )|\.\s|\bonly\b|\bwhere\b|\bin that order\b|\bin this order\b|\bfor (?:each|every|"
    r"the)\b|,? nothing else",
    re.IGNORECASE,
)
TEMPLATE = re.compile(r"[\"'](\w[\w -]{0,30})[\"']\s*:\s*(?:[\"']?([^\"'{},]*)[\"']?)")
ANNOUNCED = re.compile(
    r"\b(?:exactly one of|one of|any of|either|from among|from(?: the| this)?(?: following)?(?: list| set| labels| "
    r"values| options| choices)?|among|choose(?: between| from)?|pick(?: between| from)?|select(?: from)?|"
    r"(?:allowed|permitted|valid|possible|accepted|legal|admissible|available|permissible|only|acceptable|following|"
    r"these|fixed|the|closed|known)(?: \w+){0,2}? (?:values?|labels?|options?|choices|categories|classes|answers|"
    r"sentiments|types|words|set|terms|codes|names)(?: for [\w\"'. ]+?(?=\s*(?::|=|\bare\b|\bis\b)))?(?: are| is| "
    r"include)?|"
    r"(?:values?|labels?|options?|choices|categories|classes)(?: are| is| include)?(?=:)|classif(?:y|ied)(?: "
    r"\w+){0,4}? (?:as|into)|label(?:led|ed)?(?: \w+){0,4}? (?:as|with)|"
    r"(?:must|should|shall|can|may) (?:only )?be(?: exactly| always| strictly| only)?|(?:restricted|limited|confined) "
    r"to|enum|may (?:only )?(?:take|hold|have)|takes)"
    r"(?: (?:the following|these|this list|of|values?|labels?|options?|exactly|strictly|only|four|three|five|six|two|"
    r"words|\d+|terms|codes|choices|categories|out of|names|strings))*\s*[:=({\[]?\s*",
    re.IGNORECASE,
)
PIPES = re.compile(r"[\w -]+(?:\s*\|\s*[\w\"' -]+)+")
LIST_END = re.compile(
    r"\.(?:\s|$)|\s-\s|\)|\]|\}|,? (?:and |but )?(?:nothing else|no other)|\bonly\b\W*$|;|,? (?:whichever|depending|"
    r"according|spelled|spelt|exactly as|in lower|in upper|written)\b",
    re.IGNORECASE,
)


def formats(sentence: str) -> Iterator[Rule]:
    """Rules of form in a sentence."""
    chosen = choices(sentence)
    yield from _shape(sentence, chosen)
    if chosen:
        yield chosen
    if ONLY.search(sentence):
        yield Bare()
    yield from _limits(sentence)
    for kind, pattern in CASES:
        if pattern.search(sentence) and not NO_CASE.search(sentence):
            yield Case(kind=kind)


def _shape(sentence: str, chosen: Choices | None) -> Iterator[Rule]:
    keys = keys_of(sentence, chosen)
    if NOT_JSON.search(sentence) and not re.search(r"\bjson\b.*\bnot\b", sentence, re.IGNORECASE):
        yield Shape(kind="plain")
    elif JSON.search(sentence) or (keys and "{" in sentence):
        yield Shape(kind="json", keys=keys)
    elif keys:
        yield Shape(kind="keys", keys=keys)
    elif BULLETS.search(sentence) and not NO_BULLETS.search(sentence):
        yield Shape(kind="bullets")
    elif VALUE_ONLY.search(sentence):
        yield Shape(kind="value")


def keys_of(sentence: str, chosen: Choices | None = None) -> tuple[str, ...]:
    """Names of keys that a sentence gives: after `keys`, before `as keys`, or in a template in braces."""
    template = [key for key, _ in TEMPLATE.findall(sentence)] if "{" in sentence else []
    if template:
        return tuple(dict.fromkeys(template))
    match = KEYS_BEFORE.search(sentence) or KEYS.search(sentence)
    if not match:
        return ()
    listed = KEYS_END.split(match.group("k"))[0]
    if chosen and len(re.findall(QUOTED, listed)) < 2:
        return ()
    found = items(re.sub(r"\([^)]*\)", "", listed))
    names = [name for name in found if re.fullmatch(r"[\w.-]+(?: (?:type|kind|name))?", name)]
    telling = any(meaning_of(name) or IDENTIFIER.fullmatch(name) for name in names) or re.search(QUOTED, listed)
    return tuple(names) if names and len(names) == len(found) and telling else ()


def choices(sentence: str) -> Choices | None:
    """The closed list of labels that a sentence announces."""
    template = TEMPLATE.findall(sentence) if "{" in sentence else []
    piped = [(key, items(value)) for key, value in template if "|" in value]
    if piped:
        return Choices(field=piped[0][0], values=piped[0][1])
    if re.search(r"\bjson\b", sentence, re.IGNORECASE) and not re.search(r"\bone of\b|\|", sentence, re.IGNORECASE):
        return None
    spans = [match.span() for match in re.finditer(QUOTED, sentence)]
    heads = [m for m in ANNOUNCED.finditer(sentence) if not any(a < m.start() < b for a, b in spans)]
    for match in [*reversed(heads[:8]), *PIPES.finditer(sentence)][:9]:
        piped_list = "|" in match.group(0)
        start = match.start() if piped_list else match.end()
        listed = _list_from(sentence[start:])
        values = items(listed)
        if len(values) >= 2 and all(0 < len(value) <= 40 for value in values) and not _prose(values):
            field = field_in(re.sub(r"^(?:if|when)\b.*?,", "", sentence[: match.start()])) or _field_inside(
                match.group(0)
            )
            return Choices(field=field, values=values)
    return None


def _list_from(rest: str) -> str:
    quoted_spans = [match.span() for match in re.finditer(QUOTED, rest)]
    for match in LIST_END.finditer(rest):
        if not any(start < match.start() < end for start, end in quoted_spans):
            return rest[: match.start()]
    return rest


def _field_inside(announcement: str) -> str | None:
    match = re.search(r"\bfor (?:the )?([\w\"'.]+)", announcement)
    return field_in(match.group(1)) if match else field_in(announcement)


def _prose(values: tuple[str, ...]) -> bool:
    small = frozenset("the is are you it this that to be not your do if of answer with only just a an i was".split())
    return sum(bool(set(value.lower().split()) & small) for value in values) > len(values) / 3


def _limits(sentence: str) -> Iterator[Rule]:
    if BRIEF.match(sentence):
        yield Limit(unit="sentences", most=1)
        return
    for form in LIMITS:
        match = form.search(sentence)
        if match is None or re.search(
            r"\b(?:at least|no fewer than|more than)\W*$", sentence[: match.start("n")].replace("no more than", "")
        ):
            continue
        groups = match.groupdict()
        name = groups["n"].lower()
        most = int(name) if name.isdigit() else NUMBERS.get(name, 1)
        word = groups["u"].lower()
        unit = next((unit for start, unit in UNITS.items() if word.startswith(start)), "characters")
        most *= TOKEN_CHARACTERS if word.startswith("token") else 1
        yield Limit(unit=unit, most=max(1, most - 1 if groups.get("less") else most))
        return


def key_line(line: str) -> tuple[str, Choices | None] | None:
    """A line such as `- sentiment: positive, negative or mixed` under a JSON instruction: key, and labels if listed."""
    match = re.match(
        rf"^\s*(?:[-*•+]|\d{{1,2}}[.)])?\s*(?P<k>{QUOTED}|[A-Za-z]\w*)\s*(?:\([^)]*\))?\s*(?::|=| - )\s*(?P<v>.+)$",
        line,
    )
    if not match:
        return None
    key = bare(match.group("k"))
    value = match.group("v")
    listed = choices(f"one of: {value}") if len(items(_list_from(value))) >= 2 else choices(value)
    return key, Choices(field=key, values=listed.values) if listed and max(
        len(v.split()) for v in listed.values
    ) <= 3 else None
