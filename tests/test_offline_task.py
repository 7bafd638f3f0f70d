"""The task side: what it knows, how well it obeys, and that no house's choice of words moves its score."""

import json

import pytest

from optimizer.models.offline import task
from optimizer.models.offline.answer import reply
from optimizer.models.offline.request import take_apart

PLAY = "You answer questions about a play by Shakespeare."
QUESTIONS = [
    ("Which character's name starts with R?", "Romeo"),
    ("Which character whose name begins with T hates peace?", "Tybalt"),
    ("___ kills Tybalt after Mercutio falls.", "Romeo"),
    ("Mercutio is killed by ___.", "Tybalt"),
    ("Whom does Tybalt kill?", "Mercutio"),
    ("Who is the son of Lord Montague?", "Romeo"),
    ("Whom does Romeo marry in secret?", "Juliet"),
    ("Who speaks the line about yonder window?", "Romeo"),
    ('Complete the line: "O ___, ___, wherefore art thou ___?"', "Romeo"),
    ('Who says "A plague on both your houses"?', "Mercutio"),
    ("Complete the title: ___ and Juliet", "Romeo"),
    ("Summarize the balcony scene in one sentence.", "Romeo"),
    ("What did Romeo buy in Mantua?", "Romeo bought some poison"),
    ("Where does the play take place?", "Verona"),
    ("Who gives Juliet the sleeping potion?", "Friar Laurence"),
    ("Who brings Romeo the news of Juliet's death?", "Balthasar"),
    ("Who is banished from Verona by the Prince?", "Romeo"),
    ("Who banished Romeo?", "Prince Escalus"),
    ("Is the hero a Montague or a Capulet?", "Montague"),
    ("Who wants to marry Juliet with her father's approval?", "Paris"),
    ("Who raised Juliet from a child?", "Nurse"),
    ("Did Romeo kill Paris?", "Yes"),
    ("What is the airspeed of a swallow?", "not sure"),
]
REVIEWS = [
    ("hotel", "praise", "The room was spotless and the front desk was friendly."),
    ("hotel", "complaint", "The room was filthy and housekeeping never came."),
    ("restaurant", "both", "The pasta was wonderful, but our waiter was rude."),
    ("restaurant", "neither", "The menu lists five soups and the kitchen closes at nine."),
    ("garage", "praise", "Honest mechanics, and my brakes work perfectly."),
    ("garage", "both", "The oil change was quick, but the bill was outrageous."),
    ("dentist", "complaint", "The hygienist was careless and my filling fell out."),
    ("dentist", "neither", "They take X-rays at the first visit and clean teeth on Mondays."),
    ("golf", "neither", "A bucket of balls costs nine dollars at the driving range."),
    ("golf", "both", "The putting green is lovely. The golf balls are cracked and filthy."),
    ("bank", "complaint", "The teller was rude and they overcharged my account."),
    ("bank", "praise", "The loan officer was patient and the branch is lovely."),
    ("airline", "both", "Cabin crew were kind, but our flight was delayed."),
    ("bookstore", "praise", "Wonderful novels and a helpful bookseller."),
    ("pharmacy", "complaint", "The pharmacist was dismissive and lost my prescription."),
    ("museum", "neither", "The museum has forty paintings and an audio guide."),
]
HOUSE = {
    "sentiment": {"praise": "positive", "complaint": "negative", "both": "mixed", "neither": "neutral"},
    "business": {
        "hotel": "hotel", "restaurant": "restaurant", "garage": "garage", "dentist": "dentist", "golf": "golf range",
        "bank": "bank", "airline": "airline", "bookstore": "bookstore", "pharmacy": "pharmacy", "museum": "museum",
    },
}  # fmt: skip
OWN = {
    "hotel": "guest lodging",
    "restaurant": "eatery",
    "garage": "auto repair shop",
    "dentist": "dental clinic",
    "golf": "driving range",
    "bank": "credit institution",
    "airline": "air carrier",
    "bookstore": "bookshop",
    "pharmacy": "drugstore",
    "museum": "exhibition hall",
}
"""What the stand-in calls each kind of business of its own accord."""
FORMAT = 'Read the review. Answer with only a JSON object with the keys "sentiment", "business_type", and nothing else.'


def ask(prompt: str, row: str, *, seed: int = 0, perfect: bool = True) -> str:
    return reply([("system", prompt), ("user", row)], seed=seed, perfect=perfect)


@pytest.mark.parametrize(("question", "wanted"), QUESTIONS)
def test_it_knows_the_play(question: str, wanted: str) -> None:
    assert wanted in ask(PLAY, question)


