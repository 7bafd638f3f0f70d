"""Everything that a run reads, checked, before its first request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from optimizer.config import Prefer, RunConfig
from optimizer.context_window import check_lengths
from optimizer.dataset import EvalSet, Split, canonical_json, groups_of
from optimizer.errors import ConfigError, DataError
from optimizer.events import Decided, Sink
from optimizer.intervals import effective_rows
from optimizer.metrics import Check, Negated, build_metrics, check_rows, code_of, metrics_fingerprint
from optimizer.metrics.base import Metric
from optimizer.metrics.process import processes
from optimizer.models.prices import list_price
from optimizer.prompt import Prompt
from optimizer.protect import protected
from optimizer.readers.base import shown
from optimizer.readers.config import where_set
from optimizer.readers.evalset import guarded, keep_splits, load_eval_set
from optimizer.readers.places import places
from optimizer.readers.prompts import check_variables, load_prompt
from optimizer.readers.rows import Ledger
from optimizer.redaction import namer
from optimizer.stats import bundles_of, minimum_detectable_gain
from optimizer.store.meta import RunMeta, describe, metric_name
from optimizer.tokens import prompt_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """Everything a run reads before its first request."""

    config: RunConfig
    """What to do."""
    evalset: EvalSet
    """The rows."""
    ledger: Ledger
    """What was read, kept and skipped."""
    prompt: Prompt
    """The seed."""
    metrics: tuple[Metric, ...]
    """Checks of every output."""
    warnings: tuple[str, ...] = ()
    """What is odd about the files, though nothing is wrong with them."""
    protected: frozenset[str] = frozenset()
    """Ids of the rows that may not break."""

    def told(self) -> list[Decided]:
        """What was read, and what it can show, before anything is asked."""
        sizes = {split.value: len(self.evalset.split(split)) for split in Split}
        smallest = minimum_detectable_gain(sizes[Split.TEST.value])
        skipped = f", {len(self.ledger.skipped)} skipped" if self.ledger.skipped else ""
        shared = ", ".join(f"{rows} {split}" for split, rows in sizes.items())
        reason = (
            f"{self.ledger.read} rows read, {self.ledger.kept} kept{skipped}: {shared}; "
            f"a test of this size shows gains of about {100 * smallest:.0f} points or more{self._by_group(smallest)}"
        )
        figures = {**sizes, "skipped": [str(row) for row in self.ledger.skipped], "detectable": smallest}
        if self.protected:
            reason += f"; {len(self.protected)} protected {'row' if len(self.protected) == 1 else 'rows'}"
            figures["protected"] = len(self.protected)
        read = Decided(kind="data", round=0, reason=reason, figures=figures)
        return [read, *(Decided(kind="warning", round=0, reason=warning) for warning in self.warnings)]

    async def tell(self, sink: Sink, *, code: Sink | None = None) -> None:
        """Tell a sink what was read; and one that was not there when `ready` told it, whose code runs."""
        if code is not None:
            for event in self.code_told():
                await code.record(event)
        for event in self.told():
            await sink.record(event)

    @asynccontextmanager
    async def ready(self, sink: Sink) -> AsyncIterator[None]:
        """Within it metrics can score; before it the sink is told whose code runs, and a fault in that ends it.

        Raises ConfigError.
        """
        with processes():
            for event in self.code_told():
                await sink.record(event)
            for metric in self.metrics:
                if isinstance(metric, Check | Negated):
                    await metric.make_ready()
            yield

    def code_told(self) -> Iterator[Decided]:
        """Whose code runs: one event a file."""
        for code in dict.fromkeys(found for metric in self.metrics if (found := code_of(metric)) is not None):
            checks = [metric for metric in self.metrics if isinstance(metric, Check | Negated)]
            names = ", ".join(metric.key for metric in checks if metric.code() == code)
            yield Decided(kind="code", round=0, reason=f"{shown(code)} runs in a process of its own ({names})")

    def _by_group(self, smallest: float) -> str:
        """What the test can show where rows of one group all change together; empty where that is no less."""
        test = self.evalset.split(Split.TEST)
        if not (groups := groups_of(test)):
            return ""
        alike = bundles_of({row.id: 0.0 for row in test}, groups)
        least = minimum_detectable_gain(effective_rows(alike))
        return f", or {100 * least:.0f} if rows of one group change together" if least > smallest else ""

    def meta(self, tries: Sequence[str] = (), arguments: Sequence[str] = ()) -> RunMeta:
        """What a run of this is about."""
        folder = self.config.path.parent
        versions = {metric_name(spec): metrics_fingerprint([spec], folder) for spec in self.config.metrics}
        return describe(self.config, self.evalset, self.prompt, versions=versions, lines=tries, arguments=arguments)


def take_in(config: RunConfig, *, write: bool = True, spooled: bool = False) -> Loaded:
    """Read and check all files of a run. Raises UserError with every problem found; sends nothing.

    Args:
        config: what the run asks for.
        write: whether splits that are drawn are kept.
        spooled: hold the rows in a temporary file, and not in memory.
    """
    evalset, ledger = load_eval_set(config, write=False, spooled=spooled)
    if regressions := guarded(config, evalset):
        config = replace(config, protect=tuple(dict.fromkeys((*config.protect, *regressions))))
    prompt = load_prompt(config.prompt, ledger.fields)
    _refuse_secrets(config, prompt, evalset)
    odd = check_variables(
        prompt,
        evalset.examples,
        shown(config.prompt),
        lambda unit: places(config.prompt, [(unit, None)]).get(unit, 0),
    )
    odd += check_lengths(config, prompt, evalset.examples)
    warnings = (*ledger.warnings, *odd, *_shown_rows(config, prompt, evalset), *_idle_repeats(config, prompt))
    try:
        metrics = build_metrics(config.metrics, config.path.parent)
    except ConfigError as error:
        fix = "" if "; " in str(error) else "; mend it, or take the metric out"
        raise ConfigError(f"{where_set(config, error.place)}: {error}{fix}") from error
    if problems := check_rows(metrics, evalset.examples):
        raise DataError(problems)
    safe = protected(evalset.examples, config.protect, lambda index: where_set(config, ("protect", index)))
    if write:
        keep_splits(config, evalset, ledger)
    return Loaded(
        config=config,
        evalset=evalset,
        ledger=ledger,
        prompt=prompt,
        metrics=metrics,
        warnings=warnings,
        protected=safe,
    )


def _refuse_secrets(config: RunConfig, prompt: Prompt, evalset: EvalSet) -> None:
    """Prompt and rows go to the provider, into files and into production: no key of the user's may stand in them."""
    named, remedy = namer(), "(take it out, and make a new key: this one was about to be sent)"
    if variable := named(prompt.canonical()):
        raise ConfigError(f"{shown(config.prompt)}: holds the value of {variable} {remedy}")
    for row in evalset.examples:
        values = [row.id, dict(row.inputs), row.expected, list(row.tags), row.group]
        if variable := named(canonical_json(values)):
            raise ConfigError(f"{shown(config.data.path)}: row {row.id} holds the value of {variable} {remedy}")


