"""`latxa train`: one run of training on documents and conversations."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from latxa_cli.options import (
    ChatLoss,
    ChatTemplate,
    Device,
    DryRun,
    FoldSystem,
    Model,
    Run,
    TemplateDate,
    TrustRemoteCode,
    Workers,
    argument,
    excludes,
    flag,
    verb,
)  # fmt: skip

Sources = Annotated[list[str] | None, argument("Directories of `latxa prepare`; or files, folders, `-`.", "SOURCE")]
# Without a default, since a flag that is given wins over the setting of the same name in the file of `--config`.
ConfigFile = Annotated[Path | None, flag("A TOML file of settings; flags win over it.", metavar="FILE")]
Epochs = Annotated[float | None, flag("Passes over the data. [default: 1]", metavar="X")]
MaxSteps = Annotated[int | None, flag("Steps of the whole run, in place of `--epochs`.", metavar="N", min=1)]
LearningRate = Annotated[float | None, flag("The peak of the learning rate. [default: 1e-5]", metavar="X")]
SequencesPerStep = Annotated[int | None, flag("Sequences in one step, over all processes. [default: 8]", metavar="N")]
Batch = Annotated[int | None, flag("Sequences in one forward pass; no effect on the result. [default: 8]", metavar="N")]
SequenceLength = Annotated[int | None, flag("Tokens of a packed sequence. [default: 1024]", metavar="N")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, flag("Type of computing and weights. [default: float32]")]
Packing = Annotated[
    Literal["auto", "always", "never"] | None, flag("All texts of a row in one pass. [default: auto, if exact]")
]
Seed = Annotated[int | None, flag("Seed of every random draw. [default: 0]", metavar="N")]
LoraRank = Annotated[int | None, flag("Train low-rank adapters of this rank. [default: 0, none]", metavar="N")]
BackendName = Annotated[Literal["torch", "deepspeed"] | None, flag("The training library. [default: torch]")]
CheckpointEvery = Annotated[int | None, flag("Steps between checkpoints; 0: the last. [default: 500]", metavar="N")]
Keep = Annotated[int | None, flag("Checkpoints to keep, also at the end. [default: 2, none at the end]", min=1)]
ValidationFiles = Annotated[list[str] | None, flag("Data for a validation loss; repeat it.", metavar="NAME=FILE")]
Track = Annotated[Literal["tensorboard", "wandb", "trackio"] | None, flag("Show metrics there too.")]
Threads = Annotated[int | None, flag("CPU threads. [default: 1 for a small model, else all]", min=1)]


@verb(
    makes="directory", distributed=True, growing=("epochs", "max_steps"), conditions=[excludes("max_steps", "epochs")]
)
def train(
    run: Run, sources: Sources = None, *, model: Model, config: ConfigFile = None, epochs: Epochs = None,
    max_steps: MaxSteps = None, learning_rate: LearningRate = None, sequences_per_step: SequencesPerStep = None,
    batch_size: Batch = None, sequence_length: SequenceLength = None, chat_loss: ChatLoss = None,
    chat_template: ChatTemplate = None, fold_system: FoldSystem = None, dtype: Dtype = None,
    packing: Packing = None, seed: Seed = None, lora_rank: LoraRank = None, backend: BackendName = None,
    checkpoint_every: CheckpointEvery = None, keep: Keep = None, val: ValidationFiles = None, track: Track = None,
    threads: Threads = None, workers: Workers = None, device: Device = None,
    date: TemplateDate = None, trust_remote_code: TrustRemoteCode = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train a model on raw text and chat in one run.

    in:  directories of `latxa prepare`; or documents and conversations, which are prepared first
    out: the model (safetensors), its tokenizer, a model card, `metrics.jsonl` and the settings (`train.toml`)

    Several processes, on one machine or many, train together if torchrun, deepspeed or srun starts them. They need
    prepared data. SIGTERM and Ctrl-C end a run with a checkpoint of the step at hand. --resume continues any run, even
    on another number of processes; with more --epochs or --max-steps also a complete one that --keep has kept.
    --dry-run finds what would end the run before its first step or at its export, and measures time and memory.

    memory: 16 bytes a parameter, and a forward pass; the data stay on the disk

    examples:
      latxa train prepared --model base --epochs 2 --learning-rate 1e-3 -o trained
      latxa train mix.jsonl --model base --config train.toml -o trained --resume
      latxa train mix.jsonl --model base --dry-run -o trained
      torchrun --nproc-per-node 2 --no-python latxa train prepared --model base --backend deepspeed -o trained
    """
    from latxa_cli import launch as launcher
    from latxa_cli.model import check
    from latxa_cli.training import session, tracking, trial
    from latxa_cli.training.checkpoints import checkpoint
    from latxa_cli.training.config import chat_losses, resolve
    from latxa_cli.training.data.rows import settings_of
    from latxa_cli.training.data.sources import RunData, find_sources

    launch = launcher.find()
    with ExitStack() as stack:
        with launcher.alike(launch):
            data_sources = find_sources(sources or [], val or [], run.sources, chat_template, launch.world)
            check(model)
            settings = resolve(
                config, settings_of(data_sources.folders), epochs=epochs, learning_rate=learning_rate,
                sequences_per_step=sequences_per_step, batch_size=batch_size, sequence_length=sequence_length,
                **chat_losses(chat_loss), fold_system=fold_system, dtype=dtype, packing=packing, seed=seed,
                lora_rank=lora_rank, backend=backend, checkpoint_every=checkpoint_every, keep=keep, max_steps=max_steps,
            )  # fmt: skip
            tracking.check_installed(track)
            run.depends_on(config, model, chat_template, *data_sources.folders, *data_sources.validation.values())
            launcher.announce(launch)
            work = run.work_folder(None)
            if dry_run and not (run.destination.resume and work.is_dir()):
                work = Path(stack.enter_context(TemporaryDirectory(prefix="latxa-train-")), "work")
            if launch.rank == 0:
                stack.enter_context(checkpoint.occupied(run.directory, looks=dry_run))
            data = RunData(run, data_sources, model, settings, work, trust_remote_code)
            rows = data.rows(chat_template, workers)
        loaded = session.load(
            model, settings, device=device, threads=threads, trust_remote_code=trust_remote_code, launch=launch
        )  # fmt: skip
        with launcher.alike(launch):
            session.check_rows(rows, loaded, model)
            validation = data.validation(rows)
            if dry_run:
                resume = run.destination.resume
                run.say_all(trial.cost(loaded, rows, settings, run.directory, resume=resume))
                return
        facts = session.run(
            loaded, rows, settings, run.directory, resume=run.destination.resume, validation=validation, track=track,
            listeners=session.listeners_on(run.terminal, rows, settings),
        )  # fmt: skip
    if facts:  # only the first process has some
        if not settings.keep:  # until the manifest is written, `--resume` needs them
            run.afterwards(lambda: checkpoint.remove(run.directory))
        run.note(**facts)
        run.say(session.summary(facts))
