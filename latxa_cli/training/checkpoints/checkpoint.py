"""Checkpoints of a training run, the same for every backend and number of processes.

    DIR/checkpoints/latxa.lock          locked while a run uses the folder, so that no other can
    DIR/checkpoints/run.json            the facts that define the run
    DIR/checkpoints/model/              configuration, tokenizer, chat template of the model to export
    DIR/checkpoints/step-N/             after N optimiser steps; it has this name when it is complete
        weights-RRRRR.safetensors       float32: trained parameters by name, tied ones once
        moments-RRRRR.safetensors       float32: `NAME:exp_avg` and `NAME:exp_avg_sq` of the optimiser
        state.json                      N; size and digest (XXH3, 128 bits) of each file

Parameters are dealt to the processes in turn; process R writes its own into the files of that number. Random draws
depend only on seed and step, so that weights, moments and the step are all the state there is. A checkpoint holds no
code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.model import read_settings, synchronise, write_settings
from latxa_cli.stream import manifest
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.files import lock
from latxa_cli.stream.records import JsonObject
from latxa_cli.training.config import LENGTH, WAYS_OF_COMPUTING
from latxa_cli.training.network import parameters
from latxa_cli.training.processes import Processes
from latxa_cli.weights import Entry, header

FORMAT = 1
KEPT = 2  # checkpoints that stay by default: the newest, and one more in case the disk loses that
FOLDER, LOCK, RUN, MODEL, STATE = "checkpoints", "latxa.lock", "run.json", "model", "state.json"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, by torch's names
KINDS = {"weights": ("",), "moments": MOMENTS}  # in files of their own, since an export needs the weights only
READ_BYTES = 1 << 24  # of a file at a time, for its digest


class ParameterStates(Protocol):
    """The part of a backend that checkpoints need."""

    trained: dict[str, Parameter]

    def state(self, parameter: Parameter) -> dict[str, Tensor]: ...

    def load(self, states: Mapping[str, Mapping[str, Tensor]], step: int) -> None: ...


def folder(directory: Path) -> Path:
    """Return the folder of a run's checkpoints."""
    return directory / FOLDER


