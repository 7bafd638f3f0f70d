"""The stand-in behind the seam of every other model: called, counted and billed (at nothing) like them."""

from __future__ import annotations

import re

from optimizer.models.base import Request
from optimizer.results import Completion, Usage

SAMPLES_APART = 1_000_003
"""Between the seeds of two samples: more than anyone counts seeds by hand."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


class OfflineModel:
    """Answers in this process, without a request."""

    async def complete(self, request: Request) -> Completion:
        """Answer as a pure function of messages, `seed`, sample and `response_format`, by the rules of `answer.reply`.

        `params["seed"]` is its seed, 0 where there is none; each sample of a request has a seed of its own. A name
        that ends in `:perfect` never errs.
        """
        from optimizer.models.offline.answer import reply

        messages = [(message.role, message.content) for message in request.messages]
        text = reply(
            messages,
            seed=int(request.params.get("seed", 0)) + SAMPLES_APART * request.sample,
            perfect=request.model.endswith(":perfect"),
            response_format=request.params.get("response_format"),
        )
        asked = sum(rough_tokens(content) for _, content in messages)
        return Completion(text=text, usage=Usage(input_tokens=asked, output_tokens=rough_tokens(text)))


def rough_tokens(text: str) -> int:
    """Words and signs: the stand-in's count of tokens."""
    return sum(1 for _ in _TOKEN.finditer(text))
