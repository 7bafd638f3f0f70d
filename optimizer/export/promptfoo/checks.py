"""Metrics as promptfoo's assertions, one row at a time.

An assertion has to pass and fail where the metric does. Where promptfoo has none that does, the metric is left out
with the reason; where one differs at the edges, it is taken and the difference is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from optimizer.config import MetricSpec
from optimizer.dataset import Example, display
from optimizer.export.promptfoo import ecma, nunjucks, schema
from optimizer.export.promptfoo.ecma import CannotSay
from optimizer.wording import normal

LOADED: Final = ("file://", "package:")
LARGEST: Final = 1_000_000
"""Bytes of a schema file."""
SHORT: Final[Mapping[str, str]] = {
    "contains": "value",
    "exact": "value",
    "json": "schema",
    "json-field": "field",
    "label": "labels",
    "regex": "pattern",
}
"""Metric -> the argument that `value` of the short form sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A metric in promptfoo's words, for one row."""

    type: str
    """Name of the assertion, without `not-`."""
    value: Any = None
    """What it compares with; None where it needs nothing."""
    remark: str = ""
    """What it does otherwise than the metric; empty where nothing."""
    looser: bool = field(default=False)
    """Whether it passes where the metric fails: such a check cannot be turned round."""


Say = Callable[[Mapping[str, Any], Example, Path], Said]
"""(arguments by their own names, the row, the eval file's folder) -> the assertion. Raises CannotSay."""


def assertion(key: str, spec: MetricSpec, example: Example, root: Path) -> tuple[dict[str, Any], str]:
    """(the assertion as the config holds it, what it does otherwise). Raises CannotSay with the reason.

    Args:
        key: the metric's name in its eval set.
        spec: the metric.
        example: the row.
        root: folder of the eval file, where the paths of schemas start.
    """
    if spec.name not in METRICS:
        raise CannotSay("promptfoo has nothing like it" if spec.name != "python" else "it is Python code of yours")
    args = dict(spec.args)
    if "value" in args and SHORT.get(spec.name, "value") != "value":
        args[SHORT[spec.name]] = args.pop("value")
    said = METRICS[spec.name](args, example, root)
    if spec.negate and said.looser:
        raise CannotSay(f"{said.remark}, so its opposite would fail where it must not")
    written: dict[str, Any] = {"type": f"not-{said.type}" if spec.negate else said.type}
    if said.value is not None:
        written["value"] = _quoted(said.value)
    terms: dict[str, Any] = {"metric": nunjucks.write([key])}
    if spec.weight != 1:
        terms["weight"] = spec.weight
    if spec.required:
        return {**written, **terms}, said.remark
    # A set that asks for nothing counts in the score and fails no test.
    return {"type": "assert-set", "threshold": 0, **terms, "assert": [written]}, said.remark


def _quoted(value: Any) -> Any:
    """The value so that it comes out of promptfoo's template engine as it is."""
    if isinstance(value, list):
        return [_quoted(part) for part in value]
    if not isinstance(value, str):
        return value
    return ('{{ "" }}' if value.startswith(LOADED) else "") + nunjucks.write([value])


def _expected(example: Example) -> str:
    expected = example.expected
    if not isinstance(expected, str | int | float):
        raise CannotSay("the row expects no text")
    return normal(display(expected))


def _contains(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    ignore_case = bool(args.get("ignore_case"))
    prefix = "i" if ignore_case else ""
    several = next((kind for kind in ("any", "all") if args.get(kind)), None)
    texts = [normal(text) for text in args[several]] if several else [normal(args.get("value") or _expected(example))]
    if not args.get("words"):
        if several:
            return Said(type=f"{prefix}contains-{several}", value=texts)
        return Said(type=f"{prefix}contains", value=texts[0])
    if several == "all" and len(texts) > 1:
        patterns = "".join(f"(?=[^]*?{ecma.word(text, ignore_case=ignore_case)})" for text in texts)
        return Said(type="regex", value=f"^{patterns}")
    return Said(type="regex", value="|".join(ecma.word(text, ignore_case=ignore_case) for text in texts))


def _exact(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    wanted = normal(args.get("value") or _expected(example))
    ignore_case, whitespace = bool(args.get("ignore_case")), args.get("whitespace", "strip")
    if whitespace == "keep":
        if not ignore_case:
            return Said(type="equals", value=wanted)
        return Said(type="regex", value=f"^{ecma.literal(wanted, ignore_case=True)}$")
    return Said(type="regex", value=ecma.alone(wanted, ignore_case=ignore_case, collapse=whitespace == "collapse"))


def _label(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    return Said(type="regex", value=ecma.alone(_expected(example), ignore_case=bool(args.get("ignore_case"))))


def _regex(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    pattern, remark = ecma.translated(
        args["pattern"], ignore_case=bool(args.get("ignore_case")), full=bool(args.get("full"))
    )
    return Said(type="regex", value=pattern, remark=remark)


def _length(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    limits = {name: value for name, value in args.items() if value is not None}
    units = {name.split("_", 1)[1] for name in limits}
    if len(units) > 1:
        raise CannotSay("it limits more than one unit")
    (unit,) = units
    low, high = limits.get(f"min_{unit}"), limits.get(f"max_{unit}")
    if unit == "words":
        named = {"min": low, "max": high}
        return Said(type="word-count", value={name: value for name, value in named.items() if value is not None})
    if unit == "chars":
        return Said(type="regex", value=ecma.length(low, high))
    raise CannotSay("it counts tokens by an estimate of ours")


def _json(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    given = args.get("schema")
    if isinstance(given, str):
        file = root / given
        try:
            if file.stat().st_size > LARGEST:
                raise CannotSay(f"its schema is larger than {LARGEST} bytes")
            given = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise CannotSay("its schema cannot be read") from error
    return _as_json(args, None if given is None else schema.carried_over(given))


def _json_field(args: Mapping[str, Any], example: Example, root: Path) -> Said:
    path = str(args["field"]).removeprefix("$.")
    wanted = args.get("equals")
    if wanted is None:
        wanted = schema.looked_up(example.expected, path)
    return _as_json(args, schema.field_is(path, wanted, ignore_case=bool(args.get("ignore_case"))))


def _as_json(args: Mapping[str, Any], rules: Any) -> Said:
    # As text: promptfoo resolves a `$ref` in a config against the config.
    value = None if rules is None else json.dumps(rules, ensure_ascii=False)
    if not args.get("lenient"):
        return Said(type="is-json", value=value)
    remark = "it passes for JSON anywhere in the output, not in a code fence alone"
    return Said(type="contains-json", value=value, remark=remark, looser=True)


METRICS: Final[Mapping[str, Say]] = {
    "contains": _contains,
    "exact": _exact,
    "json": _json,
    "json-field": _json_field,
    "label": _label,
    "length": _length,
    "regex": _regex,
}
"""Metric -> what says it."""
