"""`--resume`: is the output complete, and if not, where does the interrupted run stand?

A checkpoint lies in `FILE.part.state` until FILE is complete. It is small, because outcomes are written in input order:
the position in the input, the id of the last record there, the offsets of the two output files, and the counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from latxa_cli.stream import manifest
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.writer import part_of, write_file


@dataclass
class Counts:
    """Records in, records out, and the rejected by reason."""

    read: int = 0
    written: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {"in": self.read, "out": self.written, "rejected": dict(sorted(self.rejected.items()))}


@dataclass
class Checkpoint:
    """Where a run stands: `position` outcomes are written, the last for the record `last`; then the files' offsets.

    `rejects` is where rejects go, `uses` describes the side inputs (model, shots): a run goes on with the same ones.
    """

    position: int = 0
    last: str | None = None
    offset: int = 0
    rejects_offset: int = 0
    rejects: str | None = None
    uses: list[dict[str, Any]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def save(self, output: Path, settings: dict[str, Any]) -> None:
        """Write the checkpoint of the run that makes `output`; raises LatxaError."""
        counts = {"read": self.counts.read, "written": self.counts.written, "rejected": dict(self.counts.rejected)}
        state = {"settings": settings, **vars(self), "counts": counts}
        write_file(state_of(output), orjson.dumps(state, default=str))


def state_of(output: Path) -> Path:
    """Return where the checkpoint of the run that makes `output` lies."""
    return output.with_name(output.name + ".part.state")


def interrupted(output: Path, rejects: Path | None, settings: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint of an interrupted run that made `output`, if there is one.

    Raises UsageError when it had other settings, LatxaError when what it had written is not there any more.
    """
    state = manifest.load(state_of(output))
    if state is None:
        return None
    if not part_of(output).exists() and output.exists() and manifest.manifest_of(output).exists():
        return None  # the kill came at the very end: all is there
    hint = f"remove `{state_of(output)}` to start again"
    if different := manifest.difference(state.pop("settings", {}), settings):
        raise UsageError(f"{output}: the interrupted run had other settings: {different}", hint=hint)
    try:
        counts = state.pop("counts")
        point = Checkpoint(**state, counts=Counts(counts["read"], counts["written"], Counter(counts["rejected"])))
    except (KeyError, TypeError):
        raise LatxaError(f"{state_of(output)}: is no checkpoint", hint="remove it to start again") from None
    if point.rejects != (str(rejects) if rejects else None):
        raise UsageError(f"{output}: the interrupted run had `--rejects {point.rejects or 'nothing'}`", hint=hint)
    for path, offset in ((output, point.offset), (rejects, point.rejects_offset)):
        if path is not None:
            _restore(path, offset, hint)
    return point


def _restore(path: Path, offset: int, hint: str) -> None:
    """See that the unfinished file is there as far as the checkpoint says."""
    part = part_of(path)
    if path.exists() and not part.exists():  # a kill may have come between two renames at the end
        path.replace(part)
    if not part.exists() or part.stat().st_size < offset:
        raise LatxaError(f"{part}: what the interrupted run had written is not there any more", hint=hint)


def is_complete(output: Path, manifest_path: Path, settings: dict[str, Any]) -> bool:
    """Whether `output` is complete and was made by the same settings from inputs that are still the same.

    Raises UsageError when it is complete but was made in another way.
    """
    written = manifest.load(manifest_path)
    if written is None or not output.exists():
        return False
    hint = "remove it, choose another `-o`, or leave `--resume` out"
    if different := manifest.difference(written.get("settings", {}), settings):
        raise UsageError(f"{output}: was made with other settings: {different}", hint=hint)
    if not all(Path(further).exists() for further in written.get("outputs", [])):
        return False
    if changed := manifest.changed_input(written.get("inputs", [])):
        raise UsageError(f"{output}: its input `{changed}` has changed since", hint=hint)
    return True
