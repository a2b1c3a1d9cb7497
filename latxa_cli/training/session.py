"""A training run from end to end: load, prove, train, export. The pieces are in the other modules of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from latxa_cli import __version__
from latxa_cli.launch import Launch, alike
from latxa_cli.model import choose_device, directory_of, load_model, load_tokenizer, save_beside_weights, writing
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.terminal import Terminal, end_now
from latxa_cli.training import loop
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.checkpoints.export import export
from latxa_cli.training.config import TrainConfig, to_toml
from latxa_cli.training.data.prepare import digest_of
from latxa_cli.training.data.rows import PreparedRows
from latxa_cli.training.network import isolation, parameters
from latxa_cli.training.plan import TrainingPlan
from latxa_cli.training.processes import Processes, Watchdog
from latxa_cli.training.step_report import StepReport
from latxa_cli.training.tracking import Tracker, open_tracker, values_of
from latxa_cli.training.validation import ValidationSets

GIB = 1 << 30
LIBRARIES = ("torch", "transformers", "deepspeed", "peft", "liger-kernel")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model called `name` on its device, its tokenizer, and what will train it."""

    name: str
    model: Any
    tokenizer: Any
    processes: Processes
    backend: loop.Backend
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class RunListeners:
    """Who is told what: `report` of each line of metrics, `warn` of what went wrong and was mended, `give_up` why a
    run that hangs is ended (and a hint), which it then does."""

    report: loop.Report
    warn: Callable[[str], None]
    give_up: Callable[[str, str], None]


def listeners_on(terminal: Terminal, rows: PreparedRows, config: TrainConfig) -> RunListeners:
    """Return those by whom a run is told of on a terminal, and ended where it hangs."""
    return RunListeners(StepReport(terminal, TrainingPlan(len(rows), config).steps), terminal.say, end_now)


def load(
    name: str, config: TrainConfig, *, device: str | None, threads: int | None, trust_remote_code: bool = False,
    launch: Launch | None = None,
) -> LoadedModel:  # fmt: skip
    """Meet the other processes, read model and tokenizer, put the model on the device, set the number of CPU threads.

    `threads` None: as many as `latxa_cli.model.load_model` finds right for the model.

    Raises:
        LatxaError: one of them cannot be read, or the sequence is longer than the model's context; the other processes
            are not there.
        UsageError: there is no such device.
    """
    import torch

    launch = launch or Launch()
    place = choose_device(device)
    if place.type == "cuda" and place.index is None:
        place = torch.device("cuda", launch.local_rank)
        torch.cuda.set_device(place)
    processes = Processes(launch, place)
    backend = loop.open_backend(config, processes)
    tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code)
    frozen = config.dtype if config.lora_rank else "float32"  # what is not trained needs no more than is computed with
    with processes.reporting():  # shared-out weights are read by all together
        model = load_model(name, device=str(place), dtype=frozen, trust_remote_code=trust_remote_code)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context and config.sequence_length > context:
        raise LatxaError(
            f"`{name}` takes at most {context} tokens, `sequence_length` is {config.sequence_length}",
            hint=f"`--sequence-length {context}`",
        )
    if threads is not None:
        torch.set_num_threads(threads)
    elif place.type == "cpu" and launch.local_world > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // launch.local_world))
    return LoadedModel(name, model, tokenizer, processes, backend, trust_remote_code)


def check_rows(rows: PreparedRows, loaded: LoadedModel, name: str) -> None:
    """Raise LatxaError where rows that were prepared are not for this model; else it learns their chat template."""
    if rows.facts["tokenizer"] != digest_of(loaded.tokenizer):
        raise LatxaError(
            f"the data were prepared with the tokenizer of `{rows.facts['model']}`, and that of `{name}` is another",
            hint="prepare them again with this model",
        )
    loaded.tokenizer.chat_template = rows.facts["chat_template"]


def trainer_for(loaded: LoadedModel, rows: PreparedRows, config: TrainConfig) -> loop.Trainer:
    """Return what trains the model; raises UsageError for settings that the model does not take."""
    return loop.Trainer(
        loaded.model, rows, config, processes=loaded.processes, backend=loaded.backend, tokenizer=loaded.tokenizer
    )


def cost(loaded: LoadedModel, rows: PreparedRows, config: TrainConfig) -> list[str]:
    """Prove that packing is exact, do a few steps, and say what the whole run would take."""
    with loaded.processes.reporting():
        trainer = trainer_for(loaded, rows, config)
        difference = isolation.check(trainer.network, rows)
        estimate = loop.estimate(trainer)
    world, device = loaded.processes.world, trainer.device
    speed = f"{estimate.tokens_per_second:,.0f} tokens/s" + (f", MFU {estimate.mfu:.1%}" if estimate.mfu else "")
    trained = ""
    if estimate.trained_parameters != estimate.parameters:
        trained = f", {estimate.trained_parameters:,} of them trained"
    lines = [
        f"packed texts have the logits that they have alone (largest difference {difference:.1g}); attention "
        f"`{trainer.network.attention}`, kernels `{trainer.kernels}`",
        f"{estimate.steps:,} steps; {estimate.parameters:,} parameters{trained}",
        f"memory: {estimate.state_bytes / GIB:.2f} GiB for weights, gradients and moments"
        + (f", shared out among {world} processes" if world > 1 and config.backend == "deepspeed" else "")
        + f"; {estimate.peak_bytes / GIB:.2f} GiB at the peak of {loop.TRIAL_STEPS} steps",
        f"time: {estimate.seconds:,.0f} s at {speed}",
    ]
    if device.type == "cuda":
        lines.append(f"GPU-hours: {estimate.seconds * world / 3600:,.2f} on {world} GPU{'s' if world > 1 else ''}")
    return lines


