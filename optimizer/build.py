"""Config -> live objects: the only place that knows every plug-in.

`execute` is a run from the eval file to the written winner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.ahead import Ahead
from optimizer.baseline import baseline
from optimizer.budget import Budget, Spent
from optimizer.config import BudgetSpec, ModelSpec, RunConfig
from optimizer.dataset import Split
from optimizer.errors import ConfigError, StoreError
from optimizer.evaluator import Bench, Evaluator, judges
from optimizer.events import Event, Sink
from optimizer.executors.local import LocalExecutor
from optimizer.intake import Loaded, check_wishes, take_in
from optimizer.models.base import Model
from optimizer.models.cache import CompletionCache
from optimizer.models.gate import Providers, Terms, account, called, connected, gate, rates, specs
from optimizer.models.prices import known_prices, list_price
from optimizer.outcome import Outcome, Phase
from optimizer.plan import Plan, plan_for
from optimizer.prompt import Prompt
from optimizer.readers.emit import lines as yaml_lines
from optimizer.results import Completion
from optimizer.store import RunReader, RunWriter, new_run_id, open_run_aside, refuse_other, unfinished
from optimizer.store.looks import count_look, look_at
from optimizer.store.meta import RunMeta
from optimizer.targets.prompt import PromptTarget

if TYPE_CHECKING:
    from optimizer.loop import Ends
    from optimizer.mutate.base import Mutator
    from optimizer.mutate.propose import Proposers
    from optimizer.mutate.rewrite import Rewriter

LATE = ("loop", "mutate.demos", "mutate.llm", "mutate.mined", "ship", "store.figures")
"""Modules that a run needs after its first calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A run that is asked for."""

    config: RunConfig
    """What to do."""
    root: Path
    """The workspace: `runs/`, `.optimizer/` and relative paths of reports lie here."""
    run_id: str | None = None
    """Id of the run; None makes one, or with `resume` finds the latest unfinished run of the eval file."""
    resume: bool = False
    """Go on where such a run is; begin it where there is none."""
    tries: tuple[str, ...] = ()
    """Lines of the user's own, tried beside the proposed ones."""
    arguments: tuple[str, ...] = ()
    """What the command line was asked: kept, so that a run can say how to go on with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A run that came to its end."""

    run_id: str
    """Its id."""
    outcome: Outcome
    """The claim."""
    written: Path | None
    """The winner's version file; None where none was written."""


@dataclass(frozen=True, slots=True)
class Several:
    """Hands every event to several sinks, in order."""

    sinks: tuple[Sink, ...]

    async def record(self, event: Event) -> None:
        """Pass it on."""
        for sink in self.sinks:
            await sink.record(event)


async def execute(order: Order, *, watch: Sequence[Sink] = ()) -> Ended:
    """Run to the end, or go on with a run.

    Raises UserError before any request where something is wrong with the files; BudgetExceeded, ProviderError or
    StoreError where the run cannot go on and can be resumed later.
    """
    loaded = take_in(order.config)
    _check_tries(order.tries, loaded.prompt)
    check_wishes(loaded)
    plan = _plan(loaded)
    run_id = _run_id(order)
    meta = loaded.meta(order.tries, order.arguments)
    if order.resume and (ended := _ended_before(order.root, run_id, meta)) is not None:
        return ended
    async with (
        Ahead(_sampler) as ahead,
        loaded.ready(Several(tuple(watch))),
        connected(order.config) as providers,
        await open_run_aside(
            order.root, run_id, config_text(order.config), meta=meta, evalset=loaded.evalset, resume=order.resume
        ) as writer,
    ):
        sink = Several((writer, *watch, ahead))
        await loaded.tell(sink, code=writer)
        async with opened(
            loaded, order.root, sink, providers, writer, hold=plan.limits[Phase.TEST] + plan.kept
        ) as live:
            bench = live.bench(loaded, plan, sink, writer.known_results() if writer.resumed else {})
            known = await baseline(bench, loaded.prompt)
            await asyncio.to_thread(_search)
            from optimizer import loop

            ends = replace(_ends(order.root, loaded, meta, run_id), release=live.budget.release)
            finished = await loop.run(bench, loaded.prompt, live.proposers(loaded, order.tries), ends, known)
    return Ended(run_id=run_id, outcome=finished.outcome, written=_written(order.root, run_id))


