"""Lines that are doubted, and what the answers that they touch show."""

from optimizer.prompt import build
from optimizer.results import Completion, Evaluation, Result, Score
from optimizer.rethink import followed, touched


def scored(candidate: str, answers: dict[str, tuple[str, bool]]) -> Evaluation:
    results = {
        row: Result(
            example=row,
            candidate=candidate,
            completion=Completion(text=text),
            scores=(Score(metric="label", value=float(right), passed=right),),
        )
        for row, (text, right) in answers.items()
    }
    return Evaluation(candidate=candidate, results=results)


def test_an_answer_follows_the_line_that_shares_most_words_with_it():
    prompt = build("p", [("system", "Answer with a label.\nFor a villa answer Lead time.\nFor time off answer Leave.")])
    lines = {line.id: line.content for line in prompt.lines}
    assert [lines[line] for line in followed(prompt, {"lead", "time"})] == ["For a villa answer Lead time."]
    assert followed(prompt, {"elsewhere"}) == []


def test_rows_count_where_the_answer_left_a_line_that_went_or_took_up_one_that_came():
    old = scored("a", {"1": ("Delay", False), "2": ("Delay", True), "3": ("Other", False), "4": ("Delay", True)})
    new = scored("b", {"1": ("Refund", True), "2": ("Refund", False), "3": ("Else", True), "4": ("Delay", True)})
    assert touched(old, new, ["Answer Delay."], []) == (1, 1)
    assert touched(old, new, [], ["Answer else where it fits."]) == (1, 0)
    assert touched(old, old, ["Answer Delay."], ["Answer Delay."]) == (0, 0)
