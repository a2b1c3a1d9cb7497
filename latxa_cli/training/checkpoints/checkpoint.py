"""Checkpoints of a training run: the same for every backend and number of processes, written whole or not at all.

    DIR/checkpoints/latxa.lock          locked while a run uses the folder, so that two cannot
    DIR/checkpoints/run.json            what the run is made of
    DIR/checkpoints/model/              configuration, tokenizer, chat template of the model to be exported
    DIR/checkpoints/step-N/             after N optimiser steps; it has this name when it is complete
        weights-RRRRR.safetensors       float32: parameters that are trained, by name (tied ones once)
        moments-RRRRR.safetensors       float32: `NAME:exp_avg` and `NAME:exp_avg_sq` of the optimiser
        state.json                      N; size and digest (XXH3, 128 bits) of each file

Process R writes every parameter that is its turn. Random draws depend only on seed and step, so that the step is all
the state there is beside weights and moments. Nothing in a checkpoint is code.
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

from latxa_cli.model import read_settings, synchronise
from latxa_cli.stream import manifest
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.files import lock
from latxa_cli.training.config import WAYS_OF_COMPUTING
from latxa_cli.training.network import parameters
from latxa_cli.training.processes import Processes
from latxa_cli.weights import Entry, header

FORMAT = 1
KEPT = 2  # checkpoints that stay: the newest, and the one before it in case a disk loses the newest
FOLDER, LOCK, RUN, MODEL, STATE = "checkpoints", "latxa.lock", "run.json", "model", "state.json"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, by torch's names
KINDS = {"weights": ("",), "moments": MOMENTS}
READ_BYTES = 1 << 24


class ParameterStates(Protocol):
    """What a backend shows of itself to checkpoints."""

    trained: dict[str, Parameter]

    def state(self, parameter: Parameter) -> dict[str, Tensor]: ...

    def load(self, states: Mapping[str, Mapping[str, Tensor]], step: int) -> None: ...


def folder(directory: Path) -> Path:
    return directory / FOLDER


def complete(directory: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    found = [path for path in folder(directory).glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Keep other runs out of a directory; raises LatxaError where one is in there, or has just been."""
    place = folder(directory)
    descriptor = lock(place / LOCK)
    try:
        if manifest.load(manifest.manifest_of(directory)) is not None:
            remove(directory)
            raise LatxaError(f"`{directory}`: another run has just completed it")
        yield
    finally:
        os.close(descriptor)
        if place.is_dir() and [entry.name for entry in place.iterdir()] == [LOCK]:  # it did not come to begin
            shutil.rmtree(place)


def remove(directory: Path) -> None:
    """Remove all checkpoints: the run is complete, manifest and all."""
    for path in complete(directory):
        _discard(path)
    shutil.rmtree(folder(directory), ignore_errors=True)


# --- writing ---------------------------------------------------------------------------------------------------------


