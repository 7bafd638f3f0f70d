"""What `export` proves, prints, writes and checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out, rows_along
from optimizer.dataset import Example, Split
from optimizer.errors import GateError, UserError
from optimizer.export.base import SIDECAR, Proved, part_path, write
from optimizer.export.base import export as exported
from optimizer.readers.base import shown

if TYPE_CHECKING:
    from optimizer.cli.find import Taken

_SPLITS = (Split.VAL, Split.TRAIN)
"""Where rows are taken from. Those of test stay sealed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipment:
    """A prompt in one format, and what became of it."""

    format: str
    """Name of the format."""
    found: Taken
    """What was asked for."""
    proved: Proved
    """The parts, with their proof."""
    written: tuple[Path, ...] = ()
    """Files that were written."""
    differs: tuple[Path, ...] | None = None
    """Files that are not what would be written; None where nothing was compared."""

    def facts(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        proof = {"rows": self.proved.renders, "real": self.proved.real, "loader": self.proved.loader or None}
        return {
            "format": self.format,
            "prompt": self.found.prompt.ref,
            "proven": self.found.proven,
            "parts": dict(self.proved.parts),
            "proof": {**proof, "loader_version": _version(self.proved.loader)},
            "notes": [*([self.found.warning] if self.found.warning else []), *self.proved.notes],
            "written": [shown(path) for path in self.written],
            "differs": None if self.differs is None else [shown(path) for path in self.differs],
        }


def make(
    format: str, found: Taken, *, file: Path | None, check: bool, model: str | None, splits: str | None = None
) -> Shipment:
    """Prove a prompt in one format, then write it to a file, or compare it with one, where a file is named.

    Raises UserError where it cannot be proved, or where there is no file to compare with.
    """
    if check and file is None:
        raise UserError("--check has nothing to compare with (name the file: --out FILE)")
    known, rows = _measured(found)
    origin = found.provenance
    if model or known:
        from optimizer.readers.provenance import Provenance

        origin = replace(origin or Provenance(run=found.run), model=model or known)
    proved = exported(format, found.prompt, origin, rows)
    if splits is not None:
        proved = rows_along.add(format, proved, found, splits)
    shipment = Shipment(format=format, found=found, proved=proved)
    if file is None:
        return shipment
    if check:
        return replace(shipment, differs=_differing(shipment.proved, file))
    return replace(shipment, written=write(shipment.proved.parts, file))


def _measured(found: Taken) -> tuple[str, list[Example]]:
    """The model that its run named, and rows that the run has; nothing where the run is gone."""
    if not found.run:
        return "", []
    try:
        with find.opened(found.run) as reader:
            rows = [stored.example for split in _SPLITS for stored in reader.examples(split)]
            return "" if reader.meta.stand_in else reader.meta.model, rows
    except UserError:
        return "", []


def _differing(proved: Proved, file: Path) -> tuple[Path, ...]:
    differing = []
    for part, text in proved.parts.items():
        path = part_path(file, part)
        try:
            same = path.read_bytes() == text.encode()
        except OSError:
            same = False
        if not same:
            differing.append(path)
    return tuple(differing)


def tell(shipment: Shipment, *, as_json: bool) -> None:
    """Print what was made, or where it went. Raises GateError where a file differs from what would be written."""
    proved = shipment.proved
    if as_json:
        out.data(shipment.facts())
    else:
        if shipment.found.warning:
            out.note(f"note: {shipment.found.warning}")
        _tell_text(shipment)
        own = f", by {proved.loader} as well" if proved.loader else ""
        real = f", {proved.real} of them from the run" if proved.real else ""
        out.note(f"read back and rendered for {proved.renders} rows{real}{own}: the same to the byte")
        for line in proved.notes:
            out.note(f"note: {line}")
    if shipment.differs:
        names = ", ".join(shown(path) for path in shipment.differs)
        raise GateError(f"not what would be written: {names} (run the same without --check)")


def _tell_text(shipment: Shipment) -> None:
    for path in shipment.written:
        out.note(f"wrote {shown(path)}")
    if shipment.written or shipment.differs is not None:
        return
    parts = shipment.proved.parts
    texts = [text for part, text in parts.items() if part != SIDECAR]
    if len(texts) > 1:
        roles = ", ".join(part for part in parts if part != SIDECAR)
        out.note(f"note: {len(texts)} messages one after the other ({roles}); --out FILE writes one file each")
    elif SIDECAR in parts:
        out.note("note: --out FILE writes variables and provenance beside it")
    out.raw("\n".join(texts))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package) if package else None
    except metadata.PackageNotFoundError:
        return None
