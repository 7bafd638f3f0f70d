"""The one estimate of tokens: additive, and near what tokenizers count."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.edits import Edit, Op, added_demo, apply
from optimizer.errors import UserError
from optimizer.prompt import Demo, Prompt, build
from optimizer.tokens import MESSAGE_TOKENS, prompt_tokens, rough_tokens, unit_tokens

PROMPT = build(
    "p",
    [("system", "Be kind.\nAnswer in one word. <!-- keep -->"), ("user", "Q: {{ q }}")],
    demos=[{"inputs": {"q": "why"}, "output": {"k": 1}}],
)


@pytest.mark.parametrize(
    ("text", "gpt4", "claude2"),
    [
        ("You are a customer support assistant. If the customer mentions a late parcel, answer once.", 18, 19),
        ('Write "Bob" instead of "Romeo", wherever the name comes up, quotations included.', 20, 21),
        ("## Output format\n- **label**: one of `billing`, `shipping`\n- at most 120 characters", 23, 22),
        ("请用简体中文回答,并且在最后给出订单编号。", 21, 17),
        ("Order 1234567 of 2024-05-17 costs 1,299.00 EUR; code ZX-99812-AA.", 29, 28),
    ],
)
def test_the_estimate_is_near_what_tokenizers_count(text: str, gpt4: int, claude2: int) -> None:
    assert min(gpt4, claude2) * 0.85 <= rough_tokens(text) <= max(gpt4, claude2) * 1.15


def test_nothing_is_no_token() -> None:
    assert rough_tokens("") == rough_tokens("  \t\r") == 0


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_count_of_a_text_is_that_of_its_lines(lines: list[str]) -> None:
    assert rough_tokens("\n".join(lines)) == sum(map(rough_tokens, lines)) + len(lines) - 1


def test_a_prompt_counts_messages_and_demos_without_marks_and_what_is_not_sent() -> None:
    assert rough_tokens("Be kind.\nAnswer in one word.") == 9
    assert rough_tokens("Q: {{ q }}") == 5
    assert prompt_tokens(PROMPT) == (MESSAGE_TOKENS + 9) + (MESSAGE_TOKENS + 5) + unit_tokens(PROMPT, "D1")
    assert unit_tokens(PROMPT, "D1") == 2 * MESSAGE_TOKENS + rough_tokens("Q: why") + rough_tokens('{"k": 1}')
    emptied = apply(PROMPT, [Edit(op=Op.REMOVE_LINE, target="L1"), Edit(op=Op.ADD_LINE, text="", after="end")])
    assert prompt_tokens(emptied) == prompt_tokens(PROMPT) - rough_tokens("Be kind.")
    with pytest.raises(UserError, match="no line L9"):
        unit_tokens(PROMPT, "L9")


@pytest.mark.parametrize("edit", [Edit(op=Op.REMOVE_LINE, target="L1"), Edit(op=Op.REMOVE_DEMO, target="D1")])
def test_the_count_of_a_line_or_demo_is_what_its_removal_saves(edit: Edit) -> None:
    assert prompt_tokens(apply(PROMPT, [edit])) == prompt_tokens(PROMPT) - unit_tokens(PROMPT, edit.target or "")


def test_a_demo_without_an_input_counts_it_as_empty() -> None:
    lacking: Prompt = build("p", [("user", "Q: {{ q }}")], demos=[{"inputs": {}, "output": "a"}])
    asked = build("p", [("user", "Q: {{ q }}")], demos=[{"inputs": {"q": ""}, "output": "a"}])
    assert prompt_tokens(lacking) == prompt_tokens(asked)
    longer = apply(asked, [added_demo(Demo(inputs={"q": "one two"}, output="b"), cluster="c")])
    assert prompt_tokens(longer) > prompt_tokens(asked)