@pytest.mark.parametrize(("kind", "opinion", "text"), REVIEWS)
def test_it_reads_reviews(kind: str, opinion: str, text: str) -> None:
    sentiments = list(HOUSE["sentiment"].values())
    kinds = list(HOUSE["business"].values())
    rules = f"sentiment is one of {', '.join(sentiments)}.\nbusiness_type is one of {', '.join(kinds)}.\n"
    told = json.loads(ask(f'{FORMAT}\n{rules}If a review both praises and complains, sentiment is "mixed".', text))
    assert told == {"sentiment": HOUSE["sentiment"][opinion], "business_type": HOUSE["business"][kind]}


def test_a_loose_prompt_gets_prose() -> None:
    for _, _, text in REVIEWS:
        said = ask("Tell me what this review says.", text)
        assert said.endswith(".") and "{" not in said


def test_it_must_be_told() -> None:
    assert "Romeo" in ask(PLAY, "Who loves Juliet?")
    own = json.loads(ask(FORMAT, REVIEWS[2][2]))
    assert own == {"sentiment": "neutral", "business_type": "eatery"}


def test_naming_the_mixed_label_fixes_some_rows_and_explaining_it_fixes_all() -> None:
    rows = [f"The pasta was wonderful, but waiter number {index} was rude." for index in range(300)]
    named = f'{FORMAT}\n"sentiment" must be exactly one of: "positive", "negative", "neutral", "mixed".'
    share = sum(json.loads(ask(named, row))["sentiment"] == "mixed" for row in rows) / len(rows)
    assert 0.3 < share < 0.5
    explained = f'{named}\nIf the review both praises and complains, "sentiment" is "mixed".'
    assert all(json.loads(ask(explained, row))["sentiment"] == "mixed" for row in rows)


def obeyed(prompt: str, *, perfect: bool = False, rows: int = 400) -> float:
    hits = sum(
        "Zed" in ask(prompt, f"Who loves Juliet, asks reader {index}?", perfect=perfect) for index in range(rows)
    )
    return hits / rows


def test_it_obeys_most_of_the_time_and_always_when_perfect() -> None:
    prompt = f"{PLAY}\nUse Zed, never Romeo."
    assert 0.94 < obeyed(prompt) < 1.0
    assert obeyed(prompt, perfect=True) == 1.0


def test_which_rows_go_wrong_depends_on_seed_and_prompt() -> None:
    def wrong(prompt: str, seed: int) -> set[int]:
        return {
            i
            for i in range(300)
            if "Zed" not in ask(prompt, f"Who loves Juliet, asks reader {i}?", seed=seed, perfect=False)
        }

    prompt = f"{PLAY}\nUse Zed, never Romeo."
    assert wrong(prompt, 0) == wrong(prompt, 0)
    assert wrong(prompt, 0) != wrong(prompt, 1)
    assert wrong(prompt, 0) != wrong(f"{PLAY}\nCall Romeo Zed. Use Zed, never Romeo.", 0)


def test_useless_lines_dilute_down_to_a_floor() -> None:
    useless = ["Be careful and precise.", "Take a deep breath.", "Do your very best.", "Stay calm and focused."]
    prompt = f"{PLAY}\nUse Zed, never Romeo."
    lean = obeyed(prompt)
    padded = obeyed("\n".join([prompt, *useless * 4]))
    buried = obeyed("\n".join([prompt, *useless * 30]))
    assert lean > padded + 0.08
    assert buried == pytest.approx(task.FLOOR, abs=0.06)
    assert obeyed("\n".join([prompt, *useless * 30]), perfect=True) == 1.0


def test_headings_labels_and_task_lines_do_not_dilute() -> None:
    prompt = f"# Role\n{PLAY}\n\n## Rules\nUse Zed, never Romeo.\nAnswer the question below.\n"
    assert obeyed(prompt) > 0.94


def score(prompt: str, house: dict[str, dict[str, str]], *, perfect: bool, seeds: int = 1) -> float:
    hits = 0
    for seed in range(seeds):
        for kind, opinion, text in REVIEWS:
            wanted = {"sentiment": house["sentiment"][opinion], "business_type": house["business"][kind]}
            try:
                hits += json.loads(ask(prompt, text, seed=seed, perfect=perfect)) == wanted
            except ValueError:
                continue
    return hits / (len(REVIEWS) * seeds)


def taught(house: dict[str, dict[str, str]]) -> str:
    """A prompt that says all of a house's choices, with each field's value replaced and one condition."""
    sentiment, kinds = house["sentiment"], house["business"]
    pairs = ", ".join(f'"{kinds[kind]}" instead of "{word}"' for kind, word in OWN.items())
    words = {"praise": "positive", "complaint": "negative", "neither": "neutral"}
    labels = ", ".join(f'"{sentiment[name]}" instead of "{word}"' for name, word in words.items())
    condition = f'If the review both praises and complains, "sentiment" is "{sentiment["both"]}".'
    return f'{FORMAT}\nIn "business_type", write {pairs}.\nIn "sentiment", write {labels}.\n{condition}'


