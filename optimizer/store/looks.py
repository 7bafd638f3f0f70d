"""How often each test split was looked at, across runs: `.optimizer/looks.jsonl`.

A claim on a split that was looked at before needs more evidence, so looks are counted by the fingerprint of the rows.
The same pair of prompts on the same rows under the same model and metrics tells nothing new: it is no new look.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from optimizer.dataset import Split, canonical_json
from optimizer.errors import StoreError, UserError
from optimizer.readers import atomic
from optimizer.store.faults import fault
from optimizer.store.folders import run_ids
from optimizer.store.meta import RunMeta
from optimizer.store.reader import RunReader

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Two prompts compared on one split."""

    split: str
    """Fingerprint of the rows."""
    baseline: str
    """Fingerprint of the first prompt."""
    winner: str
    """Fingerprint of the second prompt."""
    model: str
    """The task model with its settings, and how often each row is asked."""
    metrics: str
    """16 hex digits over the metrics with their settings."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two looks the same one; which prompt came first does not matter."""
        return self.split, frozenset((self.baseline, self.winner)), self.model, self.metrics


def look_at(meta: RunMeta, baseline: str, winner: str) -> Look:
    """The look at the test split that comparing two prompts of this run would be."""
    metrics = hashlib.sha256(canonical_json(dict(meta.metrics)).encode()).hexdigest()[:16]
    # Other answers to the same rows are another look at them.
    asked = f" x{meta.repeats}" if meta.repeats > 1 else ""
    return Look(
        split=meta.splits.get(Split.TEST.value, ""),
        baseline=baseline,
        winner=winner,
        model=f"{meta.model} {meta.model_settings}{asked}",
        metrics=metrics,
    )


def count_look(root: Path, look: Look, *, run: str = "", now: Callable[[], float] = time.time) -> int:
    """Count a look, durably, and say which it is: 1 for the first at these rows.

    Call it before the rows are looked at. A look that was counted before gives its old number.
    Raises StoreError where the ledger cannot be read or written.
    """
    path = ledger(root)
    try:
        atomic.make_folder(path.parent, 0o700)
        with _locked(path) as descriptor:
            here = [known for known in _read(path) if known.split == look.split]
            for lost in _forgotten(root, look.split, here):
                _append(descriptor, path, asdict(lost))
                here.append(lost)
            for number, known in enumerate(here, start=1):
                if known.identity == look.identity:
                    return number
            _append(descriptor, path, {**asdict(look), "run": run, "at": now()})
            return len(here) + 1
    except OSError as error:
        raise fault(path, error) from error


def looks(root: Path, split: str) -> tuple[Look, ...]:
    """Looks at one split so far, in order. Raises StoreError where the ledger is damaged."""
    try:
        return tuple(known for known in _read(ledger(root)) if known.split == split)
    except OSError as error:
        raise fault(ledger(root), error) from error


def ledger(root: Path) -> Path:
    """The file."""
    return root / ".optimizer" / "looks.jsonl"


def _read(path: Path) -> Iterator[Look]:
    """Distinct looks in order. A last line without its end was never acknowledged and counts for nothing."""
    if not path.exists():
        return
    seen = set()
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            told = json.loads(line)
            look = Look(**{name: str(told[name]) for name in Look.__dataclass_fields__})
            if told.get("crc", _sum(asdict(look))) != _sum(asdict(look)):
                raise ValueError("checksum")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"{path}:{number}: damaged, not a look (restore the file, or take the line away: looks that runs "
                "tell of count again)"
            ) from error
        if look.identity not in seen:
            seen.add(look.identity)
            yield look


def _forgotten(root: Path, split: str, known: Sequence[Look]) -> list[Look]:
    """Looks that runs of this workspace have made at a split and the ledger has lost, in their order."""
    seen = {look.identity for look in known}
    found: dict[tuple[object, ...], tuple[int, Look]] = {}
    for run_id in run_ids(root):
        try:
            with RunReader(root, run_id) as reader:
                outcome = reader.outcome() if reader.meta.splits.get(Split.TEST.value) == split else None
                if outcome is None or outcome.test is None:
                    continue
                look = look_at(reader.meta, outcome.seed, outcome.winner)
                found.setdefault(look.identity, (outcome.test.look or 0, look))
        except (StoreError, UserError):
            # A run that cannot be read tells nothing; `runs` names it.
            continue
    lost = [look for _, look in sorted(found.values(), key=lambda one: one[0]) if look.identity not in seen]
    if lost:
        log.warning(
            "%s damaged: %d of %d looks at these rows were missing; the runs tell of them, and they count again",
            ledger(root),
            len(lost),
            len(lost) + len(known),
        )
    return lost


def _sum(told: Mapping[str, object]) -> int:
    """CRC-32 over a look: notices damage, and is no defence against forgery."""
    return zlib.crc32(json.dumps({name: told[name] for name in Look.__dataclass_fields__}, sort_keys=True).encode())


def _append(descriptor: int, path: Path, told: dict[str, object]) -> None:
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        os.ftruncate(descriptor, len(whole) + 1 if whole else 0)
    os.lseek(descriptor, 0, os.SEEK_END)
    os.write(descriptor, (json.dumps({**told, "crc": _sum(told)}, sort_keys=True) + "\n").encode())
    os.fsync(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # A file system without locks: one process at a time, then.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
