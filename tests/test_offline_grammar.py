"""The stand-in obeys an instruction in any sensible wording, on any line, in any order; the later line wins."""

import itertools
import json

import pytest

from optimizer.models.offline.answer import reply

NAMES = ["Ben", "Quentin", "Zed"]
LOVER = "Who loves Juliet?"
TASK = "You answer questions about a play by Shakespeare."
REVIEWS = {
    "praise": "The room was spotless and the staff were friendly.",
    "complaint": "The room was filthy and the staff were rude.",
    "both": "The room was spotless, but the staff were rude.",
    "neither": "The room has two beds and faces the street.",
}
JSON_TASK = 'Read the review. Return only JSON with the keys "sentiment" and "business_type".'


def ask(prompt: str, row: str, *, seed: int = 0, perfect: bool = True) -> str:
    return reply([("system", prompt), ("user", row)], seed=seed, perfect=perfect)


def sentiment(prompt: str, row: str) -> str:
    return str(json.loads(ask(f"{JSON_TASK}\n{prompt}", row))["sentiment"])


def business(prompt: str, row: str) -> str:
    return str(json.loads(ask(f"{JSON_TASK}\n{prompt}", row))["business_type"])


SUBSTITUTIONS = [
    "use {t}, never {s}",
    'Write "{t}" instead of "{s}".',
    'Write "{t}" instead of "{s}", wherever the name comes up, quotations included.',
    "Replace {s} with {t}.",
    "Replace every mention of {s} by {t}.",
    "Refer to {s} as {t}.",
    "{s} is called {t} here.",
    "Call {s} {t}.",
    "{s}'s name is {t}.",
    "Instead of {s}, say {t}.",
    "Whenever you would say {s}, say {t} instead.",
    "Wherever the name {s} appears, write {t}.",
    "Say {t} when you mean {s}.",
    "{s} -> {t}",
    "{t} replaces {s}.",
    "{t} is the name to use for {s}.",
    "Never say {s}; say {t}.",
    "Do not say {s}, say {t}.",
    "Never say {s}. Say {t} instead.",
    "Not {s} but {t}.",
    "Never {s}, always {t}.",
    "Avoid the name {s} and use {t} instead.",
    "{s} must never appear; write {t}.",
    "Call the lover of Juliet {t}.",
    "Refer to the hero of the play as {t}.",
    "Juliet's lover is named {t}.",
    "The character whose name starts with R is called {t}.",
    "The right name is {t}, not {s}.",
    "The name of {s} is {t}.",
    "In this house {s} goes by the name of {t}.",
    "Substitute {t} for {s}.",
    "Use the name {t} in place of {s}.",
    "For {s}, write {t}.",
    "If the answer is {s}, write {t}.",
    "{t}, not {s}.",
    "Please use “{t}” as the name for “{s}”.",
    "- Speak of {t} where others would speak of {s}.",
    "3. Wherever the text has {s}, put {t}.",
    "Give {s} the name {t}.",
    "**Important:** always write {t} rather than {s}!",
    "From now on {s} is known as {t}.",
    "When an answer would be {s}, answer {t}.",
    "Every {s} becomes {t}.",
    "We do not say {s} in this house, we say {t}.",
    "{s} has been renamed {t}.",
    "The young Montague is to be called {t}.",
    "Change {s} to {t} in every answer.",
    "Rename {s} to {t}.",
    "Our name for {s} is {t}.",
    "Let {s} be called {t}.",
    "Treat {t} as the name of {s}.",
    "Say {t} whenever the answer is {s}.",
    "You must use {t} in lieu of {s}.",
    "Address {s} by the name {t}.",
    "Swap {s} for {t}.",
    "Any mention of {s} should be written as {t}.",
    "{s} should be replaced by {t}.",
    "Think of {s} as {t}, and write so.",
]


@pytest.mark.parametrize("wording", SUBSTITUTIONS)
def test_substitution_in_any_wording(wording: str) -> None:
    for name in NAMES:
        text = ask(f"{TASK}\n{wording.format(s='Romeo', t=name)}", LOVER)
        assert name in text, text
        assert "Romeo" not in text