def run(
    loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, directory: Path, *, resume: bool,
    listeners: RunListeners, validation: Mapping[str, PreparedRows] | None = None, track: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train and export into `directory`; return facts for the manifest. `track`: the name of a tracker, see `tracking`.

    `directory` then holds the model as transformers reads it, `README.md` (a model card), `metrics.jsonl` and
    `train.toml`; and the checkpoints, which the caller removes when all is done. Until then `resume` finds the last one
    and goes straight to the export.

    Raises:
        LatxaError: as `isolation.check`, `loop.train`, `checkpoint` and `export` do.
    """
    processes = loaded.processes
    watchdog = Watchdog(config.watchdog_minutes, listeners.give_up)
    tracker: Tracker | None = None

    def report(line: dict[str, Any]) -> None:
        watchdog.alive()
        if processes.is_first:
            listeners.report(line)
        if tracker:
            tracker.log(line["step"], values_of(line))

    try:
        with processes.reporting():
            with alike(processes.launch):
                trainer = trainer_for(loaded, rows, config)
                facts = _facts(loaded, rows, config, trainer)
                processes.agree({name: facts[name] for name in ("versions", "data", "settings")})
                isolation.check(trainer.network, rows)
                done = _begin(trainer, facts, loaded, directory, resume=resume, warn=listeners.warn)
            if track and processes.is_first:
                tracker = open_tracker(
                    track, directory, directory.name, facts["settings"], done=done, warn=listeners.warn
                )  # fmt: skip
            sets = ValidationSets(
                validation or {}, processes, loaded.tokenizer, batch_size=config.batch_size, alive=watchdog.alive
            )
            for _ in loop.train(trainer, directory, done=done, report=report, validation=sets):
                pass
    finally:
        watchdog.stop()
        if tracker:
            tracker.close()
    processes.part()
    if not processes.is_first:
        return {}
    exported = export(directory, directory, say=listeners.warn)
    with writing(directory):
        (directory / "train.toml").write_text(to_toml(config), encoding="utf-8")
    return exported | {
        "steps": exported["step"],
        "loss": last_loss(directory),
        "parameters": parameters.count(loaded.model),
        "trained_parameters": parameters.count(loaded.model, trained_only=True),
        "rows": len(rows),
        "tokens": rows.tokens,
        "trained_tokens": rows.trained,
        "fill": round(rows.fill, 4),
        "sources": rows.shares,
        **computing_facts(trainer),
    }


def computing_facts(trainer: loop.Trainer) -> dict[str, Any]:
    """Return how a run is computed, for the manifest."""
    import torch

    return {
        "backend": trainer.config.backend,
        "processes": trainer.processes.world,
        "attention": trainer.network.attention,
        "kernels": trainer.kernels,
        "threads": torch.get_num_threads(),
        "device": str(trainer.device),
    }


def summary(facts: Mapping[str, Any]) -> str:
    """Return what is said at the end of a run."""
    loss = "" if facts["loss"] is None else f", the loss of the last is {facts['loss']:.4f}"
    return f"{facts['steps']:,} steps{loss}"


def last_loss(directory: Path) -> float | None:
    """Return the loss of the last step; None where its metrics have got lost."""
    lines = (directory / loop.METRICS).read_text(encoding="utf-8").splitlines()
    return next((line["loss"] for line in map(json.loads, reversed(lines)) if "validation" not in line), None)


def _facts(loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, trainer: loop.Trainer) -> dict[str, Any]:
    """Return what a run is made of, as its checkpoints keep it."""
    processes = loaded.processes
    digest = checkpoint.digest_of_weights(directory_of(loaded.name)) if processes.is_first else ""
    prepared = {name: rows.facts[name] for name in ("model", "sequence_length")}
    return {
        "model": loaded.name,
        "trust_remote_code": loaded.trust_remote_code,
        "starting_model": processes.from_first(digest),
        "data": rows.digest,
        "settings": asdict(config) | {"lora_alpha": parameters.lora_alpha(config)},
        "parameters": {name: list(parameters.shape(held)) for name, held in trainer.backend.trained.items()},
        "prepared": {**prepared, "rows": len(rows), "fill": rows.fill, "sources": rows.shares},
        "versions": {"latxa": __version__} | _versions(),
        "processes": processes.world,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _begin(
    trainer: loop.Trainer, facts: dict[str, Any], loaded: LoadedModel, directory: Path, *, resume: bool,
    warn: Callable[[str], None],
) -> int:  # fmt: skip
    """Begin a run, or take over the newest checkpoint of the one to resume; return how many steps are done."""
    processes = trainer.processes
    goes_on = processes.from_first(resume and (checkpoint.folder(directory) / checkpoint.RUN).exists())
    if goes_on:
        names = ("starting_model", "data", "settings", "parameters")
        checkpoint.check_run(directory, {name: facts[name] for name in names})
        newest = checkpoint.newest(directory, processes, warn)
        return loop.go_on(trainer, newest) if newest else 0
    if processes.is_first:
        with writing(directory):

            def save_model(folder: Path) -> None:
                save_beside_weights(loaded.model, loaded.tokenizer, folder)

            checkpoint.begin(directory, facts, save_model)
    processes.wait()
    return 0
