"""The one door of the stand-in: messages in, text out, and nothing else decides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.models.offline.request import take_apart

FENCE = re.compile(r"<failures(?:-[0-9a-zA-Z]+)?>")
TOKEN = re.compile(r"\w+|[^\w\s]")


def reply(
    messages: Sequence[tuple[str, str]],
    *,
    seed: int,
    perfect: bool,
    response_format: Mapping[str, Any] | None = None,
) -> str:
    """Answer a request. The same arguments give the same text.

    Args:
        messages: (role, content) pairs, at least one.
        seed: decides which rows and rules go wrong.
        perfect: whether every rule is obeyed; the rest of the model is the same.
        response_format: as the OpenAI protocol names it; JSON that it asks for always comes bare.
    """
    asked = next((content for role, content in messages if role == "user" and FENCE.search(content)), None)
    if asked is not None:
        from optimizer.models.offline.mutator import propose

        return propose(asked, seed=seed)
    from optimizer.models.offline.task import answer

    return answer(take_apart(messages), seed=seed, perfect=perfect, response_format=response_format)


def count_tokens(text: str) -> int:
    """Words and signs: the stand-in's estimate of tokens."""
    return sum(1 for _ in TOKEN.finditer(text))