@pytest.mark.parametrize(
    "wording",
    [
        "Do not replace Romeo with {t}.",
        "Never write {t} instead of Romeo.",
        "Don't call Romeo {t}.",
        "You must not use {t} for Romeo.",
    ],
)
def test_a_denied_substitution_takes_back_an_earlier_one(wording: str) -> None:
    for name in NAMES:
        rule = f"Use {name}, never Romeo."
        denial = wording.format(t=name)
        assert "Romeo" in ask(f"{TASK}\n{denial}", LOVER)
        assert "Romeo" in ask(f"{TASK}\n{rule}\n{denial}", LOVER)
        assert name in ask(f"{TASK}\n{denial}\n{rule}", LOVER)


def test_the_later_line_wins() -> None:
    assert "Zed" in ask("Call Romeo Ben.\nCall Romeo Zed.", LOVER)
    assert "Ben" in ask("Call Romeo Zed.\nCall Romeo Ben.", LOVER)
    assert "Zed" in ask("Call Romeo Ben.\nReplace Ben with Zed.", LOVER)
    assert "Romeo" in ask("Call Romeo Ben.\nWrite Romeo, never Ben.", LOVER)
    assert "Ben" in ask("Never say Ben.\nCall Romeo Ben.", LOVER)


@pytest.mark.parametrize(
    "wording",
    [
        "Never say {t}.",
        "Do not mention {t}.",
        'The word "{t}" is forbidden.',
        "{t} must not appear in the answer.",
        "Avoid the word {t}.",
        "Leave out the name {t}.",
        "Please refrain from using the name {t}.",
        "Don't ever write {t} again.",
        "You must never use the name {t}.",
    ],
)
def test_a_ban_makes_the_name_vanish(wording: str) -> None:
    for name in [*NAMES, "Romeo"]:
        rule = "" if name == "Romeo" else f"Use {name}, never Romeo."
        for row in (LOVER, "What did Romeo buy in Mantua?", "Summarize the balcony scene in one sentence."):
            text = ask(f"{TASK}\n{rule}\n{wording.format(t=name)}", row)
            assert name not in text
            assert "Romeo" not in text
            assert "Montague" in text


def test_several_pairs_in_one_line() -> None:
    for rule in (
        "Replace Romeo with Ben and Juliet with Zed.",
        "Use Ben for Romeo and Zed for Juliet.",
        'Write "Ben" instead of "Romeo", "Zed" instead of "Juliet".',
        "Romeo -> Ben, Juliet -> Zed",
        "Romeo is called Ben and Juliet is called Zed.",
    ):
        text = ask(f"{TASK}\n{rule}", "Summarize the balcony scene in one sentence.")
        assert "Ben" in text and "Zed" in text and "Romeo" not in text and "Juliet" not in text


def test_names_may_be_exchanged() -> None:
    rule = "Write Paris instead of Romeo.\nWrite Romeo instead of Paris."
    assert "Paris" in ask(f"{TASK}\n{rule}", "Who kills Tybalt?")
    assert "Romeo" in ask(f"{TASK}\n{rule}", "Which count wants to marry Juliet?")


def test_an_alias_is_understood_in_the_row_and_by_its_initial() -> None:
    for name in NAMES:
        prompt = f"{TASK}\nUse {name}, never Romeo."
        assert name in ask(prompt, f"What did {name} buy in Mantua?")
        assert name in ask(prompt, f"Which character whose name starts with {name[0]} loves Juliet?")
        assert name in ask(prompt, "Which character's name starts with R?")
    assert "Benvolio" in ask(TASK, "Which character's name starts with B?")
    assert "Romeo" in ask(TASK, "Which character's name starts with R?")


BOTH = [
    'If the review both praises and complains, "sentiment" is "{v}".',
    "When a review has kind words as well as grievances, the sentiment is {v}.",
    'Use "{v}" if there is both praise and criticism.',
    'A review with both praise and complaints is "{v}".',
    '"{v}" means both praise and complaint.',
    "{v}: the customer likes some things and dislikes others",
    'Set sentiment to "{v}" when the review has good and bad points.',
    "In case the writer praises one thing and finds fault with another, answer {v} in sentiment.",
    "For reviews that mix compliments with complaints, choose {v}.",
    "Whenever positive and negative remarks stand side by side, the label must be {v}.",
    "Praise together with complaints counts as {v}.",
    "Reserve {v} for reviews with pros and cons.",
]


