"""Why a call would be answered from the cache, or sent: the parts of its key beside those of the nearest stored one."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out, overrides
from optimizer.cli.asked import Account, redacted
from optimizer.config import ModelSpec
from optimizer.dataset import Example
from optimizer.errors import StoreError, UserError
from optimizer.models.base import Request
from optimizer.prompt import Prompt
from optimizer.readers.base import near
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted
from optimizer.store import RunReader, find_run, list_runs

if TYPE_CHECKING:
    from rich.text import Text

    from optimizer.models.cache import CompletionCache

KEY = re.compile(r"[0-9a-f]{8,64}")
PARTS = ("provider", "base_url", "model", "messages", "params", "sample")
"""What a key is made of, as `Request` names it."""
MOST_RUNS = 20
"""Runs that are searched for a request like this one, the latest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A request that a run made."""

    request: Request
    """The request."""
    run: str
    """The run."""
    ref: str
    """Its prompt."""


def facts(
    root: Path, wanted: str, run: str, *, prompt: str | None = None, flags: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A row's next call, or a key, and what the cache has of it.

    Args:
        root: the workspace.
        wanted: id of a row, or a key or the first 8 digits and more of one.
        run: the run whose eval file is asked for; `latest` for the latest.
        prompt: another prompt than the eval file's: NAME@vN, or a file.
        flags: other settings than the eval file's: `model`, `base_url`, and `params` as KEY=VALUE texts.

    Raises UserError for an unknown row or key.
    """
    with ExitStack() as stack:
        cache = _cache(root, stack)
        if KEY.fullmatch(wanted):
            return _of_key(root, wanted, cache)
        reader = stack.enter_context(RunReader(root, _run(root, run, wanted)))
        example = _example(reader, wanted)
        spec, base = _asked_now(reader, prompt, dict(flags or {}))
        request = Account(spec=spec).request(base, example)
        hit = cache.stored(request.key, 1) if cache else []
        nearest = _nearest(root, request, example.id, cache)
        return {
            "row": example.id,
            "prompt": base.ref,
            "key": request.key,
            "hit": bool(hit),
            "stored": hit[0][1] if hit else None,
            "request": redacted(request),
            "nearest": _told(nearest, request, cache) if nearest else None,
        }


def _run(root: Path, run: str, row: str) -> str:
    """The run that is meant; where none is named, the latest that has the row."""
    if run == find.LATEST:
        return find.run_with_row(row) or find_run(root, run)
    return find_run(root, run)


def _cache(root: Path, stack: ExitStack) -> CompletionCache | None:
    from optimizer.models.cache import CompletionCache

    folder = root / ".optimizer" / "cache"
    return stack.enter_context(CompletionCache(folder)) if folder.is_dir() else None


def _of_key(root: Path, wanted: str, cache: CompletionCache | None) -> dict[str, Any]:
    held = cache.stored(wanted) if cache else []
    calls = [(info.id, *cells) for info in list_runs(root) if info.status for cells in _calls(root, info.id, wanted)]
    keys = sorted({key for key, _ in held} | {str(key) for _, key, *_ in calls})
    if not keys:
        raise UserError(f"no key begins with {wanted[:64]} in the cache or in a run (case ROW --raw shows the key)")
    if len(keys) > 1:
        raise UserError(f"{len(keys)} keys begin with {wanted} (give more digits)")
    names = ("run", "key", "role", "phase", "state", "calls")
    return {
        "row": None,
        "prompt": None,
        "key": keys[0],
        "hit": bool(held),
        "stored": held[0][1] if held else None,
        "request": None,
        "nearest": None,
        "calls": [dict(zip(names, call, strict=True)) for call in calls],
    }


def _calls(root: Path, run: str, beginning: str) -> list[tuple[Any, ...]]:
    try:
        with RunReader(root, run) as reader:
            return reader.query(
                "SELECT key, role, phase, state, COUNT(*) FROM calls WHERE key >= ? AND key < ? GROUP BY 1, 2, 3, 4",
                beginning,
                beginning + "g",
            )
    except (StoreError, UserError):
        # A damaged run is told by `runs`; the others still say what they know.
        return []


def _example(reader: RunReader, wanted: str) -> Example:
    found = reader.example(wanted)
    if found is not None:
        return _now(reader, found.example)
    known = [str(name) for (name,) in reader.query("SELECT id FROM examples ORDER BY position")]
    match = near(wanted, known)
    hint = f"did you mean {match!r}? " if match else ""
    raise UserError(f"run {reader.id}: no row {wanted[:80]!r} ({hint}or give a key: 8 hex digits and more)")


def _now(reader: RunReader, kept: Example) -> Example:
    """The row as the eval set has it today; as the run kept it where that cannot be read."""
    from optimizer.readers.config import load_config
    from optimizer.readers.rows import load_examples

    try:
        examples, _ = load_examples(load_config(Path(reader.meta.eval_file)).data)
    except UserError:
        return kept
    return next((example for example in examples if example.id == kept.id), kept)


def _asked_now(reader: RunReader, prompt: str | None, flags: dict[str, Any]) -> tuple[ModelSpec, Prompt]:
    """Model and prompt as the eval file and the flags ask for them; the run's own where there is no eval file."""
    from optimizer.readers.prompts import load_prompt

    params = flags.pop("params", None)
    try:
        config = overrides.load(Path(reader.meta.eval_file), flags, params=params)
        spec, path = config.model, config.prompt
    except UserError:
        if any(value is not None for value in flags.values()) or Path(reader.meta.eval_file).exists():
            raise
        spec, path = Account.of(reader.meta).spec, None
    if prompt is not None:
        return spec, find.taken(prompt).prompt
    seed = reader.seed()
    if path is not None and path.is_file():
        return spec, load_prompt(path)
    if seed is None:
        raise UserError(f"run {reader.id}: has no prompt yet, and its file is gone (name one with --prompt)")
    return spec, seed