def complete(directory: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    paths = [path for path in folder(directory).glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(paths, key=step_of)


def step_of(path: Path) -> int:
    """Return the number of steps of a checkpoint."""
    return int(path.name.removeprefix("step-"))


@contextmanager
def occupied(directory: Path, *, looks: bool = False) -> Iterator[None]:
    """Keep other runs out of a directory; raises LatxaError where one uses it, or has completed it for good.

    looks: nothing is made for it, as a dry run wants it.
    """
    place = folder(directory)
    descriptor = lock(place / LOCK) if place.is_dir() or not looks else None
    try:
        if manifest.load(manifest.manifest_of(directory)) is not None and not (place / RUN).exists():
            raise LatxaError(
                f"`{directory}` is complete, and no checkpoint is left from which it could go on",
                hint="`--keep 1` keeps the last one",
            )
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if place.is_dir() and [entry.name for entry in place.iterdir()] == [LOCK]:  # the run has not begun
            shutil.rmtree(place)


def remove(directory: Path) -> None:
    """Remove all checkpoints, when the run and its manifest are complete."""
    for path in complete(directory):
        _discard(path)
    shutil.rmtree(folder(directory), ignore_errors=True)


# --- writing ---------------------------------------------------------------------------------------------------------


def begin(directory: Path, facts: Mapping[str, Any], save_model: Callable[[Path], Any]) -> None:
    """Remove all checkpoints and begin a new run.

    Args:
        directory: the output of the run.
        facts: those that define the run.
        save_model: writes the files of the model beside its weights into a folder.
    """
    folder(directory).mkdir(parents=True, exist_ok=True)
    (folder(directory) / RUN).unlink(missing_ok=True)  # first, since a kill from now on leaves nothing to resume
    for entry in folder(directory).iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
    save_model(folder(directory) / MODEL)
    path = folder(directory) / RUN
    path.write_text(json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    synchronise(path)


def save(directory: Path, step: int, backend: ParameterStates, processes: Processes, *, keep: int = 0) -> None:
    """Write the checkpoint after `step` optimiser steps; every process calls it.

    Only the `keep` newest checkpoints stay, by default `KEPT`.
    It gets its name when all its files are synchronised with the disk, so that a checkpoint with this name is complete.
    """
    final = folder(directory) / f"step-{step}"
    part = final.with_name(final.name + ".part")
    if processes.is_first:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    processes.wait()
    mine = [name for turn, name in enumerate(backend.trained) if turn % processes.world == processes.rank]
    shapes = {name: parameters.shape(backend.trained[name]) for name in mine}
    files = [
        TensorFile(
            part / f"{kind}-{processes.rank:05}.safetensors",
            [Entry(_key(name, key), "F32", shapes[name]) for name in mine for key in keys],
        )
        for kind, keys in KINDS.items()
    ]
    for name, parameter in backend.trained.items():
        state = backend.state(parameter)  # a collective: every process asks for every parameter
        if name in shapes:
            for file, keys in zip(files, KINDS.values(), strict=True):
                for key in keys:
                    file.write(state[key].float().cpu())
    written = {file.path.name: file.finish() for file in files}
    for others in processes.all(written):
        written |= others
    if processes.is_first:
        state_file = part / STATE
        state_file.write_text(json.dumps({"step": step, "files": written}, indent=1) + "\n", encoding="utf-8")
        synchronise(state_file)
        synchronise(part)
        _discard(final)
        part.rename(final)
        synchronise(final.parent)
        for old in complete(directory)[: -(keep or KEPT)]:
            _discard(old)
    processes.wait()


def _discard(path: Path) -> None:
    """Remove a checkpoint, if it exists, under another name: a kill meanwhile leaves no half of it as a checkpoint."""
    if path.exists():
        gone = path.with_name(path.name + ".gone.part")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)  # files that a network file system keeps go with the next start


def _key(name: str, key: str) -> str:
    return f"{name}:{key}" if key else name


class TensorFile:
    """A safetensors file that gets its tensors, `planned`, one after another."""

    def __init__(self, path: Path, planned: Iterable[Entry]) -> None:
        self.path = path
        self._digest = xxhash.xxh3_128()
        self._file = path.open("wb")
        self._write(header(list(planned)))

    def write(self, tensor: Tensor) -> None:
        self._write(memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy()))  # type: ignore[arg-type]

    def _write(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._file.write(data)

    def finish(self) -> JsonObject:
        """Close the file, wait until it is on the disk, and return its size and digest."""
        self._file.close()
        synchronise(self.path)
        return {"bytes": self.path.stat().st_size, "xxh3": self._digest.hexdigest()}


# --- reading ---------------------------------------------------------------------------------------------------------


def newest(directory: Path, processes: Processes, warn: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that is complete and undamaged, or None; every process calls it.

    `warn` takes a line with the damage of each that is newer.
    """
    for path in reversed(processes.from_first(complete(directory))):
        reasons = [reason for reason in processes.all(_damage(path, processes)) if reason]
        if not reasons:
            return Path(path)
        if processes.is_first:
            warn(f"`{path}` is passed over: {reasons[0]}")
    return None


def clean(directory: Path, newest: Path | None) -> None:
    """Remove unfinished checkpoints, and rename damaged ones, which are newer than the `newest` whole one."""
    for part in folder(directory).glob("step-*.part"):
        shutil.rmtree(part)
    for path in complete(directory):
        if newest is None or step_of(path) > step_of(newest):
            path.rename(path.with_name(path.name + ".damaged"))


def _damage(path: Path, processes: Processes) -> str:
    """Return the damage of a checkpoint, or an empty text; each process checks its share of the files."""
    try:
        files = json.loads((path / STATE).read_text(encoding="utf-8"))["files"]
        for turn, (name, expected) in enumerate(sorted(files.items())):
            if turn % processes.world == processes.rank and (damage := damage_of(path / Path(name).name, expected)):
                return damage
        states, run = CheckpointReader(path), read_settings(path.parent / RUN)
        if lacking := [name for name in run.get("parameters", ()) if not states.has(name)]:
            return f"it lacks `{lacking[0]}`"
    except LatxaError as error:
        return error.message
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"`{STATE}` cannot be read"
    return ""


def damage_of(path: Path, expected: Mapping[str, Any]) -> str:
    """Return the damage of a file with a known size and digest, or an empty text."""
    try:
        if (size := path.stat().st_size) != expected["bytes"]:
            return f"`{path.name}` has {size:,} bytes, not {expected['bytes']:,}"
        digest = xxhash.xxh3_128()
        _add_bytes(digest, path)
    except FileNotFoundError:
        return f"`{path.name}` is missing"
    except OSError as error:
        return f"`{path.name}`: {error.strerror}"
    whole = digest.hexdigest() == expected["xxh3"]
    return "" if whole else f"`{path.name}` is damaged: another digest than `{STATE}` says"


class CheckpointReader(Mapping[str, Mapping[str, Tensor]]):
    """The states in a checkpoint by name of parameter, read on demand from mapped files."""

    def __init__(self, path: Path) -> None:
        """Map the files of a checkpoint; raises LatxaError for one that cannot be read."""
        self._files: dict[str, safe_open] = {}
        try:
            for file in sorted(path.glob("*.safetensors")):
                opened = safe_open(file, "pt")
                self._files |= dict.fromkeys(opened.keys(), opened)
        except (OSError, SafetensorError) as error:
            raise LatxaError(f"`{path}`: a file cannot be read: {error}") from None

    def __getitem__(self, name: str) -> Mapping[str, Tensor]:
        keys = [key for kind in KINDS.values() for key in kind]
        return {key: self._files[_key(name, key)].get_tensor(_key(name, key)) for key in keys}

    def has(self, name: str) -> bool:
        """Whether the checkpoint has the weight and both moments of a parameter."""
        return all(_key(name, key) in self._files for kind in KINDS.values() for key in kind)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._files if ":" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_run(directory: Path, facts: Mapping[str, Any]) -> JsonObject:
    """Compare the facts of the run in `directory` with those of the run that would resume it, and return the former.

    Raises:
        LatxaError: the model, the data or the settings differ.
    """
    path = folder(directory) / RUN
    begun = read_settings(path)
    if begun.get("format") != FORMAT:
        raise LatxaError(f"`{path}` is of another version of `latxa`", hint=f"remove `{directory}` to start again")
    changes = {name: (_decisive(begun.get(name, {})), _decisive(value)) for name, value in facts.items()}
    different = {name: change for name, change in changes.items() if change[0] != change[1]}
    if different:
        names = " and ".join(name.replace("_", " ") for name in different)
        which = f": {manifest.difference(*different['settings'])}" if "settings" in different else ""
        raise LatxaError(
            f"`{path.parent}` is of a run with other {names}{which}",
            hint=f"remove `{directory}` to start again, or give what it was begun with",
        )
    return begun


def _decisive(value: Any) -> Any:
    """Return settings without those that may differ when a run goes on; other values unchanged."""
    if not isinstance(value, dict):
        return value
    return {name: setting for name, setting in value.items() if name not in (*WAYS_OF_COMPUTING, *LENGTH)}


def lengthen(directory: Path, begun: JsonObject, settings: JsonObject, step: int) -> None:
    """Note in the facts of the run that from `step` on it has these settings, with another number of steps.

    `lengths` then holds, for each time before, the step up to which it held and the settings of that length.
    """
    before = {"step": step} | {name: begun["settings"].get(name) for name in LENGTH}
    facts = {**begun, "settings": settings, "lengths": [*begun.get("lengths", []), before]}
    write_settings(folder(directory) / RUN, facts)
    manifest.manifest_of(directory).unlink(missing_ok=True)  # it says that a shorter run is complete


def digest_of_weights(directory: Path) -> str:
    """Return a digest of all bytes of the weights in a model directory."""
    digest = xxhash.xxh3_128()
    for path in sorted(directory.glob("*.safetensors")):
        digest.update(path.name.encode())
        _add_bytes(digest, path)
    return digest.hexdigest()


def _add_bytes(digest: xxhash.xxh3_128, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