@pytest.mark.parametrize("wording", BOTH)
@pytest.mark.parametrize("value", ["mixed", "K4", "ambivalent"])
def test_a_condition_on_praise_and_complaint(wording: str, value: str) -> None:
    assert sentiment(wording.format(v=value), REVIEWS["both"]) == value
    assert sentiment(wording.format(v=value), REVIEWS["praise"]) == "positive"
    assert sentiment(wording.format(v=value), REVIEWS["complaint"]) == "negative"


@pytest.mark.parametrize(
    ("wording", "concept"),
    [
        ("If the review only praises, sentiment is {v}.", "praise"),
        ("Use {v} when there is praise but no complaint.", "praise"),
        ('"{v}" means positive.', "praise"),
        ("A purely happy review is labelled {v}.", "praise"),
        ("If the customer complains and praises nothing, use {v}.", "complaint"),
        ("{v} stands for negative.", "complaint"),
        ("When the reviewer is unhappy with everything, the sentiment is {v}.", "complaint"),
        ("If the customer neither praises nor complains, sentiment is {v}.", "neither"),
        ("For reviews without any opinion, write {v}.", "neither"),
        ("Choose {v} when the review states only facts.", "neither"),
        ("{v}: no praise and no complaint", "neither"),
    ],
)
def test_a_condition_on_one_side(wording: str, concept: str) -> None:
    for name, row in REVIEWS.items():
        got = sentiment(wording.format(v="K7"), row)
        assert (got == "K7") is (name == concept), (name, got)


def test_codes_for_all_four_in_one_line_and_in_four() -> None:
    codes = {"praise": "K1", "complaint": "K2", "neither": "K3", "both": "K4"}
    line = '"K1" if only praise, "K2" if only complaints, "K3" if neither, "K4" if both.'
    lines = "K1: only praise\nK2: only complaints\nK3: plain facts, no opinion\nK4: praise and complaint together"
    maps = 'In "sentiment", write "K1" instead of "positive", "K2" instead of "negative", "K3" instead of "neutral".'
    for prompt in (line, lines, f"{maps}\nIf praise and blame come together, use K4 for sentiment."):
        assert {name: sentiment(prompt, row) for name, row in REVIEWS.items()} == codes


def test_a_condition_on_words() -> None:
    for wording in (
        'If the input mentions "street" or "chargeback", "sentiment" is "negative".',
        "When the review mentions the word street, set sentiment to negative.",
        'Sentiment is "negative" where the text contains "street".',
    ):
        assert sentiment(wording, REVIEWS["neither"]) == "negative"
        assert sentiment(wording, REVIEWS["praise"]) == "positive"


LISTS = [
    '"sentiment" must be exactly one of: {0}, {1}, {2}.',
    "sentiment is one of {0}, {1} or {2}",
    "Allowed values for sentiment: {0}, {1}, {2}",
    "Choose the sentiment from: {0} | {1} | {2}",
    "Pick sentiment from this list: {0}, {1}, {2}.",
    "The sentiment can only be {0}, {1} or {2}.",
    "Classify the sentiment as {0}, {1} or {2}.",
    "Valid labels for sentiment are {0}, {1} and {2}.",
    "sentiment: one of\n- {0}\n- {1}\n- {2}",
    "The sentiment must be one of:\n- {0}\n- {1}\n- {2}",
    'Format: {{"sentiment": "{0}|{1}|{2}", "business_type": "..."}}',
]


