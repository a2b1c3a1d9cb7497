"""`--resume`: whether the output is complete, and if not, where the interrupted run stood.

There are three ways to go on, one for each kind of work:

- record by record: a checkpoint in `FILE.part.state`, described here;
- in stages of many tasks: a file for each task that is done, in the folder of `stages.work`;
- by training steps: whole checkpoints of the model, in the folder of `training.checkpoints`.

The checkpoint is small, because outcomes are written in input order: the position in the input, the id of the last
record before it, the length of each output file, and the counts. It is removed when FILE is complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from latxa_cli.stream import manifest
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import part_of, write_file

MAIN, REJECTS = "-o", "--rejects"


@dataclass
class Counts:
    """The numbers of records that were read, written, rejected (by reason), and left out of a random subset."""

    read: int = 0
    written: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    not_taken: int = 0

    def as_dict(self) -> JsonObject:
        """Return the counts for a manifest."""
        counts = {"in": self.read, "out": self.written, "rejected": dict(sorted(self.rejected.items()))}
        return counts | ({"not taken": self.not_taken} if self.not_taken else {})

    def words(self, *, made: bool) -> list[str]:
        """Return the counts as phrases for people; `made`: the run writes records, so that those are counted too."""
        phrases = [f"{self.read:,} in" + (f", {self.written:,} out" if made else "")]
        if total := self.rejected.total():
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.most_common())
            phrases.append(f"{total:,} rejected ({reasons})")
        if self.not_taken:
            phrases.append(f"{self.not_taken:,} not taken")
        return phrases


@dataclass
class Checkpoint:
    """The state of a run after `position` outcomes, the last of them for the record `last`.

    - files, lengths: the output files, and the bytes written to each, by flag.
    - uses: the side inputs (model, shots), which must be the same when the run goes on.
    - complete: everything is written, and the files are about to get their names.
    - kept: facts that hold for the runs which continue this one too (`Run.keep`).
    """

    position: int = 0
    last: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    uses: list[JsonObject] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    complete: bool = False
    kept: JsonObject = field(default_factory=dict)

    def save(self, output: Path, settings: JsonObject) -> None:
        """Write the checkpoint of the run that makes `output`; raises LatxaError."""
        counts = {"read": self.counts.read, "written": self.counts.written, "rejected": dict(self.counts.rejected)}
        state = {"settings": settings, **vars(self), "counts": counts}
        write_file(state_of(output), orjson.dumps(state, default=str))


def state_of(output: Path) -> Path:
    """Return the path of the checkpoint of the run that makes `output`."""
    return output.with_name(output.name + ".part.state")


def interrupted(output: Path, files: Mapping[str, Path], settings: JsonObject) -> Checkpoint | None:
    """Return the checkpoint of an interrupted run that made `output`, if there is one.

    files: the output files of this run, by flag; they must be the same, except that `--rejects` may be new.

    Raises UsageError for other settings or files, LatxaError where a file that the run had written is gone.
    """
    state = manifest.load(state_of(output))
    if state is None:
        return None
    is_written = state.get("complete") and not part_of(output).exists()
    if is_written and output.exists() and manifest.manifest_of(output).exists():
        return None  # a kill after the last rename: the output is complete
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
    """Raise LatxaError unless the unfinished file is there, and at least as long as the checkpoint says."""
    part = part_of(path)
    if complete and path.exists() and not part.exists():  # a kill between two of the renames at the end
        path.replace(part)
    if not part.exists() or part.stat().st_size < length:
        raise LatxaError(f"{part}: what the interrupted run had written is not there any more", hint=hint)


def is_complete(output: Path, manifest_path: Path, settings: JsonObject, *, growing: Collection[str] = ()) -> bool:
    """Whether `output` is complete, with the same settings, from inputs that have not changed.

    With other settings of those in `growing`, such as more epochs, the run is to go on.

    Raises UsageError when it was made from other settings or inputs, or has changed itself since then.
    """
    written = manifest.load(manifest_path)
    if written is None or not output.exists():
        return False
    anew = "or choose another `-o`" if output.is_dir() else "choose another `-o`, or leave `--resume` out"
    hint, was = f"remove it, {anew}", written.get("settings", {})
    before, grown = ({name: given.get(name) for name in settings if name in growing} for given in (was, settings))
    if different := manifest.difference(was | grown, settings):
        raise UsageError(f"{output}: was made with other settings: {different}", hint=hint)
    outputs = written.get("outputs", [])
    if not all(Path(entry["path"]).exists() for entry in outputs):
        return False
    if changed := manifest.changed_file(outputs):
        hint = f"restore it, or remove `{output}` and `{manifest_path}` to make it anew"
        raise UsageError(f"{changed}: is not as the run that made it left it", hint=hint)
    if changed := manifest.changed_file(written.get("inputs", [])):
        raise UsageError(f"{output}: its input `{changed}` has changed since", hint=hint)
    return before == grown
