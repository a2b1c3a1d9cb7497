"""`latxa train`: one run of training on documents and conversations."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer

from latxa_cli.options import ChatLoss, ChatTemplate, Device, DryRun, Model, Run, TrustRemoteCode, Workers, verb
from latxa_cli.stream.errors import UsageError


def _setting(text: str, *names: str) -> Any:
    """A flag that overrules the setting of the same name in the file of `--config`."""
    return typer.Option(*names, help=text, show_default=False)


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE", help="Directories of `latxa prepare`; or files, folders, `-`: stdin.", show_default=False
    ),
]
ConfigFile = Annotated[Path | None, _setting("A TOML file of settings; flags win over it.")]
Epochs = Annotated[float | None, _setting("Times that each row is seen. [default: 1]")]
LearningRate = Annotated[float | None, _setting("Peak of the learning rate. [default: 1e-5]")]
# Not `batch_size`, which elsewhere does not change what comes out.
Sequences = Annotated[int | None, _setting("Sequences in one forward pass. [default: 8]", "--batch-size")]
Accumulation = Annotated[int | None, _setting("Forward passes in one step. [default: 1]")]
SequenceLength = Annotated[int | None, _setting("Tokens of a packed sequence. [default: 1024]")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, _setting("Of computing and of the file. [default: float32]")]
Seed = Annotated[int | None, _setting("Seed of every random draw. [default: 0]")]
CheckpointEvery = Annotated[int | None, _setting("Steps between checkpoints; 0: none to resume from. [default: 500]")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads. [default: 1 for a small model, else all]", show_default=False)
]


@verb(makes="directory")
def train(
    run: Run, sources: Sources = None, *, model: Model, config: ConfigFile = None, epochs: Epochs = None,
    learning_rate: LearningRate = None, sequences_per_batch: Sequences = None,
    gradient_accumulation: Accumulation = None, sequence_length: SequenceLength = None, chat_loss: ChatLoss = None,
    chat_template: ChatTemplate = None, dtype: Dtype = None, seed: Seed = None,
    checkpoint_every: CheckpointEvery = None, threads: Threads = None, workers: Workers = None,
    device: Device = None, trust_remote_code: TrustRemoteCode = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train a model on raw text and chat in one run.

    in:  what `latxa prepare` made; or documents and conversations, which are prepared first
    out: a directory with the model (safetensors), its tokenizer, `metrics.jsonl` and the settings (`train.toml`)

    memory: 16 bytes a parameter, and a forward pass; the data stay on the disk

    examples:
      latxa train prepared --model base --epochs 2 --learning-rate 1e-3 -o trained
      latxa train mix.jsonl --model base --config train.toml -o trained --resume
      latxa train mix.jsonl --model base --dry-run -o trained
    """
    from latxa_cli.training import checkpoint, session
    from latxa_cli.training.config import chat_losses, resolve
    from latxa_cli.training.rows import Rows, is_prepared, settings_of

    folders = [Path(source) for source in sources or [] if is_prepared(source)]
    if folders and (len(folders) < len(sources or []) or chat_template):
        what = "`--chat-template`" if chat_template else "other data"
        raise UsageError(f"`{folders[0]}` is prepared already, and {what} can't be added", hint="prepare all together")
    loss, source_loss = chat_losses(chat_loss or [])
    settings = resolve(
        config, settings_of(folders), epochs=epochs, learning_rate=learning_rate, batch_size=sequences_per_batch,
        gradient_accumulation=gradient_accumulation, sequence_length=sequence_length, chat_loss=loss,
        source_loss=source_loss or None, dtype=dtype, seed=seed, checkpoint_every=checkpoint_every,
    )  # fmt: skip
    for side in (config, model, chat_template, *folders):
        run.depends_on(side)
    with TemporaryDirectory(prefix="latxa-train-") as temporary:
        place = Path(temporary) / "work" if dry_run else run.work_folder(None)
        folders = folders or [_prepared(run, sources or ["-"], model, settings, chat_template, place, workers)]
        rows = Rows(folders)
        loaded = session.load(model, settings, device=device, threads=threads, trust_remote_code=trust_remote_code)
        session.check_rows(rows, loaded, model)
        if dry_run:
            run.say_all(session.cost(loaded, rows, settings))
            return

        def report(step: int, total: int, *, loss: float, tokens_per_second: float) -> None:
            run.progress(step, total, loss=f"{loss:.3f}", tokens_per_second=f"{tokens_per_second:,.0f}")

        resume = run.destination.resume
        facts = session.run(loaded, rows, settings, run.directory, resume=resume, report=report)
    run.afterwards(lambda: checkpoint.remove(run.directory))  # until the manifest is written `--resume` needs them
    run.note(**facts)
    run.say(f"{facts['steps']:,} steps, the loss of the last is {facts['loss']:.4f}")


def _prepared(
    run: Any, sources: list[str], model: str, settings: Any, chat_template: Path | None, place: Path,
    workers: int | None,
) -> Path:  # fmt: skip
    """Prepare the sources in the folder `place`, and return where the rows are."""
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.stream.sources import parse_sources
    from latxa_cli.training import prepare as room

    found = parse_sources(sources)
    how = room.settings_for(
        model, settings.sequence_length, settings.chat_loss, settings.source_loss, chat_template=chat_template,
        trust_remote_code=run.settings["trust_remote_code"],
    )  # fmt: skip
    set_aside = run.destination.rejects is not None
    plan = {"settings": run.settings, "uses": run.uses, "rejects": set_aside}
    with (
        open_executor("local", workers, room.MODULES) as pool,
        Work(place, plan, pool, resume=run.destination.resume, progress=run.stage) as work,
    ):
        run.afterwards(work.remove)
        made = room.prepare(found, how, work, work.folder / "rows", set_aside=set_aside)
        run.account(made.read, made.inputs, made.rejects())
    run.say_all(made.lines())
    return work.folder / "rows"
