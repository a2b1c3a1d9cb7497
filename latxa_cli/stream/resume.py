"""`--resume`: is the output complete, and if not, where does the interrupted run stand?

There are three ways to go on, one for each kind of work:

- record by record: a checkpoint in `FILE.part.state`, described here;
- in stages of many tasks: a file for each task that is done, in the folder of `stages.work`;
- by training steps: whole checkpoints of the model, in the folder of `training.checkpoints`.

The checkpoint is small, because outcomes are written in input order: the position in the input, the id of the last
record there, the length of each output file, and the counts. It lies there until FILE is complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from latxa_cli.stream import manifest
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.writer import part_of, write_file

MAIN, REJECTS = "-o", "--rejects"


@dataclass
class Counts:
    """Records in, records out, the rejected by reason, and those that a smaller subset left."""

    read: int = 0
    written: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    not_taken: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as they stand in a manifest."""
        counts = {"in": self.read, "out": self.written, "rejected": dict(sorted(self.rejected.items()))}
        return counts | ({"not taken": self.not_taken} if self.not_taken else {})

    def words(self, *, made: bool) -> list[str]:
        """Return the counts as people are told; `made`: records were."""
        told = [f"{self.read:,} in" + (f", {self.written:,} out" if made else "")]
        if total := self.rejected.total():
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.most_common())
            told.append(f"{total:,} rejected ({reasons})")
        if self.not_taken:
            told.append(f"{self.not_taken:,} not taken")
        return told


@dataclass
class Checkpoint:
    """Where a run stands: `position` outcomes are written, the last for the record `last`.

    files, lengths: by flag, the output files, and how many bytes of each are written; uses: the side inputs (model,
    shots), since a run goes on with the same ones; complete: all is written, and the files are about to get their
    names.
    """

    position: int = 0
    last: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    uses: list[dict[str, Any]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    complete: bool = False

    def save(self, output: Path, settings: dict[str, Any]) -> None:
        """Write the checkpoint of the run that makes `output`; raises LatxaError."""
        counts = {"read": self.counts.read, "written": self.counts.written, "rejected": dict(self.counts.rejected)}
        state = {"settings": settings, **vars(self), "counts": counts}
        write_file(state_of(output), orjson.dumps(state, default=str))


def state_of(output: Path) -> Path:
    """Return where the checkpoint of the run that makes `output` lies."""
    return output.with_name(output.name + ".part.state")


def interrupted(output: Path, files: Mapping[str, Path], settings: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint of an interrupted run that made `output`, if there is one.

    `files`: what this run writes, by flag. Rejects may be asked for from now on; all else must be as it was.

    Raises UsageError when it had other settings or files, LatxaError when what it had written is not there any more.
    """
    state = manifest.load(state_of(output))
    if state is None:
        return None
    is_written = state.get("complete") and not part_of(output).exists()
    if is_written and output.exists() and manifest.manifest_of(output).exists():
        return None  # the kill came at the very end: all is there
    hint = f"remove `{state_of(output)}` to start again"
    if different := manifest.difference(state.pop("settings", {}), settings):
        raise UsageError(f"{output}: the interrupted run had other settings: {different}", hint=hint)
    try:
        counts = state.pop("counts")
        point = Checkpoint(**state, counts=Counts(counts["read"], counts["written"], Counter(counts["rejected"])))
    except (KeyError, TypeError):
        raise LatxaError(f"{state_of(output)}: is no checkpoint", hint="remove it to start again") from None
    now = {flag: str(path) for flag, path in files.items()}
    for flag in sorted({*point.files, *now} - {MAIN}):
        before = point.files.get(flag)
        if before != now.get(flag) and not (before is None and flag == REJECTS):
            raise UsageError(f"{output}: the interrupted run had `{flag} {before or 'nothing'}`", hint=hint)
    for flag, length in point.lengths.items():
        _restore(files[flag], length, hint, complete=point.complete)
    return point


def _restore(path: Path, length: int, hint: str, *, complete: bool) -> None:
    """See that the unfinished file is there as far as the checkpoint says."""
    part = part_of(path)
    if complete and path.exists() and not part.exists():  # the kill came between two renames at the end
        path.replace(part)
    if not part.exists() or part.stat().st_size < length:
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
