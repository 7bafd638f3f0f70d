"""The shape of an eval file, key by key."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from optimizer.readers.base import FORMATS, nearest
from optimizer.readers.shape import Strict

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_SECRET = re.compile(
    r"(api|access|private)[-_]?key|authorization|password|secret|credential|"
    r"(access|auth|azure_ad|bearer|hf|refresh|session)[-_]?token|^token$",
    re.IGNORECASE,
)

_STEERS = re.compile(
    r"(api_|azure_|runtime_|_)?(base|base_url|endpoint|host|hostname)|.*_endpoint|api_type|custom_llm_provider|"
    r"((default|extra)_)?headers|prox(y|ies)|.*ssl_verify|verify|(http_)?client|model(_list)?|messages|stream|"
    r"num_retries|max_retries|(request_|force_)?timeout|.*fallbacks?(_dict)?|mock_.*|.*callbacks?|logger_fn|litellm_.*",
    re.IGNORECASE,
)
"""Parameters that litellm or a client would take for its own: they say where a call goes, or who answers it."""
_REGION = re.compile(r".*(region(_name)?|location)", re.IGNORECASE)
_REGION_NAME = re.compile(r"[A-Za-z0-9-]{1,40}")
"""A region becomes part of a host's name."""

_NUMBERS = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"})
_COUNTS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; give a name or a path")
    return value


def _file(value: str) -> str:
    if _URL.match(value):
        raise ValueError("a URL, not a file; download it first")
    if "\0" in value:
        raise ValueError("holds a NUL; take it out")
    return _text(value)


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not an http address; write http://host:port/v1")
    if parts.username or parts.password:
        raise ValueError("holds a password; put keys into the environment")
    if parts.query or parts.fragment:
        raise ValueError("has something behind its path; write http://host:port/v1 and put keys into the environment")
    return value