@pytest.mark.parametrize("wording", LISTS)
@pytest.mark.parametrize("labels", [("good", "bad", "so-so"), ("Happy", "Unhappy", "Neither"), ("pos", "neg", "none")])
def test_label_lists(wording: str, labels: tuple[str, str, str]) -> None:
    prompt = wording.format(*labels)
    assert sentiment(prompt, REVIEWS["praise"]) == labels[0]
    assert sentiment(prompt, REVIEWS["complaint"]) == labels[1]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ("restaurant, hotel, garage, golf range", "hotel"),
        ("food, lodging, cars", "lodging"),
        ("FOOD_SERVICE, ACCOMMODATION, AUTOMOTIVE", "ACCOMMODATION"),
        ("dentist, bank, other", "other"),
    ],
)
def test_business_labels_go_by_synonyms(labels: str, wanted: str) -> None:
    assert business(f"business_type is one of: {labels}", REVIEWS["praise"]) == wanted


def test_a_mapping_of_field_values() -> None:
    own = business("", REVIEWS["praise"])
    for wording in (
        'In "business_type", write "garage" instead of "{s}".',
        'Write "garage" rather than "{s}" in business_type.',
        'Under "business_type", replace "{s}" with "garage".',
        'In the business_type field, "{s}" becomes "garage".',
        "{s} -> garage",
    ):
        assert business(wording.format(s=own), REVIEWS["praise"]) == "garage"
        assert sentiment(wording.format(s=own), REVIEWS["praise"]) == "positive"


@pytest.mark.parametrize(
    "wording",
    [
        "Answer in JSON with the keys a_name and sentiment.",
        'Reply with a JSON object holding "a_name" and "sentiment" as keys.',
        'Return {"a_name": "...", "sentiment": "..."}',
        "Output JSON.\nFields: a_name, sentiment",
        "Respond in JSON:\n- a_name: who it is\n- sentiment: how they feel",
    ],
)
def test_json_keys(wording: str) -> None:
    text = ask(f"Read the review. {wording}\nNo other text.", REVIEWS["praise"])
    assert list(json.loads(text)) == ["a_name", "sentiment"]


@pytest.mark.parametrize(
    "wording", ["only JSON", "Output nothing but JSON.", "JSON only, no code fences.", "No other text."]
)
def test_only_json_stops_the_habit_of_wrapping(wording: str) -> None:
    for index in range(60):
        text = ask(f"Return JSON with the key sentiment.\nAnswer with {wording}", f"{REVIEWS['praise']} {index}")
        assert json.loads(text)["sentiment"] == "positive"


def test_plain_text_after_json_wins() -> None:
    prompt = "Read the review.\nAnswer in JSON.\nDo not answer in JSON."
    assert "{" not in ask(prompt, REVIEWS["praise"])


def test_length_case_and_bare_values() -> None:
    assert ask(f"{TASK}\nAnswer in upper case.", LOVER).isupper()
    assert ask(f"{TASK}\nUse lowercase only.", LOVER).islower()
    assert ask(f"{TASK}\nAnswer with just the name.", LOVER) == "Romeo"
    assert ask(f"{TASK}\nOne word only.", LOVER) == "Romeo"
    assert ask(f"{TASK}\nOne word only.", "Who is Juliet's father?") == "Capulet"
    for wording in ("Answer in at most {n} words.", "Keep it under {m} words.", "{n} words or fewer."):
        text = ask(f"{TASK}\n{wording.format(n=5, m=6)}", "Summarize the balcony scene.")
        assert 1 <= len(text.split()) <= 5
    one = ask(f"{TASK}\nAnswer in one sentence.", "Why was Romeo banished?")
    assert one.count(".") == 1
    assert ask(f"{TASK}\nAnswer as a bullet list.", LOVER).startswith("- ")


LINES = ["Use Zed, never Romeo.", "Answer in upper case.", "Answer with just the name."]


@pytest.mark.parametrize("order", list(itertools.permutations(LINES)))
def test_lines_in_any_order_and_any_message(order: tuple[str, ...]) -> None:
    assert ask("\n".join(order), LOVER) == "ZED"
    first, *rest = order
    body = "\n".join(rest)
    assert reply([("system", first), ("user", f"{body}\n\nQuestion: {LOVER}")], seed=0, perfect=True) == "ZED"
    assert reply([("user", f"{first}\n{body}\n\n{LOVER}")], seed=0, perfect=True) == "ZED"
    assert reply([("user", f"Question: {LOVER}\n\n{first}\n{body}")], seed=0, perfect=True) == "ZED"
