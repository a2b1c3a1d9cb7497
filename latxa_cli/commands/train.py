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
    Model,
    Run,
    TrustRemoteCode,
    Workers,
    argument,
    flag,
    verb,
)

Sources = Annotated[
    list[str] | None, argument("Directories of `latxa prepare`; or files, folders, `-`: stdin.", "SOURCE")
]
# Each overrules the setting of the same name in the file of `--config`, which has the default.
ConfigFile = Annotated[Path | None, flag("A TOML file of settings; flags win over it.", metavar="FILE")]
Epochs = Annotated[float | None, flag("Times that each row is seen. [default: 1]")]
LearningRate = Annotated[float | None, flag("Peak of the learning rate. [default: 1e-5]")]
SequencesPerStep = Annotated[int | None, flag("Sequences in one step, over all processes. [default: 8]")]
Batch = Annotated[int | None, flag("Sequences in one forward pass: memory and speed alone. [default: 8]")]
SequenceLength = Annotated[int | None, flag("Tokens of a packed sequence. [default: 1024]")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, flag("Of computing and of the file. [default: float32]")]
Seed = Annotated[int | None, flag("Seed of every random draw. [default: 0]")]
LoraRank = Annotated[int | None, flag("Of low-rank adapters, which alone are trained. [default: 0: none]")]
BackendName = Annotated[Literal["torch", "deepspeed"] | None, flag("What trains. [default: torch]")]
CheckpointEvery = Annotated[int | None, flag("Steps between checkpoints; 0: one at the end. [default: 500]")]
ValidationFiles = Annotated[
    list[str] | None, flag("Loss and bits per byte on this, records or prepared; repeat it.", metavar="NAME=FILE")
]
Track = Annotated[Literal["tensorboard", "wandb", "trackio"] | None, flag("Show metrics there too, as they come.")]
Threads = Annotated[int | None, flag("CPU threads. [default: 1 for a small model, else all]", min=1)]


@verb(makes="directory", distributed=True)
def train(
    run: Run, sources: Sources = None, *, model: Model, config: ConfigFile = None, epochs: Epochs = None,
    learning_rate: LearningRate = None, sequences_per_step: SequencesPerStep = None, batch_size: Batch = None,
    sequence_length: SequenceLength = None, chat_loss: ChatLoss = None, chat_template: ChatTemplate = None,
    dtype: Dtype = None, seed: Seed = None, lora_rank: LoraRank = None, backend: BackendName = None,
    checkpoint_every: CheckpointEvery = None, val: ValidationFiles = None, track: Track = None,
    threads: Threads = None, workers: Workers = None, device: Device = None,
    trust_remote_code: TrustRemoteCode = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train a model on raw text and chat in one run.

    in:  what `latxa prepare` made; or documents and conversations, which are prepared first
    out: a directory with the model (safetensors), its tokenizer, a model card, `metrics.jsonl` and the settings
         (`train.toml`)

    Several processes, of one machine or many, train together when torchrun, deepspeed or srun starts them; then the
    data must be prepared before. A run that was ended in whatever way goes on with --resume, on another number of
    processes too. --dry-run proves on the model that packed texts do not see each other, and measures what the run
    would take.

    memory: 16 bytes a parameter, and a forward pass; the data stay on the disk

    examples:
      latxa train prepared --model base --epochs 2 --learning-rate 1e-3 -o trained
      latxa train mix.jsonl --model base --config train.toml -o trained --resume
      latxa train mix.jsonl --model base --dry-run -o trained
      torchrun --nproc-per-node 2 --no-python latxa train prepared --model base --backend deepspeed -o trained
    """
    from latxa_cli import launch as launcher
    from latxa_cli.model import check
    from latxa_cli.training import session
    from latxa_cli.training.checkpoints import checkpoint
    from latxa_cli.training.config import chat_losses, resolve
    from latxa_cli.training.data.rows import settings_of
    from latxa_cli.training.data.sources import RunData, find_sources
    from latxa_cli.training.tracking import check_installed

    launch = launcher.find()
    with ExitStack() as held:
        with launcher.alike(launch):
            found = find_sources(sources or [], val or [], run.sources, chat_template, launch.world)
            check(model)
            loss, source_loss = chat_losses(chat_loss or [])
            settings = resolve(
                config, settings_of(found.folders), epochs=epochs, learning_rate=learning_rate,
                sequences_per_step=sequences_per_step, batch_size=batch_size, sequence_length=sequence_length,
                chat_loss=loss, source_loss=source_loss or None, dtype=dtype, seed=seed, lora_rank=lora_rank,
                backend=backend, checkpoint_every=checkpoint_every,
            )  # fmt: skip
            check_installed(track)
            run.depends_on(config, model, chat_template, *found.folders, *found.validation.values())
            launcher.announce(launch)
            temporary = held.enter_context(TemporaryDirectory(prefix="latxa-train-")) if dry_run else ""
            work = run.work_folder(Path(temporary, "work") if dry_run else None)
            data = RunData(run, found, model, settings, work, trust_remote_code)
            rows = data.rows(chat_template, workers)
            if launch.rank == 0 and not dry_run:
                held.enter_context(checkpoint.occupied(run.directory))
        loaded = session.load(
            model, settings, device=device, threads=threads, trust_remote_code=trust_remote_code, launch=launch
        )  # fmt: skip
        with launcher.alike(launch):
            session.check_rows(rows, loaded, model)
            if dry_run:
                run.say_all(session.cost(loaded, rows, settings))
                return
            validation = data.validation(rows)
        facts = session.run(
            loaded, rows, settings, run.directory, resume=run.destination.resume, validation=validation, track=track,
            listeners=session.listeners_on(run.terminal, rows, settings),
        )  # fmt: skip
    if facts:  # else this process is one beside the first
        run.afterwards(lambda: checkpoint.remove(run.directory))  # until the manifest is written `--resume` needs them
        run.note(**facts)
        run.say(session.summary(facts))
