"""Grammar of conditions: `if ... then ...`, `... when ...`, `... means ...`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from optimizer.models.offline.reviews import business_named, lean, names_a_value
from optimizer.models.offline.rules import Rule, Test, When
from optimizer.models.offline.terms import IDENTIFIER, QUOTED, bare, field_in, field_words
from optimizer.models.offline.world import WORD, alternatives, load, plain, stem

LEAD = re.compile(
    r"^(?:and |but |also |however,? |note: |rule: |exception: )?(?:if and only if|if|whenever|when|in case(?: that)?|"
    r"in cases where|for|wherever|where|should|once|given(?: that)?|with|"
    r"provided(?: that)?|any ?time|every time|each time|as soon as|on|supposing|assuming|as long as)\s+",
    re.IGNORECASE,
)
JOINT = re.compile(r",\s*(?:then\s+)?|\s+then\s+|:\s+|\s*(?:->|=>|→)\s*|\s+-\s+")
SUFFIX = re.compile(
    r",?\s+(?:if and only if|only if|only when|only for|if|whenever|when|for|in case|where|provided(?: that)?|as long "
    r"as|on|in cases where|once|given)\s+",
    re.IGNORECASE,
)
VALUE = (
    rf"(?P<v>{QUOTED}|(?!(?:both|the|a|an|it|this|that|any|of|one|written|called|named|used|allowed|never|not|"
    r"either|exactly)\b)[\w/+&'-]+(?: (?!not\b|never\b|instead\b|rather\b|for\b|in\b|as\b|when\b|if\b|and\b|"
    rf"but\b)[\w/+&'-]+){{0,2}})"
)
STATE = (
    r"(?:must be|should be|shall be|will be|has to be|needs to be|is to be|is|are|becomes|gets|takes|equals|reads|"
    r"be|=|:|→|->|ought to be|counts as|goes to|turns)"
)
SAY = (
    r"(?:please |always |just |simply |then |you |should |must |only )*(?:use|write|choose|pick|answer(?: with)?|say|"
    r"return|output|select|assign|give|put|"
    r"set|report|reply(?: with)?|respond(?: with)?|go with|record|state|enter|name|note|make|print|reserve|keep|save|"
    r"take|emit|opt for|employ|"
    r"(?:label|mark|classify|tag|rate|treat|call|consider|count|grade|score|judge|file|log|code|deem|flag) (?:it|them|"
    r"the (?:review|input|text|sentiment|tone|polarity|feedback|business|customer)|this|that|such (?:a )?(?:reviews?|"
    r"inputs?|texts?)|these)(?: as| under)?|"
    r"(?:it|this|that|the (?:right |correct )?(?:answer|label|value|verdict|result)) (?:is|counts as|must be|should "
    r"be|becomes|will be|means)|"
    r"(?:label|mark|classify as|tag|call|mark as|label as|code))"
)
CONSEQUENCES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"^(?:the |its |your )?(?P<f>{QUOTED}|[\w.$]+(?: type| kind| field| value| key| label)?)(?: field| value| "
        rf"key| label| of the (?:review|text|input|business))* {STATE}(?: (?:set to|labelled|labeled|marked(?: as)?|"
        rf"always|just|simply|now))* {VALUE}(?P<rest>.*)$",
        rf"^(?P<f>{QUOTED}|[\w.$]+)\s*[=:]\s*{VALUE}(?P<rest>.*)$",
        rf"^(?:please )?(?:set|make|mark|put|let|give|assign|label|fill) (?:the )?(?P<f>{QUOTED}|[\w.$]+(?: type| "
        r"kind| field| value)?)(?: field| value| key| label)* (?:to|as|be|with|=) (?:the (?:value|label|word) "
        rf")?{VALUE}(?P<rest>.*)$",
        rf"^{SAY} (?:the )?(?:(?:value|label|word|term|answer|code|sentiment|tone|polarity|name) )?(?:of "
        rf")?{VALUE}(?P<rest>.*)$",
    )
)
MEANS = re.compile(
    r"\s+(?:means?|gives?|implies|imply|calls? for|makes?|is|are|counts? as|gets?|yields?|must be|should be|is to be|"
    r"deserves?|earns?|takes?|"
    r"becomes?|amounts? to|signals?|leads? to|denotes?|indicates?|stands? for|is reserved for|is for|applies to|"
    r"covers|describes|goes to|"
    r"goes with|belongs to|comes under|falls under|qualif(?:y|ies) as|translates? to|is used for|is used when|is the "
    r"label for|fits|suits|marks)"
    r"(?: (?:labelled|labeled|marked|classified|tagged|rated|called|given|treated|counted|filed|written|always|the "
    r"label|the value|the sentiment|as|under|when|if))*\s+",
    re.IGNORECASE,
)
COLON = re.compile(rf"^(?P<v>{QUOTED}|[\w/+&-]+(?: [\w/+&-]+)?)\s*(?:[:=]| - |->|=>|→|\()\s*(?P<c>.+?)\)?$")
ABOUT_WORDS = re.compile(
    r"\b(?:mention\w*|contain\w*|includ\w*|says?|said|has|have|us(?:e|es|ing)|talk\w* about|speak\w* of|refer\w* to|"
    r"with|holds?|there is|"
    r"finds?|appears?|occurs?|stands?|sees?|words?|phrases?|terms?|name[sd]?|reads?|shows? up|comes? up|writes?)\b",
    re.IGNORECASE,
)
NEGATION = re.compile(
    r"\b(?:no|not|never|without|doesn't|don't|does not|do not|nothing|lacks?|free of|isn't|absent|absence of|n't)\b",
    re.IGNORECASE,
)
STRONG_MEANS = re.compile(
    r"\b(?:means?|stands? for|denotes?|indicates?|(?:is|are) (?:reserved |used )?for|covers|signals?|marks|"
    r"describes)\b",
    re.IGNORECASE,
)
LOOSE = re.compile(r"^\W*(?:for|with|on|given|once|should|in cases?)\b", re.IGNORECASE)
OPINION = re.compile(
    r"\b(?:opinions?|feelings?|judge?ments?|sentiments?|emotions?|evaluations?|views?|verdicts?|stance|attitude|"
    r"praise or|liking or)\b"
)
DENIAL = re.compile(
    r"^(?:please )?(?:do not|don't|never|avoid|you must not|must not|not) (?:use |using |write |writing |say |saying |"
    r"answer |choose |choosing |pick |picking |put |give |label (?:it|this)(?: as)? )",
    re.IGNORECASE,
)
ALWAYS = re.compile(
    rf"^(?:the )?(?P<f>{QUOTED}|\w+)(?: field| value)? (?:(?:is|must be|should be) always|always (?:is|equals|must "
    rf"be)|is) {VALUE}(?: (?:in every case|for every \w+|every time|in all cases|whatever .*|no matter .*))?\W*$",
    re.IGNORECASE,
)
NO_LABEL = frozenset(
    "keys fields note rule rules format example output values labels task answer important hint tip".split()
)
SUBJECTS = frozenset(
    "review reviews reviewer reviewers input inputs text customer customers question it they writer author message "
    "feedback comment sentiment".split()
)


def conditions(sentence: str) -> Iterator[Rule]:
    """Conditional rules of a sentence; `a when x, b when y` gives two."""
    found = _one(sentence)
    pieces = [piece for piece in re.split(r"[,;]\s+(?:and\s+)?(?=[\"'\w])|\s+and\s+(?=\")", sentence) if piece.strip()]
    if 1 < len(pieces) <= 12:
        parts = [_suffixed(piece) or _meaning(piece) or _labelled(piece) for piece in pieces]
        if sum(part is not None for part in parts) >= 2 and all(parts):
            yield from (part for part in parts if part)
            return
    if found:
        yield found


def _one(sentence: str) -> When | None:
    always = ALWAYS.match(sentence)
    if always and (
        re.search(r"\b(?:always|every|all|whatever|no matter)\b", sentence)
        and (outcome := consequence(f"{always.group('f')} is {always.group('v')}"))
    ):
        return When(test=Test(kind="always", values=()), field=outcome[0], value=outcome[1])
    return _prefixed(sentence) or _suffixed(sentence) or _meaning(sentence) or _labelled(sentence)


def _prefixed(sentence: str) -> When | None:
    lead = LEAD.match(sentence)
    if not lead:
        return None
    rest = sentence[lead.end() :]
    joints = [match.span() for match in JOINT.finditer(rest)][:12]
    said = re.search(rf"\s(?={SAY} )", rest)
    if said and not joints:
        joints = [said.span()]
    for start, end in reversed(joints):
        found = _when(rest[:start], rest[end:], loose=bool(LOOSE.match(lead.group(0))))
        if found:
            return found
    return None


def _suffixed(sentence: str) -> When | None:
    for match in list(SUFFIX.finditer(sentence))[:8]:
        loose = bool(LOOSE.match(match.group(0).lstrip(", ")))
        found = _when(sentence[match.end() :], sentence[: match.start()], loose=loose, alone=True)
        if found:
            return found
    return None


def _when(cause: str, effect: str, *, loose: bool, alone: bool = False) -> When | None:
    """A rule from the two halves of a sentence.

    Args:
        cause: the words of the condition.
        effect: the words of the consequence.
        loose: the joining word is as often no condition (`for`): then the value must be an evident one.
        alone: whether the consequence may be a value alone.
    """
    denial = DENIAL.match(effect)
    told = "use " + effect[denial.end() :] if denial else effect
    value = _sole_value(told) if alone else None
    outcome = consequence(told) or ((None, value) if value and _evident(value, told) else None)
    if outcome is None or field_only(outcome[1]) or (loose and not _evident(outcome[1], told)):
        return None
    test = condition(cause)
    if test is None:
        return None
    return When(test=test, field=outcome[0], value=outcome[1], denied=bool(denial))


def _evident(value: str, text: str) -> bool:
    """Whether a word is clearly meant as a value: quoted, a known label, or a code such as `K1`."""
    quoted = re.search(rf"[\"']{re.escape(value)}[\"']", text) is not None
    return quoted or names_a_value(value) or bool(re.fullmatch(r"[A-Z]{1,4}[-_]?\d*|[A-Za-z]+[-_]?\d+|\d+", value))


def _meaning(sentence: str) -> When | None:
    match = MEANS.search(sentence)
    if not match:
        return None
    left, right = sentence[: match.start()].strip(), sentence[match.end() :].strip(" .")
    strong = STRONG_MEANS.search(match.group(0)) is not None
    for value_side, cause in ((right, left), (left, right)):
        value, test = _sole_value(value_side), condition(cause)
        if not value or test is None or test.kind == "words" or field_only(left) or not _evident(value, value_side):
            continue
        if len(cause.split()) > 1 or (strong and not condition(value)):
            return When(test=test, field=None, value=value)
    return None


def field_only(text: str) -> bool:
    """Whether a text is just the name of a field: `the sentiment`."""
    name = bare(re.sub(r"^(?:the|its|your)\s+", "", text, flags=re.IGNORECASE))
    return bool(IDENTIFIER.fullmatch(name)) or name.lower() in field_words()


def _labelled(sentence: str) -> When | None:
    match = COLON.match(sentence)
    if not match or field_only(match.group("v")):
        return None
    value, cause = bare(match.group("v")), match.group("c")
    if value.lower() in NO_LABEL or (len(value.split()) > 1 and not _evident(value, sentence)):
        return None
    test = condition(cause)
    if (
        test is None
        or test.kind == "words"
        or len(cause.split()) < 2
        or re.search(r"\bone of\b|\||^[\w ]+,[\w ,]+\bor\b", cause)
    ):
        return None
    return When(test=test, field=None, value=value)


def _sole_value(text: str) -> str | None:
    cleaned = re.sub(
        r"^(?:the (?:label|value|word|answer|sentiment|code) |and |or |but )+",
        "",
        text.strip(" .,:"),
        flags=re.IGNORECASE,
    )
    cleaned = re.sub(r"\s+(?:sentiment|label|value|reviews?)$", "", cleaned)
    if re.fullmatch(QUOTED, cleaned):
        return bare(cleaned)
    return cleaned if re.fullmatch(r"[\w+/-]{1,20}", cleaned) and cleaned.lower() not in SUBJECTS else None


def consequence(text: str) -> tuple[str | None, str] | None:
    """(field or None, value) of the consequent of a condition."""
    cleaned = re.sub(r"^(?:and|then|please|simply|just)\s+", "", text.strip(" .!"), flags=re.IGNORECASE)
    for form in CONSEQUENCES:
        match = form.match(cleaned)
        if not match:
            continue
        named = match.groupdict().get("f")
        field = field_in(named) if named else field_in(_scope_words(match.group("rest")))
        if named and field is None and bare(named).lower() not in ("answer", "output", "reply", "value", "label", "it"):
            continue
        value = bare(match.group("v"))
        if value and len(value.split()) <= 5:
            return field, value
    return None


def _scope_words(rest: str) -> str:
    match = re.search(r"\b(?:for|as|in|under) (?:the )?(.{1,40})$", rest)
    return match.group(1) if match else ""


@lru_cache(maxsize=4096)
def condition(text: str) -> Test | None:
    """A condition on the input, None where the stand-in cannot make sense of it."""
    quoted = [bare(found) for found in re.findall(QUOTED, text)]
    if quoted and ABOUT_WORDS.search(re.sub(QUOTED, " ", text)):
        denied = bool(NEGATION.search(re.sub(QUOTED, " ", text)))
        return Test(kind="words", values=tuple(sorted(word.lower() for word in quoted)), denied=denied)
    kind = sentiment_meant(text)
    if kind:
        return Test(kind="sentiment", values=(kind,))
    business = business_named(text)
    if business:
        return Test(kind="business", values=(business,))
    return _plain_words(text)


def _plain_words(text: str) -> Test | None:
    match = re.search(
        r"\b(?:mentions?|contains?|includes?|talks? about|speaks? of|refers? to|the words?|the phrase|says|brings up|"
        r"names) (?:the words? |of |an? |any )?(?P<w>[\w' -]+(?:(?:, ?| or )[\w' -]+)*)$",
        text.strip(" .,"),
    )
    if not match:
        return None
    words = [word.strip().lower() for word in re.split(r",|\bor\b", match.group("w")) if word.strip()]
    denied = bool(NEGATION.search(text[: match.start()]))
    return (
        Test(kind="words", values=tuple(sorted(words)), denied=denied)
        if all(len(w.split()) <= 3 for w in words)
        else None
    )


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[frozenset[str], frozenset[str], re.Pattern[str], re.Pattern[str]]:
    known = load()["conditions"]
    stems = [frozenset(stem(word) for word in known[kind]) for kind in ("praise", "complaint")]
    phrases = [re.compile(rf"\b(?:{alternatives(known[kind])})\b") for kind in ("both", "neither")]
    return stems[0], stems[1], phrases[0], phrases[1]


def sentiment_meant(text: str) -> str | None:
    """`praise`, `complaint`, `both` or `neither` where a condition describes one of them."""
    lowered = re.sub(QUOTED, lambda found: found.group(0)[1:-1], plain(text))
    praise, complaint, both, neither = _vocabulary()
    sides: dict[str, bool] = {}
    words = WORD.findall(lowered)
    for index, word in enumerate(words):
        side = "praise" if stem(word) in praise else "complaint" if stem(word) in complaint else lean(word)
        if side:
            near = " ".join(words[max(0, index - 3) : index])
            near = re.split(r"\b(?:but|and|while|yet|with)\b(?! no| not| never| without)", near)[-1]
            void = words[index + 1 : index + 2] in (["nothing"], ["none"], ["nobody"])
            sides[side] = sides.get(side, False) or not (void or NEGATION.search(near) or "n't" in near)
    if sides.get("praise") and sides.get("complaint") and not re.search(r"\bneither\b", lowered):
        return "both"
    if not sides and OPINION.search(lowered) and NEGATION.search(lowered):
        return "neither"
    if (
        neither.search(lowered)
        and not (sides.get("praise") or sides.get("complaint"))
        or re.search(r"\bneither\b", lowered)
    ):
        return "neither"
    if set(sides) == {"praise", "complaint"} and not any(sides.values()):
        return "neither"
    wanted = [side for side, present in sides.items() if present]
    if wanted:
        return wanted[0]
    if both.search(lowered):
        return "both"
    if len(sides) == 1:
        return "complaint" if "praise" in sides else "praise"
    return None