def _search() -> None:
    """Import what the rounds need. The baseline needs none of it, so this takes place while its calls are out."""
    for name in LATE:
        import_module(f"optimizer.{name}")


def _sampler() -> None:
    """The same, and what the first trial needs, which takes several times as long."""
    _search()
    from optimizer.search.sampler import load

    load()


def _check_tries(tries: Sequence[str], prompt: Prompt) -> None:
    if tries:
        from optimizer.mutate.propose import check_tries

        check_tries(tries, prompt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """Models behind their gates."""

    models: Mapping[tuple[str, str | None], Model]
    """(provider, base URL) -> gate: one account, one gate."""
    config: RunConfig
    """What to do."""
    budget: Budget
    """What all of them pay from."""

    def model(self, spec: ModelSpec) -> Model:
        """The gate of a model."""
        return self.models[account(spec)]

    def bench(self, loaded: Loaded, plan: Plan, sink: Sink, known: dict[tuple[str, str], Any]) -> Bench:
        """What the steps of the search work on; rows that the seed shows as demos judge nothing."""
        rows = {split: tuple(judges(loaded.prompt, loaded.evalset.split(split))) for split in Split}
        return Bench(
            evaluator=self.evaluator(loaded, plan, sink, known),
            train=rows[Split.TRAIN],
            val=rows[Split.VAL],
            test=rows[Split.TEST],
            seed=self.config.seed,
            protected=loaded.protected,
            max_tokens=self.config.max_tokens,
            prefer=self.config.prefer,
            price=list_price(self.config.model),
        )

    def evaluator(self, loaded: Loaded, plan: Plan, sink: Sink, known: dict[tuple[str, str], Any]) -> Evaluator:
        """What scores candidates."""
        spec = self.config.model
        target = PromptTarget(
            model=self.model(spec),
            provider=spec.provider,
            name=spec.model,
            base_url=spec.base_url,
            params=spec.params,
        )
        return Evaluator(
            target=target,
            metrics=loaded.metrics,
            executor=LocalExecutor(concurrency=self.config.concurrency),
            sink=sink,
            plan=plan,
            known=known,
            repeats=self.config.repeats,
        )

    def proposers(self, loaded: Loaded, tries: tuple[str, ...]) -> Proposers:
        """What outputs show comes first, then what the model understands; guesses and demos are for what is left."""
        from optimizer.mutate.demos import DemoMutator
        from optimizer.mutate.llm import LlmMutator
        from optimizer.mutate.mined import GUESSES, PLAIN, MinedMutator
        from optimizer.mutate.propose import Proposers
        from optimizer.mutate.rewrite import Rewriter

        mutators: list[Mutator] = [MinedMutator(miners=PLAIN)] if self.config.mined else []
        author: Rewriter | None = None
        spec = self.config.mutator
        if spec is not None:
            asked: Mapping[str, Any] = {"provider": spec.provider, "name": spec.model, "base_url": spec.base_url}
            mutators.append(LlmMutator(model=self.model(spec), params=spec.params, **asked))
            author = Rewriter(model=self.model(spec), params=spec.params, **asked)
        if self.config.mined:
            mutators += [MinedMutator(miners=GUESSES), DemoMutator()]
        return Proposers(mutators=tuple(mutators), asks_model=spec is not None, tries=tries, author=author)


@asynccontextmanager
async def opened(
    loaded: Loaded, root: Path, sink: Sink, providers: Providers, writer: RunWriter | None, *, hold: int = 0
) -> AsyncIterator[Live]:
    """Put every provider behind a gate of its own, all on one budget, which holds calls back, and one cache."""
    config = loaded.config
    resumed = writer is not None and writer.resumed
    known: Mapping[str, Completion] = writer.known_completions() if writer and resumed else {}
    budget = Budget(config.budget, spent=_spent(writer, config.budget) if writer and resumed else None, hold=hold)
    async with await asyncio.to_thread(CompletionCache, root / ".optimizer" / "cache") as cache:
        models = {}
        for owner, provider in providers.items():
            # The same name may cost something else at another address.
            here = [spec for spec in specs(config) if account(spec) == owner]
            models[owner] = gate(
                provider,
                store=cache,
                sink=sink,
                budget=budget,
                prices=known_prices(here),
                known=known,
                terms=Terms(
                    concurrency=config.concurrency,
                    timeout=config.timeout,
                    rates=rates(here),
                    account=called(here[0]),
                ),
            )
        yield Live(models=models, config=config, budget=budget)


def _plan(loaded: Loaded) -> Plan:
    """What each phase may ask for. Raises BudgetExceeded where the budget is too small for any result."""
    sizes = {split: len(judges(loaded.prompt, loaded.evalset.split(split))) for split in Split}
    before_test = sum(loaded.evalset.splits[row] is not Split.TEST for row in loaded.protected)
    return plan_for(
        calls=loaded.config.budget.calls,
        train=sizes[Split.TRAIN],
        val=sizes[Split.VAL],
        test=sizes[Split.TEST],
        protected=before_test,
        repeats=loaded.config.repeats,
    )


def _spent(writer: RunWriter, limits: BudgetSpec) -> Spent:
    before = writer.spent()
    if before.billed_usd is None and limits.usd is not None:
        raise ConfigError(
            f"budget.usd: what run {writer.id} has cost so far cannot be told, since a price was not known or no reply "
            "counts its tokens; go on with budget.calls or budget.tokens"
        )
    with writer.reader() as reader:
        seconds = reader.seconds
    return Spent(
        calls=before.calls,
        tokens=before.billed_tokens,
        usd=before.billed_usd or 0.0,
        seconds=seconds,
        failed=before.failed,
    )


def _ends(root: Path, loaded: Loaded, meta: RunMeta, run_id: str) -> Ends:
    from optimizer.loop import Ends
    from optimizer.ship import ship

    folder = loaded.config.prompt.parent.parent if loaded.prompt.version else root / "prompts"

    def look(seed: Prompt, winner: Prompt) -> int:
        return count_look(root, look_at(meta, seed.fingerprint, winner.fingerprint), run=run_id)

    return Ends(
        look=look,
        ship=lambda winner, outcome: ship(
            loaded.prompt, winner, outcome, run_id=run_id, folder=folder, stand_in=meta.stand_in
        ),
    )


def _run_id(order: Order) -> str:
    if order.run_id is not None:
        return order.run_id
    stuck = unfinished(order.root, order.config.name) if order.resume else None
    return stuck or new_run_id(order.root, order.config.name)


def _ended_before(root: Path, run_id: str, meta: RunMeta) -> Ended | None:
    """What a run that is complete already ended with. Raises UserError where that run is about something else."""
    if not (root / "runs" / run_id / "run.sqlite").exists():
        return None
    try:
        with RunReader(root, run_id) as reader:
            outcome = reader.outcome()
            if outcome is not None:
                refuse_other(reader, meta)
    except StoreError:
        # A full disk or a kill may have left a file without tables: it is begun anew. What opens it tells real damage.
        return None
    return None if outcome is None else Ended(run_id=run_id, outcome=outcome, written=_written(root, run_id))


def _written(root: Path, run_id: str) -> Path | None:
    with RunReader(root, run_id) as reader:
        found = reader.decisions("written")
    return Path(found[-1].decided.figures["path"]) if found else None


def config_text(config: RunConfig) -> str:
    """A config as YAML, every default filled in."""
    plain = _plain(asdict(config))
    return "\n".join(yaml_lines(plain)) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