def _shown_rows(config: RunConfig, prompt: Prompt, evalset: EvalSet) -> Iterator[str]:
    """Rows of the eval set that the prompt shows, answers and all."""
    shown_rows = prompt.demo_rows
    rows = [row.id for row in evalset.examples if row.id in shown_rows] if shown_rows else []
    if rows:
        said = "row" if len(rows) == 1 else "rows"
        yield f"{shown(config.prompt)}: demos: {said} {', '.join(rows)} of the eval set, left out of every score"


def _idle_repeats(config: RunConfig, prompt: Prompt) -> Iterator[str]:
    """What makes repeats likely to repeat themselves."""
    params = {**config.model.params, **prompt.params}
    cold = "temperature 0" if params.get("temperature") == 0 else "a seed" if params.get("seed") is not None else ""
    # The stand-in has a seed for each repeat.
    if config.repeats > 1 and cold and config.model.provider != "offline":
        yield (
            f"{shown(config.path)}: repeats: {config.repeats} with {cold} among the parameters: most models then "
            "give the same answer each time, which is paid for each time"
        )


def check_wishes(loaded: Loaded) -> None:
    """Raise ConfigError where the seed is longer than the limit, or a cheaper prompt is wanted of unknown price."""
    config, size = loaded.config, prompt_tokens(loaded.prompt)
    if config.max_tokens is not None and size > config.max_tokens:
        raise ConfigError(
            f"{shown(config.prompt)}: the prompt has about {size} tokens by our estimate, and max_tokens is "
            f"{config.max_tokens} (raise max_tokens to {size} or more, or begin with a shorter prompt)"
        )
    if config.prefer is Prefer.CHEAPER and list_price(config.model) is None:
        raise ConfigError(
            f"prefer: cheaper needs a price, and none is known for {config.model.name} "
            "(set model.price {input, output} in dollars per million tokens, or prefer: shorter)"
        )