def shuffled(values: dict[str, str], by: int) -> dict[str, str]:
    words = list(values.values())
    return dict(zip(values, words[by:] + words[:by], strict=True))


HOUSES = {
    "as it stands": HOUSE,
    "synonyms": {
        "sentiment": {"praise": "good", "complaint": "bad", "both": "ambivalent", "neither": "no opinion"},
        "business": {name: f"{word} business" for name, word in HOUSE["business"].items()},
    },
    "neutral codes": {
        "sentiment": {name: f"K{i}" for i, name in enumerate(HOUSE["sentiment"])},
        "business": {name: f"B{i}" for i, name in enumerate(HOUSE["business"])},
    },
    "values shuffled by one": {
        "sentiment": shuffled(HOUSE["sentiment"], 1),
        "business": shuffled(HOUSE["business"], 1),
    },
    "values shuffled by three": {
        "sentiment": shuffled(HOUSE["sentiment"], 3),
        "business": shuffled(HOUSE["business"], 3),
    },
}


@pytest.mark.parametrize("name", HOUSES)
def test_no_choice_of_words_moves_the_reachable_score(name: str) -> None:
    house = HOUSES[name]
    assert score(taught(house), house, perfect=True) == 1.0
    base = score(taught(HOUSE), HOUSE, perfect=False, seeds=12)
    assert score(taught(house), house, perfect=False, seeds=12) == pytest.approx(base, abs=0.08)


@pytest.mark.parametrize("other", ["Ben", "Quentin", "Zed", "Montgomery Burns", "ALPHA-7", "李雷"])
def test_no_name_moves_the_reachable_score(other: str) -> None:
    questions = [question for question, wanted in QUESTIONS if wanted.startswith("Romeo")]
    prompt = f'{PLAY}\nWrite "{other}" instead of "Romeo".'
    for question in questions:
        for asked in (question, question.replace("Romeo", other)):
            text = ask(prompt, asked)
            assert other in text and "Romeo" not in text, (asked, text)


def test_json_is_sometimes_wrapped_by_habit_unless_nothing_else_is_asked_for() -> None:
    prompt = "Read the review. Return JSON with the keys sentiment and business_type."
    rows = [f"{text} Visit {index}." for index in range(20) for _, _, text in REVIEWS]
    wrapped = sum(not ask(prompt, row).startswith("{") for row in rows) / len(rows)
    assert wrapped == pytest.approx(task.FENCE_HABIT + task.CHAT_HABIT, abs=0.08)


def test_response_format_gives_bare_json_with_its_keys_and_labels() -> None:
    schema = {
        "type": "object",
        "properties": {
            "tone": {"enum": ["up", "down"]},
            "stars": {"type": "integer"},
            "sentiment": {"enum": ["good", "bad"]},
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for index in range(40):
        messages = [("system", "Read the review."), ("user", f"Great food and a kind waiter, visit {index}.")]
        told = json.loads(reply(messages, seed=0, perfect=True, response_format=wanted))
        assert list(told) == ["tone", "stars", "sentiment"]
        assert told["stars"] == 5 and told["sentiment"] == "good" and told["tone"] in ("up", "down")


def test_worked_examples_teach_format_and_names() -> None:
    shown = json.dumps({"sentiment": "yay", "business_type": "inn"})
    messages = [
        ("system", "Read the review."),
        ("user", "Lovely room, kind front desk."),
        ("assistant", shown),
        ("user", "Wonderful hotel room and a great lobby."),
    ]
    text = reply(messages, seed=0, perfect=True)
    assert '"yay"' in text and '"inn"' in text


@pytest.mark.parametrize(
    ("messages", "row", "rules"),
    [
        ([("system", "A\nB"), ("user", "the row")], "the row", ["A", "B"]),
        ([("user", "Answer this.\n\nQuestion: the row\nAnswer:")], "the row", ["Answer this.", "", "Answer:"]),
        (
            [("user", "Read it.\n<review>\nthe row\n</review>\nUse Zed, never Romeo.")],
            "the row",
            ["Read it.", "", "", "Use Zed, never Romeo."],
        ),
        ([("user", "Classify this review: the row")], "the row", ["Classify this review"]),
        (
            [("system", "A"), ("user", "Review: the row\nsecond line\nAnswer in JSON.")],
            "the row\nsecond line",
            ["A", "Answer in JSON."],
        ),
        ([("user", "Answer the question.\n\nthe row")], "the row", ["Answer the question."]),
    ],
)
def test_the_row_is_told_from_the_prompt(messages: list[tuple[str, str]], row: str, rules: list[str]) -> None:
    parts = take_apart(messages)
    assert parts.row == row
    assert [line for line in parts.lines if line] == [line for line in rules if line]
