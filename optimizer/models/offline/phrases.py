"""How the mutator side words an edit: several ways a cause, none of them the wording of edits found without a model."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.models.offline.values import own_name

CONCEPTS = {
    "both": (
        "a review has kind words as well as grievances",
        "the writer likes one thing and dislikes another",
        "compliments and criticism stand side by side",
    ),
    "praise": ("a review holds compliments alone", "the writer only praises", "someone is purely happy with the place"),
    "complaint": (
        "a review holds grievances alone",
        "the writer only complains",
        "someone is purely unhappy with the place",
    ),
    "neither": (
        "a review voices no opinion at all",
        "the writer neither praises nor complains",
        "a review states plain facts",
    ),
}
"""Ways to say what a review is like."""
SPURIOUS = (
    "Be careful and precise.",
    "Take your time and be thorough.",
    "Double-check everything before you finish.",
    "Keep a steady, professional tone.",
    "Pay attention to every detail.",
    "Think it through step by step.",
)
"""Lines that mean well and say nothing."""


def quoted(value: str) -> str:
    """A value in double quotes."""
    return '"' + " ".join(value.replace('"', "'").split()) + '"'


def listed(values: Sequence[str]) -> str:
    """`"a", "b" and "c"`."""
    named = [quoted(value) for value in values]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _name(value: str) -> str:
    return value if value.isalpha() and value[:1].isupper() else quoted(value)


def substitution(wrong: str, right: str) -> list[str]:
    """One word comes where another is wanted."""
    a, b = _name(wrong), _name(right)
    return [
        f"Refer to {a} as {b}.",
        f"Wherever you would say {a}, say {b}.",
        f"Replace each mention of {a} with {b}.",
        f"{a} is known as {b} here.",
    ]


def ban(wrong: str) -> list[str]:
    """A word comes that must not."""
    return [f"Leave out the word {quoted(wrong)}.", f"The word {quoted(wrong)} is off limits."]


def json_object(keys: Sequence[str]) -> list[str]:
    """JSON is wanted and something else came."""
    word = "key" if len(keys) == 1 else "keys"
    return [
        f"Reply solely with one JSON object that holds the {word} {listed(keys)}.",
        f"Produce a JSON object and no other text; its {word}: {', '.join(map(quoted, keys))}.",
    ]


def no_wrapping() -> list[str]:
    """JSON came with words or a fence around it."""
    return [
        "Send the JSON by itself, without code fences or other text.",
        "Put nothing around the JSON: no fence, no greeting.",
    ]


def mapping(field: str | None, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Values that come where others are wanted."""
    inside = f"Under {quoted(field)}, " if field else ""
    out = []
    for verb, joint in (("replace", "with"), ("change", "to"), ("turn", "into")):
        swaps = ", ".join(f"{quoted(wrong)} {joint} {quoted(right)}" for wrong, right in pairs)
        line = f"{inside}{verb} {swaps}."
        out.append(line[0].upper() + line[1:])
    return out


def label_list(field: str | None, labels: Sequence[str]) -> list[str]:
    """Labels that are none of the wanted ones came."""
    what = quoted(field) if field else "the label"
    return [
        f"Pick {what} from this list: {', '.join(map(quoted, labels))}.",
        f"For {what}, choose between {listed(labels)}.",
    ]


def _told(field: str | None, value: str) -> str:
    return f"{quoted(field) if field else 'the label'} is {quoted(value)}"


def concept(field: str | None, kind: str, value: str) -> list[str]:
    """A label follows from what a review is like."""
    return [f"When {said}, {_told(field, value)}." for said in CONCEPTS[kind]]


def business(field: str | None, kind: str, value: str) -> list[str]:
    """A label follows from the kind of business."""
    named = own_name("business", kind)
    return [
        f"When the review is about a {named}, {_told(field, value)}.",
        f"Where the business is a {named}, {_told(field, value)}.",
    ]


def words(field: str | None, found: Sequence[str], value: str) -> list[str]:
    """A label follows from words of the input."""
    either = " or ".join(map(quoted, found))
    return [
        f"Where the input has the word {either}, {_told(field, value)}.",
        f"Whenever {either} stands in the text, {_told(field, value)}.",
    ]


def always(field: str | None, value: str) -> list[str]:
    """A label without its condition: what an over-general edit says."""
    return [f"{_told(field, value)[0].upper()}{_told(field, value)[1:].replace(' is ', ' is always ', 1)}."]


def limit(most: str) -> list[str]:
    """Answers are too long."""
    return [f"Keep every answer within {most}.", f"Never exceed {most} in an answer."]


def case(kind: str) -> list[str]:
    """Answers differ in case alone."""
    return [f"Put the answer in {kind}-case letters.", f"Every answer is {kind}-cased."]


def bare_value() -> list[str]:
    """The right value came inside a sentence."""
    return ["Reply with a bare value, no full sentence.", "Give the value by itself, without a sentence."]
