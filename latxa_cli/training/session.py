"""A training run from end to end: load, prove, train, export; the other modules of this room hold the parts."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latxa_cli import __version__
from latxa_cli.launch import Launch, alike
from latxa_cli.model import choose_device, directory_of, load_model, load_text_config, writing
from latxa_cli.model_files import save_beside_weights
from latxa_cli.stream.errors import LatxaError, UsageError, first_line
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.stream.terminal import Terminal, end_now
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training import loop
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.checkpoints import export as exports
from latxa_cli.training.config import LENGTH, TrainConfig, to_toml
from latxa_cli.training.data.prepare import digest_of
from latxa_cli.training.data.rows import PreparedRows
from latxa_cli.training.metrics import METRICS
from latxa_cli.training.network import isolation, parameters
from latxa_cli.training.plan import TrainingPlan
from latxa_cli.training.processes import Processes, Watchdog
from latxa_cli.training.step_report import StepReport
from latxa_cli.training.tracking import Tracker, open_tracker, values_of
from latxa_cli.training.validation import ValidationSets

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LIBRARIES = ("torch", "transformers", "deepspeed", "peft", "liger-kernel")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model on its device, by its name, with its tokenizer, its processes and the backend that trains it."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    processes: Processes
    backend: loop.Backend
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class RunListeners:
    """The callers' side of a run.

    Attributes:
        report: takes each line of metrics.
        warn: takes a line about a fault that the run has survived.
        give_up: takes an error and a hint, and ends a run that hangs.
    """

    report: loop.Report
    warn: Callable[[str], None]
    give_up: Callable[[str, str], None]


def listeners_on(terminal: Terminal, rows: PreparedRows, config: TrainConfig) -> RunListeners:
    """Return listeners that write to a terminal, and end the process where it hangs."""
    return RunListeners(StepReport(terminal, TrainingPlan(len(rows), config).steps), terminal.say, end_now)


def load(
    name: str, config: TrainConfig, *, device: str | None, threads: int | None, trust_remote_code: bool = False,
    launch: Launch | None = None,
) -> LoadedModel:  # fmt: skip
    """Meet the other processes, load the tokenizer and the model onto the device, and set the number of CPU threads.

    With `threads` None, `latxa_cli.model.load_model` chooses by the size of the model.

    Raises:
        LatxaError: the model or tokenizer cannot be read, the sequence is longer than the model's context, or another
            process does not come.
        UsageError: there is no such device.
    """
    launch = launch or Launch()
    with alike(launch):
        context = getattr(load_text_config(name, trust_remote_code=trust_remote_code), "max_position_embeddings", None)
        if context and config.sequence_length > context:
            raise LatxaError(
                f"`{name}` takes at most {context} tokens, `sequence_length` is {config.sequence_length}",
                hint=f"`--sequence-length {context}`",
            )
    place = choose_device(device)
    if place.type == "cuda" and place.index is None:
        place = torch.device("cuda", launch.local_rank)
        torch.cuda.set_device(place)
    processes = Processes(launch, place)
    backend = loop.open_backend(config, processes)
    tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code)
    dtype = config.dtype if config.lora_rank else "float32"  # frozen weights need no wider dtype than that of computing
    with processes.reporting():  # ZeRO-3 reads weights in all processes together
        model = load_model(name, device=str(place), dtype=dtype, trust_remote_code=trust_remote_code)
    if threads is not None:
        torch.set_num_threads(threads)
    elif place.type == "cpu" and launch.local_world > 1:  # the processes of a machine share its cores
        torch.set_num_threads(max(1, torch.get_num_threads() // launch.local_world))
    return LoadedModel(name, model, tokenizer, processes, backend, trust_remote_code)


def check_rows(rows: PreparedRows, loaded: LoadedModel, name: str) -> None:
    """Give the model's tokenizer the chat template of the rows; raises LatxaError for rows of another tokenizer."""
    if rows.facts["tokenizer"] != digest_of(loaded.tokenizer):
        raise LatxaError(
            f"the data were prepared with the tokenizer of `{rows.facts['model']}`, and that of `{name}` is another",
            hint="prepare them again with this model",
        )
    loaded.tokenizer.chat_template = rows.facts["chat_template"]


def trainer_for(loaded: LoadedModel, rows: PreparedRows, config: TrainConfig) -> loop.Trainer:
    """Return the trainer of the model; raises UsageError for settings that the model does not allow."""
    return loop.Trainer(
        loaded.model, rows, config, processes=loaded.processes, backend=loaded.backend, tokenizer=loaded.tokenizer
    )


@dataclass(frozen=True, slots=True)
class ReadyRun:
    """A run that could do its first step: what would keep it from that, or from its end, has been looked for.

    Attributes:
        trainer: of the model.
        proof: of the texts in rows.
        facts: those that define the run.
        begun: the facts of the run that it goes on with, if there is one.
        newest: the newest whole checkpoint of that run, if there is one.
    """

    trainer: loop.Trainer
    proof: isolation.Proof
    facts: JsonObject
    begun: JsonObject | None = None
    newest: Path | None = None

    @property
    def done(self) -> int:
        """The steps done before."""
        return checkpoint.step_of(self.newest) if self.newest else 0