def check_params(value: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a call, as they are.

    Raises ValueError for a name that looks like a secret's, and for one that would say where the call goes: whoever
    writes a prompt or an eval file must not have the key sent elsewhere. Further in, a name is a secret's where it has
    text: a JSON Schema may know a `password`. A well-known number has to be one.
    """
    _check_names(value)
    for key, inner in value.items():
        if _STEERS.fullmatch(key):
            raise ValueError(f"{key!r} is no parameter of a call; the model's block has `name` and `base_url`")
        if _REGION.fullmatch(key) and not (isinstance(inner, str) and _REGION_NAME.fullmatch(inner)):
            raise ValueError(f"{key!r} is no name of a region; write one such as us-east-1")
        if key in _NUMBERS | _COUNTS and not (inner is None or _number(inner)):
            raise ValueError(f"{key!r} must be a number, not {str(inner)[:40]!r}; write a number, without quotes")
        if key in _COUNTS and inner is not None and not (isinstance(inner, int) and inner > 0):
            raise ValueError(f"{key!r} must be a whole number above 0, not {str(inner)[:40]!r}; write 500, say")
        if key == "n" and inner not in (None, 1):
            raise ValueError("'n' is no parameter here; one answer a request is read: use `repeats` for more")
    return value


def _check_names(value: Mapping[str, Any]) -> None:
    for key, inner in value.items():
        if _SECRET.search(key):
            raise ValueError(f"{key!r} looks like a secret; put keys into the environment")
        _check_inside(inner)


def _check_inside(value: Any) -> None:
    if isinstance(value, list):
        for inner in value:
            _check_inside(inner)
    if isinstance(value, dict):
        _check_names({key: inner for key, inner in value.items() if isinstance(key, str) and isinstance(inner, str)})
        for inner in value.values():
            _check_inside(inner)


def _format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"unknown format {value!r}; {nearest(value, FORMATS)}known: {', '.join(FORMATS)}")
    return value


def _row_or_tag(value: str) -> str:
    if not value.removeprefix("tag:").strip():
        raise ValueError("names nothing; write a row's id, or tag:NAME")
    return value


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _at(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class PriceBlock(Strict):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Prompt tokens.")]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Completion tokens.")]


class ModelBlock(Strict):
    """A model, and how it is called."""

    name: Annotated[str, AfterValidator(_text), Field(description="offline, openai/..., any name litellm takes.")]
    base_url: Annotated[
        Annotated[str, AfterValidator(_endpoint)] | None,
        Field(description="Endpoint that speaks the OpenAI protocol."),
    ] = None
    params: Annotated[
        dict[str, Any], AfterValidator(check_params), Field(description="Parameters of every call; keys stay outside.")
    ] = {}
    price: Annotated[PriceBlock | None, Field(description="US dollars per million tokens.")] = None
    rpm: Annotated[int | None, Field(gt=0, description="Requests a minute that the account bears.")] = None
    tpm: Annotated[int | None, Field(gt=0, description="Input and output tokens a minute that it bears.")] = None


class DataBlock(Strict):
    """The rows, and which of their fields mean what."""

    path: Annotated[str, AfterValidator(_file), Field(description="File of rows, relative to the eval file.")]
    format: Annotated[
        Annotated[str, AfterValidator(_format)] | None,
        Field(description="Format, where the ending does not say.", json_schema_extra={"enum": [*FORMATS, None]}),
    ] = None
    inputs: Annotated[list[str] | None, Field(min_length=1, description="Fields that are inputs.")] = None
    expected: Annotated[str, Field(min_length=1, description="Field that is compared.")] = "expected"
    split: Annotated[str, Field(min_length=1, description="Field that gives the split.")] = "split"


class SplitsBlock(Strict):
    """Shares of the splits; they sum to 1."""

    train: Annotated[Positive, Field(description="Rows whose failures the mutator sees.")]
    val: Annotated[Positive, Field(description="Rows that choose.")]
    test: Annotated[Positive, Field(description="Sealed rows, scored once.")]

    @model_validator(mode="after")
    def _whole(self) -> SplitsBlock:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares sum to {total:.6g}; make them sum to 1")
        return self

    def shares(self) -> Mapping[str, float]:
        """Split -> share."""
        return {"train": self.train, "val": self.val, "test": self.test}


class BudgetBlock(Strict):
    """Hard limits of a run."""

    calls: Annotated[int | None, Field(gt=0, description="Provider attempts of every role.")] = None
    usd: Annotated[Positive | None, Field(description="US dollars.")] = None
    tokens: Annotated[int | None, Field(gt=0, description="Input and output tokens together.")] = None
    minutes: Annotated[Positive | None, Field(description="Wall-clock minutes.")] = None


Model = Annotated[ModelBlock, BeforeValidator(_named, json_schema_input_type=str | ModelBlock)]
Data = Annotated[DataBlock, BeforeValidator(_at, json_schema_input_type=str | DataBlock)]
MetricItem = Annotated[
    Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]})
]
"""Told apart by the reader, which knows better words for what is wrong than a union does."""


class EvalFile(Strict):
    """Everything that a run is asked to do."""

    prompt: Annotated[str, AfterValidator(_file), Field(description="Prompt to improve: .yaml .txt .md or chat .json.")]
    data: Annotated[Data, Field(description="Rows: .jsonl .json .csv, or a mapping.")]
    model: Annotated[Model, Field(description="Model whose prompt is improved.")]
    mutator: Annotated[
        Model | None, Field(description="Model that proposes edits: the task model by default; `none` for no model.")
    ] = None
    mined: Annotated[bool, Field(description="Whether edits are mined without a model call.")] = True
    metrics: Annotated[
        list[MetricItem], Field(min_length=1, description="Names, or {name: value}, or {name: {settings}}.")
    ]
    splits: Annotated[SplitsBlock, Field(description="Shares of the splits.")] = SplitsBlock(
        train=0.4, val=0.3, test=0.3
    )
    budget: Annotated[BudgetBlock, Field(description="Hard limits; none where left out.")] = BudgetBlock()
    concurrency: Annotated[int, Field(ge=1, le=1000, description="Calls in flight, at most.")] = 16
    timeout: Annotated[
        float, Field(ge=1, le=86_400, allow_inf_nan=False, description="Seconds that one attempt of a call may take.")
    ] = 120
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of everything that is drawn.")] = 0
    protect: Annotated[
        list[Annotated[str, AfterValidator(_row_or_tag)]],
        Field(description="Rows that may not break: ids, and tag:NAME for all rows with a tag."),
    ] = []
    max_tokens: Annotated[int | None, Field(gt=0, description="Most tokens of the prompt, by our estimate.")] = None
    prefer: Annotated[
        Literal["shorter", "cheaper"] | None, Field(description="What is wanted where scores are as good.")
    ] = None
    repeats: Annotated[
        int, Field(ge=1, le=100, description="Times that each row is asked; its scores are the means.")
    ] = 1


def _weight(value: Any) -> tuple[str, str] | None:
    if _number(value) and 0 <= value < math.inf:
        return None
    return f"a weight is a number from 0 on, not {str(value)[:40]!r}", "write 2, say, or 0 to report only"


def _threshold(value: Any) -> tuple[str, str] | None:
    if _number(value) and 0 <= value <= 1:
        return None
    return f"a threshold is a number from 0 to 1, not {str(value)[:40]!r}", "write a number such as 0.8"


def _required(value: Any) -> tuple[str, str] | None:
    return None if isinstance(value, bool) else ("must be true or false", "a metric's own setting goes under `value`")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


LIFTED: Mapping[str, Callable[[Any], tuple[str, str] | None]] = {
    "weight": _weight,
    "threshold": _threshold,
    "required": _required,
}
"""Settings that every metric has -> check that gives (problem, fix)."""