def begin(directory: Path, facts: Mapping[str, Any], save_model: Callable[[Path], Any]) -> None:
    """Remove all checkpoints; write what the new run is, and by `save_model` what its model needs beside weights."""
    folder(directory).mkdir(parents=True, exist_ok=True)
    (folder(directory) / RUN).unlink(missing_ok=True)  # first: without it there is nothing to resume
    for entry in folder(directory).iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
    save_model(folder(directory) / MODEL)
    path = folder(directory) / RUN
    path.write_text(json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    synchronise(path)


def save(directory: Path, step: int, backend: ParameterStates, processes: Processes) -> None:
    """Write the checkpoint of `step` (optimiser steps done) and remove all but the newest; all processes call it.

    It is written under another name, synchronised with the disk and renamed, so that a checkpoint that can be seen is
    complete.
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
        for old in complete(directory)[:-KEPT]:
            _discard(old)
    processes.wait()


def _discard(path: Path) -> None:
    """Remove a checkpoint, if it is there, so that a kill meanwhile leaves none that can be seen and is not whole."""
    if path.exists():
        gone = path.with_name(path.name + ".gone.part")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)  # what a network file system keeps for now goes with the next start


def _key(name: str, key: str) -> str:
    return f"{name}:{key}" if key else name


class TensorFile:
    """A safetensors file whose tensors, `planned`, are written one after another."""

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

    def finish(self) -> dict[str, Any]:
        """Close the file, wait until it is on the disk, and return its size and digest."""
        self._file.close()
        synchronise(self.path)
        return {"bytes": self.path.stat().st_size, "xxh3": self._digest.hexdigest()}


# --- reading ---------------------------------------------------------------------------------------------------------


def newest(directory: Path, processes: Processes, warn: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that is complete and undamaged, None when there is none; all processes call it.

    What is half written is removed; `warn` is told of each that is damaged and passed over, and why.
    """
    if processes.is_first:
        for part in folder(directory).glob("step-*.part"):
            shutil.rmtree(part)
    for path in reversed(processes.from_first(complete(directory))):
        reasons = [reason for reason in processes.all(_damage(path, processes)) if reason]
        if not reasons:
            return Path(path)
        if processes.is_first:
            warn(f"`{path}` is passed over: {reasons[0]}")
            path.rename(path.with_name(path.name + ".damaged"))
    return None


def _damage(path: Path, processes: Processes) -> str:
    """Return what is wrong with the files of a checkpoint that are this process's to look at, or nothing."""
    try:
        files = json.loads((path / STATE).read_text(encoding="utf-8"))["files"]
        for turn, (name, expected) in enumerate(sorted(files.items())):
            if turn % processes.world == processes.rank and (wrong := damage_of(path / Path(name).name, expected)):
                return wrong
        held, run = CheckpointReader(path), read_settings(path.parent / RUN)
        if lacking := [name for name in run.get("parameters", ()) if not held.has(name)]:
            return f"it lacks `{lacking[0]}`"
    except LatxaError as error:
        return error.message
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"`{STATE}` cannot be read"
    return ""


def damage_of(path: Path, expected: Mapping[str, Any]) -> str:
    """Return what is wrong with a file whose size and digest are known, or nothing."""
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
    """The states in a checkpoint by name of parameter, read as they are asked for, from mapped files."""

    def __init__(self, path: Path) -> None:
        """Raises LatxaError for a file that cannot be read."""
        self._files: dict[str, Any] = {}
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
        """Whether weight and moments of a parameter are there."""
        return all(_key(name, key) in self._files for kind in KINDS.values() for key in kind)

    def __iter__(self) -> Any:
        return (name for name in self._files if ":" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_run(directory: Path, made_of: Mapping[str, Any]) -> None:
    """Compare what a run was begun with and what it shall go on with.

    Raises:
        LatxaError: it was begun with another model, other data or other settings.
    """
    path = folder(directory) / RUN
    begun = read_settings(path)
    if begun.get("format") != FORMAT:
        raise LatxaError(f"`{path}` is of another version of `latxa`", hint=f"remove `{directory}` to start again")
    different = [
        name.replace("_", " ") for name, value in made_of.items() if _learnt(begun.get(name)) != _learnt(value)
    ]
    if different:
        raise LatxaError(
            f"`{path.parent}` is of a run with other {' and '.join(different)}",
            hint=f"remove `{directory}` to start again, or give what it was begun with",
        )


def _learnt(value: Any) -> Any:
    """Return settings without those that do not change what is learnt; other values as they are."""
    if not isinstance(value, dict):
        return value
    return {name: held for name, held in value.items() if name not in WAYS_OF_COMPUTING}


def digest_of_weights(directory: Path) -> str:
    """Return a digest of the weights in a model directory, all bytes of them."""
    digest = xxhash.xxh3_128()
    for path in sorted(directory.glob("*.safetensors")):
        digest.update(path.name.encode())
        _add_bytes(digest, path)
    return digest.hexdigest()


def _add_bytes(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