def prepare(
    loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, directory: Path, *, resume: bool,
    warn: Callable[[str], None],
) -> ReadyRun:  # fmt: skip
    """Prepare a run as far as it goes without writing anything; `warn` takes lines for people.

    Raises:
        UsageError: the model does not allow these settings; or a run to resume has done more steps than it is to have.
        LatxaError: as `_prove`, `Processes.agree`, `exports.check` and `checkpoint.check_run` do.
    """
    processes = loaded.processes
    trainer = trainer_for(loaded, rows, config)
    facts = _facts(loaded, rows, config, trainer)
    processes.agree({name: facts[name] for name in ("versions", "data", "settings")})
    exports.check(facts)
    for note in trainer.notes:
        warn(note)
    proof = _prove(trainer, processes)
    if proof.note:
        warn(proof.note)
    facts["packing"] = packing_of(trainer)
    if not processes.from_first(resume and (checkpoint.folder(directory) / checkpoint.RUN).exists()):
        return ReadyRun(trainer, proof, facts)
    names = ("starting_model", "data", "settings", "parameters")
    begun = processes.from_first(checkpoint.check_run(directory, {name: facts[name] for name in names}))
    ready = ReadyRun(trainer, proof, facts, begun, checkpoint.newest(directory, processes, warn))
    if line := _lengthening(ready, begun):
        warn(line)
    return ready


def _prove(trainer: loop.Trainer, processes: Processes) -> isolation.Proof:
    """Return what `isolation.choose` finds; raises LatxaError as it does, or where a model cannot compute."""
    try:
        return isolation.choose(trainer.network, trainer.rows, trainer.config.packing, processes)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        found_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if found_in.is_relative_to(Path(__file__).parents[1]) or isinstance(error, torch.OutOfMemoryError):
            raise
        shared = trainer.config.shares_weights  # DeepSpeed gathers none that code reads from another module (Gemma 4)
        what = "does not compute" + (" with weights that are shared out" if shared else "")
        raise LatxaError(
            f"`{trainer.model.config.model_type}` {what}: {first_line(error)}",
            hint="`zero_stage = 2`" if shared else "is its `config.json` whole?",
        ) from None


def run(
    loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, directory: Path, *, resume: bool,
    listeners: RunListeners, validation: Mapping[str, PreparedRows] | None = None, track: str | None = None,
) -> JsonObject:  # fmt: skip
    """Train and export into `directory`; return facts for the manifest.

    `directory` then holds the model as transformers reads it, `README.md` (a model card), `metrics.jsonl`, `train.toml`
    and the checkpoints. The caller removes those at the very end. Until then a resumed run finds the last one, and goes
    straight to the export.

    Args:
        loaded: the model.
        rows: the data.
        config: the settings.
        directory: the output.
        resume: whether to continue from the newest checkpoint.
        listeners: see `RunListeners`.
        validation: rows by the name of the set.
        track: the name of a tracker, see `tracking`.

    Raises:
        LatxaError: as `_prove`, `loop.train`, `checkpoint` and `export` do.
    """
    processes = loaded.processes
    watchdog = Watchdog(config.watchdog_minutes, listeners.give_up)
    tracker: Tracker | None = None

    def report(line: Record) -> None:
        watchdog.alive()
        if processes.is_first:
            listeners.report(line)
        if tracker:
            tracker.log(line["step"], values_of(line))

    try:
        with _reporting_interruption(processes, directory, listeners.warn), processes.reporting():
            with alike(processes.launch):
                warn = listeners.warn if processes.is_first else lambda _: None
                ready = prepare(loaded, rows, config, directory, resume=resume, warn=warn)
                trainer, done = ready.trainer, ready.done
                if ready.begun:
                    _go_on(ready, ready.begun, directory)
                else:
                    begin(ready, loaded, directory)
            if track and processes.is_first:
                settings = ready.facts["settings"]
                tracker = open_tracker(track, directory, directory.name, settings, done=done, warn=listeners.warn)
            sets = ValidationSets(
                validation or {}, processes, loaded.tokenizer, batch_size=config.batch_size, alive=watchdog.alive
            )
            for _ in loop.train(trainer, directory, done=done, report=report, validation=sets):
                pass
    finally:
        watchdog.stop()
        if tracker:
            tracker.close()
    processes.leave()  # before the export, so that the others need not wait for it
    if not processes.is_first:
        return {}
    exported = exports.export(directory, directory, say=listeners.warn)
    with writing(directory):
        (directory / "train.toml").write_text(to_toml(config), encoding="utf-8")
    facts = {"steps": exported["step"], "loss": last_loss(directory), **_result_facts(loaded, rows)}
    facts |= {"resolved": asdict(config)}
    return exported | facts | computing_facts(trainer)


