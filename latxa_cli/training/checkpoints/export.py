"""A checkpoint to a usable model: `latxa export CHECKPOINT -o DIR`, and the end of every `latxa train`.

Trained parameters come from the checkpoint, and all others from the starting model, with the tensor names of its files.
There are two ways to write them.

- Tensor by tensor, with adapters (LoRA) merged on the way, so that no whole model is in memory.
- Through memory, at 2 or 4 bytes a parameter, where tensors of the files and parameters of transformers do not
  correspond: it fuses the experts of most mixtures as it loads them, and does not write all names that it reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latxa_cli.architecture import skeleton
from latxa_cli.model import (
    CONFIG,
    clear,
    copy_files,
    directory_of,
    has_chat_template,
    load_config,
    load_model,
    read_settings,
    synchronise,
    write_settings,
    writing,
)  # fmt: skip
from latxa_cli.model_files import IN_MEMORY, text_part, to_dtype
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import make_directory, write_file
from latxa_cli.training.checkpoints.card import card
from latxa_cli.training.checkpoints.saved_run import SavedCheckpoint, TrainedWeights, cast, choose, open_weights
from latxa_cli.training.network.parameters import is_linear, is_transposed
from latxa_cli.weights import FLOATS, INDEX, SHARD_BYTES, Entry, ShardWriter, Weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"float32": "F32", "bfloat16": "BF16"}  # by safetensors' names
CARD = "README.md"


def _silent(*_: object) -> None:
    pass


def export(
    checkpoint: Path, directory: Path, *, dtype: str | None = None, report: Callable[[int, int], None] = _silent,
    say: Callable[[str], None] = _silent, shard_bytes: int = SHARD_BYTES,
) -> JsonObject:  # fmt: skip
    """Write the model of a checkpoint into `directory`; the checkpoint is never changed.

    `config.json` is written last: without that file, nothing loads the directory as a model.

    Args:
        checkpoint: a `step-N` folder, or a run's directory, whose newest whole checkpoint is exported.
        directory: the output, which may be the run's own directory; model files in it are removed first.
        dtype: of the weights in the files, `float32` or `bfloat16`; None for that of the run.
        report: called after each tensor with the number of those done and of all.
        say: takes a line for each checkpoint that is passed over.
        shard_bytes: the most in one file.

    Returns:
        Facts for the manifest: checkpoint, step, starting model, dtype, numbers of tensors, of parameters and of files,
        and whether the weights were streamed.

    Raises:
        LatxaError: there is no whole checkpoint, the starting model is gone or has changed, or the disk is full.
    """
    saved = choose(checkpoint, say)
    dtype = dtype or saved.run["settings"]["dtype"]
    config = _configuration(saved, dtype)  # before the weights, which may take long
    sources = _sources(saved.run, dtype, open_weights(saved))
    origins = sources.origins()
    make_directory(directory)
    clear(directory)
    shutil.rmtree(directory / IN_MEMORY, ignore_errors=True)
    if origins is not None:
        entries = _stream(sources, origins, directory, report, shard_bytes)
    else:
        entries = _through_memory(sources, directory, shard_bytes)
        report(len(entries), len(entries))
    _rest(saved, directory, dtype, config)
    return {
        "checkpoint": str(saved.folder),
        "step": saved.step,
        "model": saved.run["model"],
        "dtype": dtype,
        "tensors": len(entries),
        "parameters": sum(entry.numbers for entry in entries),
        "files": len(list(directory.glob("model*.safetensors"))),
        "streamed": origins is not None,
    }


def check(run: JsonObject) -> None:
    """Find what would keep a run from its export, before its first step; raises LatxaError as `export` does.

    run: the facts of the run, as its checkpoints will have them.
    """
    _sources(run, run["settings"]["dtype"], None).origins()


def _sources(run: JsonObject, dtype: str, weights: Weights | None) -> ExportSources:
    start, network = _starting_model(run["model"]), _network(run)
    transposed = {
        f"{name}.{own}"
        for name, layer in network.named_modules()
        if is_transposed(layer)
        for own, _ in layer.named_parameters(recurse=False)
    }
    return ExportSources(run, TrainedWeights(run, weights, transposed), start, network, dtype)


def _starting_model(model: str) -> Weights:
    try:
        return Weights(directory_of(model), model)
    except LatxaError as error:
        raise LatxaError(
            f"the starting model of the run: {error.message}",
            hint="frozen weights come from it: put it back there, or call from the folder of the run",
        ) from None


def _network(run: JsonObject) -> PreTrainedModel:
    """Return the network with names, shapes and ties, but without numbers."""
    model, code = run["model"], run["trust_remote_code"]
    return skeleton(model, load_config(model, trust_remote_code=code), trust_remote_code=code)


@dataclass(frozen=True, slots=True)
class ExportSources:
    """The sources of an exported model.

    Attributes:
        run: the facts of the run.
        trained: its weights.
        start: the weights of the starting model.
        network: the network without numbers.
        dtype: of the output.
    """

    run: JsonObject
    trained: TrainedWeights
    start: Weights
    network: PreTrainedModel
    dtype: str

    def origins(self) -> dict[str, str | None] | None:
        """Return {tensor of the files: the trained parameter in it, or None for a frozen one}.

        The result is None where tensors and parameters do not correspond, and the model must be built in memory.

        Raises:
            LatxaError: an adapter belongs to a layer that is not linear, a tensor has another shape in the files, or a
                parameter is not in the starting model.
        """
        stored = _stored(self.network)
        parameters = {file: name for name, file in stored.items()}
        roots = self._roots(stored)
        self._check_adapters(roots)
        by_root = {roots.get(name, name): name for name in self.trained.names}
        origins: dict[str, str | None] = {}
        for file, entry in self.start.entries.items():
            name = parameters.get(file)
            if entry.dtype not in FLOATS:
                return None
            origin = name if name is None or name in self.trained.names else by_root.get(roots.get(name, name))
            if origin is not None and self.trained.shape(origin) != entry.shape:
                raise self.misfit(f"`{file}` is {list(entry.shape)} there, {list(self.trained.shape(origin))} trained")
            origins[file] = origin
        if self.trained.names <= set(origins.values()):
            return origins
        known = {name: value.shape for name, value in self.network.named_parameters(remove_duplicate=False)}
        for name in sorted(self.trained.names):
            if known.get(name) != self.trained.shape(name):
                raise self.misfit(f"`{name}` of shape {list(self.trained.shape(name))} is not in it")
        return None

    def _roots(self, stored: dict[str, str]) -> dict[str, str]:
        """Return {parameter: the one that it is tied to} for the pairs that are really tied."""
        roots = {}
        for name, root in self.network.all_tied_weights_keys.items():
            both = [stored[one] for one in (name, root) if stored.get(one) in self.start.entries]
            # transformers unties two that differ in the files.
            if len(both) < 2 or torch.equal(*(self.start.tensor(one) for one in both)):
                roots[name] = root
        return roots

    def _check_adapters(self, roots: dict[str, str]) -> None:
        modules = dict(self.network.named_modules())
        for name in self.trained.adapters.keys() - self.trained.experts:
            layer = modules.get(name.removesuffix(".weight"))
            if layer is None or not is_linear(layer):
                raise self.misfit(f"`{name}` is no linear layer there, and has an adapter")
            if name in roots:
                raise LatxaError(f"`{name}` has an adapter and is tied to `{roots[name]}`: they cannot be merged")

    def misfit(self, reason: str) -> LatxaError:
        """Return the error for a checkpoint and a starting model that do not fit each other."""
        model = self.run["model"]
        return LatxaError(f"what is trained does not fit `{model}`: {reason}", hint="is it the model of that run?")


def _stored(network: PreTrainedModel) -> dict[str, str]:
    """Return {parameter: its name in files}, without parameters that transformers converts as it loads them."""
    from transformers.core_model_loading import revert_weight_conversion

    own = {name: torch.empty_like(value) for name, value in network.named_parameters(remove_duplicate=False)}
    written = {id(value): name for name, value in revert_weight_conversion(network, dict(own)).items()}
    return {name: written[id(value)] for name, value in own.items() if id(value) in written}


# --- the weights


def _stream(
    sources: ExportSources, origins: dict[str, str | None], directory: Path, report: Callable[[int, int], None],
    shard_bytes: int,
) -> list[Entry]:  # fmt: skip
    """Write the weights tensor by tensor; return their entries."""
    planned = [entry._replace(dtype=DTYPES[sources.dtype]) for entry in sources.start.entries.values()]
    with ShardWriter(directory, planned, shard_bytes=shard_bytes) as writer:
        for number, entry in enumerate(planned, 1):
            writer.write(entry.name, _blocks(sources, entry.name, origins[entry.name]))
            report(number, len(planned))
        writer.finish()
    return planned


def _blocks(sources: ExportSources, file: str, origin: str | None) -> Iterator[Tensor]:
    tensor, dtype = sources.start.tensor(file), getattr(torch, sources.dtype)
    return cast(tensor, dtype) if origin is None else sources.trained.blocks(origin, tensor, dtype)


def _through_memory(sources: ExportSources, directory: Path, shard_bytes: int) -> list[Entry]:
    """Build the model in memory and let transformers write it; return the entries of its tensors.

    transformers writes into a folder of its own, since it writes `config.json` first.
    """
    from transformers import GenerationConfig

    run, trained = sources.run, sources.trained
    dtype = "float32" if trained.adapters else sources.dtype  # adapters are added in float32, and rounded once
    network = load_model(run["model"], device="cpu", dtype=dtype, trust_remote_code=run["trust_remote_code"])
    parameters = dict(network.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name in sorted(trained.names):
            flat, place = parameters[name].view(-1), 0
            for block in trained.blocks(name, parameters[name].clone(), parameters[name].dtype):
                flat[place : place + block.numel()] = block.view(-1)
                place += block.numel()
    to_dtype(network, sources.dtype)
    network.generation_config = GenerationConfig()  # transformers would check that of the run, which is copied anyway
    part = directory / IN_MEMORY
    with writing(directory):
        try:
            network.save_pretrained(part, max_shard_size=shard_bytes)
            written = list(Weights(part, str(part)).entries.values())
            for path in sorted(part.glob("model*.safetensors*"), key=lambda path: path.name == INDEX):
                path.chmod((part / CONFIG).stat().st_mode)  # safetensors makes its files private
                synchronise(path)
                path.replace(directory / path.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return written


# --- the files beside them


def _configuration(saved: SavedCheckpoint, dtype: str) -> JsonObject:
    """Return the configuration of the model; raises LatxaError where the run has none."""
    config = read_settings(saved.model_files / CONFIG)
    if not config:
        raise LatxaError(f"`{saved.model_files}` has no `{CONFIG}`", hint="it is written when a run begins")
    for part in (config, *config.values()):  # a model with a vision tower has a configuration for each part in it
        if isinstance(part, dict) and (part is config or {"dtype", "torch_dtype"} & part.keys()):
            part.pop("torch_dtype", None)
            part["dtype"] = dtype
    text_part(config)["use_cache"] = True  # training may have left False, with which generation is slow
    return config


def _rest(saved: SavedCheckpoint, directory: Path, dtype: str, config: JsonObject) -> None:
    """Write tokenizer, chat template, settings of generation and model card, and the configuration last.

    Raises LatxaError where the disk is full.
    """
    with writing(directory):
        copy_files(saved.model_files, directory, ("*", "*/*"), but=(CONFIG,))
        chats = has_chat_template(saved.model_files)
        write_file(directory / CARD, card(saved, dtype, name=directory.resolve().name, chats=chats).encode())
        write_settings(directory / CONFIG, config)
        synchronise(directory)
