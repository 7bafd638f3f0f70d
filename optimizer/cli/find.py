"""Which run, and which prompt, a command means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.errors import GateError, StoreError, UserError

if TYPE_CHECKING:
    from optimizer.outcome import Outcome
    from optimizer.prompt import Prompt
    from optimizer.readers.provenance import Provenance
    from optimizer.store import RunReader

ROOT = Path()
"""The workspace: the working folder."""
PROMPTS = ROOT / "prompts"
LATEST = "latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A prompt that is to leave the workspace, with what is known of it."""

    prompt: Prompt
    """The prompt."""
    base: Prompt | None
    """What it was made from: the seed of its run, or its parent version."""
    provenance: Provenance | None
    """Where it comes from."""
    run: str
    """Id of the run that made it; empty where none is known."""
    warning: str
    """Why it should perhaps not leave; empty where nothing speaks against it."""
    broken: tuple[str, ...] = ()
    """Protected rows that it breaks: its run ended with BLOCKED."""
    proven: bool | None = None
    """Whether its gain was shown on test; None where nothing was to be shown, as for a prompt that a person wrote."""


@contextmanager
def opened(run: str, *, keep: bool = False) -> Iterator[RunReader]:
    """A run by its id, the beginning of it, or `latest`, with its rows as people have marked them since.

    Args:
        run: what the user named.
        keep: leave rows that are set aside where they are.

    Raises UserError with the nearest run there is.
    """
    from optimizer.store import RunReader, find_run

    with RunReader(ROOT, find_run(ROOT, run)) as reader:
        yield marked(reader, keep=keep)


def marked(reader: RunReader, *, keep: bool = False) -> RunReader:
    """The same reader; where rows of its eval set are marked, it sees them so."""
    from optimizer.readers.marks import marks_path

    eval_file = reader.meta.eval_file
    if not eval_file or not marks_path(Path(eval_file)).exists():
        return reader
    # Scoring anew loads metrics: only where there is a mark.
    from optimizer.marks import with_marks

    return with_marks(reader, keep=keep)


def run_with_row(row: str) -> str | None:
    """The latest run that has a row of this id."""
    from optimizer.store import RunReader, list_runs

    for info in list_runs(ROOT):
        try:
            with RunReader(ROOT, info.id) as reader:
                if reader.example(row) is not None:
                    return info.id
        except (StoreError, UserError):
            # Gone or damaged: another run may have it.
            continue
    return None


def shippable(target: str | None, *, ended: bool = False, allow_blocked: bool) -> Taken:
    """What a run or `NAME@vN` stands for, if it may leave the workspace.

    Args:
        target: what the user named; None is the latest run.
        ended: refuse a latest run that has not ended, unless it is named by its id.
        allow_blocked: let a prompt pass that breaks protected rows.

    Raises UserError where it stands for nothing or has not ended, GateError for a prompt that is blocked.
    """
    found = taken(target)
    if ended and target in (None, LATEST) and found.provenance is None:
        raise UserError(f"the latest run, {found.run}, has not ended (name a run, or NAME@vN)")
    if found.broken and not allow_blocked:
        raise GateError(f"{found.warning} (--allow-blocked takes it all the same)")
    return found


def taken(target: str | None) -> Taken:
    """What a run or `NAME@vN` stands for; None is the latest run. Raises UserError where it stands for nothing."""
    if target is None or target == LATEST:
        return _of_run(LATEST)
    if is_prompt(target):
        return _of_version(target)
    try:
        return _of_run(target)
    except UserError as error:
        raise with_prompts(target, error) from None


def is_prompt(target: str) -> bool:
    """True for `NAME@vN`, a file, and the name of a prompt that no run has."""
    if "@" in target or Path(target).is_file():
        return True
    return (PROMPTS / target).is_dir() and not (ROOT / "runs" / target).exists()


def with_prompts(target: str, error: UserError) -> UserError:
    """The same fault, with the prompt that may have been meant."""
    from optimizer.readers.base import near

    names = [path.name for path in PROMPTS.iterdir() if path.is_dir()] if PROMPTS.is_dir() else []
    match = near(target, names)
    return UserError(f"{error}; there is a prompt {match!r}") if match else error


def _of_run(run: str) -> Taken:
    from optimizer.ship import provenance
    from optimizer.store import RunReader, find_run

    # What leaves the workspace is what was measured.
    with RunReader(ROOT, find_run(ROOT, run)) as reader:
        winner, seed, outcome = reader.best(), reader.seed(), reader.outcome()
        if winner is None or seed is None:
            raise UserError(f"run {reader.id}: has no prompt yet (let it get further)")
        seed = replace(seed, version=reader.meta.prompt_version)
        written = reader.decisions("written")
        version = written[-1].decided.figures.get("version") if written else None
        origin = provenance(seed, winner, outcome, reader.id, stand_in=reader.meta.stand_in) if outcome else None
        changed = winner.fingerprint != seed.fingerprint
        return Taken(
            prompt=replace(winner, version=version or winner.version),
            base=seed,
            provenance=origin,
            run=reader.id,
            warning=_warning(reader.id, outcome, changed=changed),
            broken=outcome.broken if outcome else (),
            proven=_is_proven(outcome) if changed else None,
        )


def _is_proven(outcome: Outcome | None) -> bool:
    from optimizer.outcome import Verdict

    return outcome is not None and outcome.verdict is Verdict.GAIN_SHOWN


def _warning(run: str, outcome: Outcome | None, *, changed: bool) -> str:
    from optimizer.outcome import Verdict

    if outcome is None:
        return f"run {run} has not ended: this is its best prompt so far, and its gain is not tested"
    if not changed:
        return f"run {run} kept the prompt that it began with: {outcome.verdict}"
    if _is_proven(outcome):
        return ""
    unproven = "unproven: " if outcome.verdict in (Verdict.TOO_SMALL, Verdict.NOT_SHOWN) else ""
    return f"{unproven}run {run} ended with {outcome.verdict}: {outcome.reason}"


def _of_version(target: str) -> Taken:
    from optimizer.readers.prompts import load_prompt, load_version
    from optimizer.readers.versions import find_prompt

    path = find_prompt(target, PROMPTS)
    loaded = load_version(path)
    parent = _parent(path, loaded.provenance)
    edited = f"{path} was edited by hand since it was measured" if loaded.edited_by_hand else ""
    proven = loaded.provenance.proven if loaded.provenance else None
    return Taken(
        prompt=loaded.prompt,
        base=load_prompt(parent) if parent else None,
        provenance=loaded.provenance,
        run=loaded.provenance.run if loaded.provenance else "",
        warning=edited or _unproven(loaded.prompt.ref, loaded.provenance),
        proven=None if edited else proven,
    )


def _unproven(ref: str, provenance: Provenance | None) -> str:
    if provenance is None or provenance.proven is not False:
        return ""
    test = provenance.scores.get("test")
    verdict = test.verdict if test else None
    return f"unproven: run {provenance.run}, which made {ref}, ended with {verdict or 'no test'}"


def _parent(path: Path, provenance: Provenance | None) -> Path | None:
    """File of the version before, where it lies beside this one."""
    from optimizer.readers.versions import list_versions, version_of

    number = (provenance.parent if provenance else "").rpartition("@v")[2]
    found = [one for one in list_versions(path.parent) if str(version_of(one)) == number and one != path]
    return found[0] if found else None