@contextmanager
def _reporting_interruption(processes: Processes, directory: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Say from which step a run that is interrupted can go on; only the first process of a machine reports that end."""
    try:
        yield
    except KeyboardInterrupt:
        if processes.is_first and (found := checkpoint.complete(directory)):
            warn(f"the newest checkpoint is that of step {checkpoint.step_of(found[-1]):,}")
        with alike(processes.launch):
            raise


def _result_facts(loaded: LoadedModel, rows: PreparedRows) -> JsonObject:
    """Return the facts about model and data, for the manifest."""
    return {
        "parameters": parameters.count(loaded.model),
        "trained_parameters": parameters.count(loaded.model, trained_only=True),
        "rows": len(rows),
        "tokens": rows.tokens,
        "trained_tokens": rows.trained,
        "fill": round(rows.fill, 4),
        "sources": rows.shares,
    }


def computing_facts(trainer: loop.Trainer) -> JsonObject:
    """Return the facts about backend and hardware, for the manifest."""
    return {
        "backend": trainer.config.backend,
        "processes": trainer.processes.world,
        "packing": packing_of(trainer),
        "attention": trainer.network.attention,
        "kernels": trainer.kernels,
        "threads": torch.get_num_threads(),
        "device": str(trainer.device),
    }


def packing_of(trainer: loop.Trainer) -> str:
    """Return how the trainer computes the texts of a row: `packed`, or else `unpacked`."""
    return "packed" if trainer.network.packed else "unpacked"


def summary(facts: Mapping[str, Any]) -> str:
    """Return the line for people at the end of a run."""
    loss = "" if facts["loss"] is None else f", the loss of the last is {facts['loss']:.4f}"
    return f"{facts['steps']:,} steps{loss}"


def last_loss(directory: Path) -> float | None:
    """Return the loss of the last step, or None where its metrics are lost."""
    lines = (directory / METRICS).read_text(encoding="utf-8").splitlines()
    return next((line["loss"] for line in map(json.loads, reversed(lines)) if "validation" not in line), None)


def _facts(loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, trainer: loop.Trainer) -> JsonObject:
    """Return the facts that define a run, for its checkpoints."""
    processes = loaded.processes
    digest = checkpoint.digest_of_weights(directory_of(loaded.name)) if processes.is_first else ""
    prepared = {name: rows.facts[name] for name in ("model", "sequence_length")}
    return {
        "model": loaded.name,
        "trust_remote_code": loaded.trust_remote_code,
        "starting_model": processes.from_first(digest),
        "data": rows.digest,
        "settings": asdict(config) | {"lora_alpha": parameters.lora_alpha(config)},
        "parameters": {name: list(parameters.shape(value)) for name, value in trainer.backend.trained.items()},
        "expert_adapters": parameters.expert_adapters(loaded.model),
        "prepared": {**prepared, "rows": len(rows), "fill": rows.fill, "sources": rows.shares},
        "versions": {"latxa": __version__} | _versions(),
        "processes": processes.world,
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def begin(ready: ReadyRun, loaded: LoadedModel, directory: Path) -> None:
    """Begin a new run in `directory`; raises LatxaError where that cannot be written, or the model's files not read."""
    if ready.trainer.processes.is_first:
        with writing(directory):

            def save_model(folder: Path) -> None:
                start = directory_of(loaded.name)
                save_beside_weights(loaded.model, loaded.tokenizer, folder, start, same_tokenizer=True)

            checkpoint.begin(directory, ready.facts, save_model)
    ready.trainer.processes.wait()


def _go_on(ready: ReadyRun, begun: JsonObject, directory: Path) -> None:
    """Load the newest checkpoint of a run that was `begun` before."""
    processes = ready.trainer.processes
    if processes.is_first:
        checkpoint.clean(directory, ready.newest)
    processes.wait()
    if ready.newest:
        loop.go_on(ready.trainer, ready.newest)
    if processes.is_first and _lengthening(ready, begun):
        checkpoint.lengthen(directory, begun, ready.facts["settings"], ready.done)


def _lengthening(ready: ReadyRun, begun: JsonObject) -> str:
    """Return a line for people where a run that goes on is to have another number of steps than when it began.

    Raises UsageError where it has done more than that.
    """
    before = {name: begun["settings"].get(name, getattr(TrainConfig(), name)) for name in LENGTH}
    if all(ready.facts["settings"][name] == value for name, value in before.items()):
        return ""
    plan, done = ready.trainer.plan, ready.done
    steps = TrainingPlan(plan.rows, replace(plan.config, **before)).steps
    if done > plan.steps:
        raise UsageError(
            f"the run has done {done:,} steps, and is to have {plan.steps:,}",
            hint=f"`--max-steps {done}` ends it there",
        )
    return (
        f"the run was to have {steps:,} steps and is to have {plan.steps:,}; from step {done:,} on, the learning rate "
        "is that of a run of this length"
    )
