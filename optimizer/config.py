"""The eval file's values. `readers/config.py` reads and checks the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    """Prompt tokens."""
    output: float
    """Completion tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """Which model, and how it is called."""

    name: str
    """As written: `offline:perfect`, `openai/gpt-4o-mini`, `ollama_chat/llama3.2`."""
    base_url: str | None = None
    """Endpoint that speaks the OpenAI protocol; None for the provider's own."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of every call."""
    price: Price | None = None
    """Price set by hand; None looks it up in litellm's bundled table."""
    rpm: int | None = None
    """Requests a minute that the account bears; None goes by what the provider says."""
    tpm: int | None = None
    """Input and output tokens a minute that the account bears; None goes by what the provider says."""

    @property
    def provider(self) -> str:
        """`offline`, `openai` (the fast path) or `litellm`."""
        if self.name == "offline" or self.name.startswith("offline:"):
            return "offline" if self.base_url is None else "openai"
        if self.name.startswith("openai/") or (self.base_url is not None and not self.name.startswith("litellm/")):
            return "openai"
        return "litellm"

    @property
    def stand_in(self) -> bool:
        """True for the offline stand-in, in this process or behind an endpoint: every figure says so then."""
        last = self.model.rpartition("/")[2]
        return last == "offline" or last.startswith("offline:")

    @property
    def model(self) -> str:
        """The name that the provider is given."""
        prefix = {"openai": "openai/", "litellm": "litellm/", "offline": ""}[self.provider]
        return self.name.removeprefix(prefix)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSpec:
    """Which rows, and which of their fields mean what."""

    path: Path
    """The file."""
    format: str | None = None
    """`jsonl`, `json` or `csv`; None goes by the file's ending."""
    inputs: tuple[str, ...] | None = None
    """Fields that are inputs; None takes all that have no other meaning."""
    expected: str = "expected"
    """Field that is compared."""
    split: str = "split"
    """Field that gives the split, where a row has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSpec:
    """One metric of an eval set: a name plus arguments."""

    name: str
    """`contains`, `json-field`...: without `not-`."""
    negate: bool = False
    """Written with `not-` in front."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the metric; `value` is the short form's value."""
    weight: float = 1.0
    """Share in the row's score."""
    threshold: float | None = None
    """Value from which it passes; None for the metric's own."""
    required: bool = True
    """Whether a row can pass without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetSpec:
    """Hard limits of a run; None is no limit."""

    calls: int | None = None
    """Provider attempts of every role."""
    usd: float | None = None
    """US dollars."""
    tokens: int | None = None
    """Input and output tokens together."""
    minutes: float | None = None
    """Wall-clock minutes."""


class Prefer(StrEnum):
    """What is wanted beside the score."""

    SHORTER = "shorter"
    """Fewer tokens in the prompt."""
    CHEAPER = "cheaper"
    """Fewer dollars a call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that a run is asked to do."""

    name: str
    """The eval file's stem."""
    path: Path
    """The eval file."""
    prompt: Path
    """The seed prompt's file."""
    data: DataSpec
    """The rows."""
    model: ModelSpec
    """The task model."""
    mutator: ModelSpec | None
    """The model that proposes edits; None for mined edits alone."""
    metrics: tuple[MetricSpec, ...]
    """At least one."""
    mined: bool = True
    """Whether edits are mined without a model call."""
    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 0.4, "val": 0.3, "test": 0.3})
    """Split -> share; they sum to 1."""
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    """Hard limits."""
    concurrency: int = 16
    """Calls in flight, at most."""
    timeout: float = 120.0
    """Seconds that one attempt may take; all attempts of a request together take twice that at most."""
    seed: int = 0
    """The run's seed."""
    protect: tuple[str, ...] = ()
    """Row ids, and `tag:NAME` for all rows with a tag: what passes with the seed prompt has to pass with the winner."""
    max_tokens: int | None = None
    """Most tokens of the prompt, by our estimate; None is no limit."""
    prefer: Prefer | None = None
    """What is wanted where scores are as good; None is the score alone."""
    repeats: int = 1
    """Times that each row is asked; its scores are the means."""