def _nearest(root: Path, request: Request, row: str, cache: CompletionCache | None) -> Stored | None:
    """The request of any run that is most like this one; of equals, one that the cache holds."""
    found = list(_known(root, row, request.sample))
    ranked = sorted(found, key=lambda stored: _distance(request, stored.request))
    same = [stored for stored in ranked if _distance(request, stored.request) == _distance(request, ranked[0].request)]
    held = [stored for stored in same if cache is not None and cache.stored(stored.request.key, 1)]
    return next(iter([*held, *same]), None)


def _known(root: Path, row: str, sample: int) -> Iterator[Stored]:
    for info in [info for info in list_runs(root) if info.status][:MOST_RUNS]:
        try:
            with RunReader(root, info.id) as reader:
                stored = reader.example(row)
                if stored is None:
                    continue
                account = Account.of(reader.meta)
                for (fingerprint,) in reader.query(_SCORED, row):
                    prompt = reader.prompt(fingerprint)
                    if prompt is not None:
                        asked = account.request(prompt, stored.example, sample)
                        yield Stored(request=asked, run=reader.id, ref=_ref(reader, prompt))
        except (StoreError, UserError):
            # A damaged run is told by `runs`; the others still say what they know.
            continue


_SCORED = """
SELECT DISTINCT candidate FROM results
WHERE candidate IN (SELECT fingerprint FROM prompts) AND example = ?
"""


def _ref(reader: RunReader, prompt: Prompt) -> str:
    if prompt.fingerprint == reader.meta.seed_prompt:
        version = reader.meta.prompt_version
        return f"{prompt.name}@v{version}" if version else prompt.name
    return f"candidate {prompt.fingerprint[:8]}"


def _distance(one: Request, other: Request) -> tuple[int, float]:
    """Parts that differ, and how unlike the messages are."""
    if one.key == other.key:
        return 0, 0.0
    differing = sum(getattr(one, part) != getattr(other, part) for part in PARTS)
    first, second = (" ".join(message.content for message in request.messages).split() for request in (one, other))
    return differing, 1.0 - difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()


def _told(stored: Stored, request: Request, cache: CompletionCache | None) -> dict[str, Any]:
    held = cache.stored(stored.request.key, 1) if cache else []
    now, then = redacted(request), redacted(stored.request)
    return {
        "run": stored.run,
        "prompt": stored.ref,
        "key": stored.request.key,
        "in_cache": bool(held),
        "parts": [
            {
                "part": part,
                "same": getattr(request, part) == getattr(stored.request, part),
                "now": now[part],
                "stored": then[part],
            }
            for part in PARTS
        ],
    }


def page(facts: dict[str, Any]) -> Text:
    """The same on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    what = f"{facts['row']} under {facts['prompt']}" if facts["row"] else f"key {facts['key'][:12]}"
    told = "HIT: answered from the cache" if facts["hit"] else "MISS: a call would be sent"
    sheet.wrapped("", f"{what}  {told}", "bold green" if facts["hit"] else "bold yellow")
    sheet.wrapped("", f"key {facts['key']}", "dim")
    if facts["stored"] is not None:
        sheet.wrapped("", f"stored {time.strftime('%Y-%m-%d %H:%M', time.gmtime(facts['stored']))} UTC", "dim")
    for call in facts.get("calls", ()):
        sheet.fact(
            "run", f"{call['run']}: {call['state']} {counted(call['calls'], 'time')}, {call['phase']}, {call['role']}"
        )
    if facts["nearest"]:
        _parts(sheet, facts["nearest"], hit=facts["hit"])
    elif facts["row"] and not facts["hit"]:
        sheet.wrapped("", "no run has asked anything about this row", "dim")
    return sheet.text


def _parts(sheet: Sheet, nearest: dict[str, Any], *, hit: bool) -> None:
    held = "in the cache" if nearest["in_cache"] else "not in the cache"
    sheet.heading(f"beside the nearest one: {nearest['prompt']}, run {nearest['run']} ({held})")
    for one in nearest["parts"]:
        start = f" {one['part']:<9} {'same' if one['same'] else 'differs':<8} "
        if one["same"]:
            sheet.wrapped(start, "" if one["part"] == "messages" else out.compact(one["now"]), "dim")
            continue
        for text in _differences(one):
            sheet.wrapped(start, text, "yellow", prefix_style="bold")
            start = " " * len(start)
    if not hit and all(one["same"] for one in nearest["parts"]):
        told = "The same request was answered, and its answer is not kept: it was pruned, cut off, or empty."
        sheet.wrapped("", told)


def _differences(one: dict[str, Any]) -> Iterator[str]:
    if one["part"] != "messages":
        yield f"{out.compact(one['now'])}, stored {out.compact(one['stored'])}"
        return
    if [m["role"] for m in one["now"]] != [m["role"] for m in one["stored"]]:
        yield f"roles {[m['role'] for m in one['now']]}, stored {[m['role'] for m in one['stored']]}"
    for now, then in zip(one["now"], one["stored"], strict=False):
        for line in difflib.ndiff(then["content"].split("\n"), now["content"].split("\n")):
            if line[:2] in ("- ", "+ "):
                yield f"{now['role']} {'stored' if line[0] == '-' else 'now   '} {line[2:]}"
