"""`latxa train`: one run of training on documents and conversations."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer

from latxa_cli.options import ChatLoss, ChatTemplate, Device, DryRun, Model, Run, TrustRemoteCode, Workers, verb
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.sources import Source


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
SequencesPerStep = Annotated[int | None, _setting("Sequences in one step, over all processes. [default: 8]")]
Batch = Annotated[int | None, _setting("Sequences in one forward pass: memory and speed alone. [default: 8]")]
SequenceLength = Annotated[int | None, _setting("Tokens of a packed sequence. [default: 1024]")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, _setting("Of computing and of the file. [default: float32]")]
Seed = Annotated[int | None, _setting("Seed of every random draw. [default: 0]")]
LoraRank = Annotated[int | None, _setting("Of low-rank adapters, which alone are trained. [default: 0: none]")]
Backend = Annotated[Literal["torch", "deepspeed"] | None, _setting("What trains. [default: torch]")]
CheckpointEvery = Annotated[int | None, _setting("Steps between checkpoints; 0: one at the end. [default: 500]")]
Validation = Annotated[
    list[str] | None,
    typer.Option(
        "--val", metavar="NAME=FILE",
        help="Loss, perplexity and bits per byte on this, records or prepared, with every checkpoint; repeat it.",
        show_default=False,
    ),
]  # fmt: skip
Track = Annotated[
    Literal["tensorboard", "wandb", "trackio"] | None,
    _setting("Show the metrics there too, as they come (`pip install latxa-cli[tracking]`)."),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads. [default: 1 for a small model, else all]", show_default=False)
]
SECONDS_BETWEEN_LINES = 60  # where there is no terminal to draw on


@verb(makes="directory", distributed=True)
def train(
    run: Run, sources: Sources = None, *, model: Model, config: ConfigFile = None, epochs: Epochs = None,
    learning_rate: LearningRate = None, sequences_per_step: SequencesPerStep = None, batch_size: Batch = None,
    sequence_length: SequenceLength = None, chat_loss: ChatLoss = None, chat_template: ChatTemplate = None,
    dtype: Dtype = None, seed: Seed = None, lora_rank: LoraRank = None, backend: Backend = None,
    checkpoint_every: CheckpointEvery = None, val: Validation = None, track: Track = None, threads: Threads = None,
    workers: Workers = None, device: Device = None, trust_remote_code: TrustRemoteCode = False, dry_run: DryRun = False,
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
    from latxa_cli.training import checkpoint, session
    from latxa_cli.training.config import chat_losses, resolve
    from latxa_cli.training.prepare import template_of
    from latxa_cli.training.rows import Rows, is_prepared, settings_of
    from latxa_cli.training.tracking import check_installed

    launch = launcher.find()
    with TemporaryDirectory(prefix="latxa-train-") as temporary, ExitStack() as held:
        with launcher.alike(launch):
            folders = [Path(source) for source in sources or [] if is_prepared(source)]
            found = [] if folders else run.sources(sources)
            check(model)
            if folders and (len(folders) < len(sources or []) or chat_template):
                what = "`--chat-template`" if chat_template else "other data"
                raise UsageError(
                    f"`{folders[0]}` is prepared already, and {what} can't be added", hint="prepare all together"
                )
            sets = _named(val or [])
            if launch.world > 1 and not (folders and all(map(is_prepared, sets.values()))):
                raise UsageError(
                    "several processes train on data that are prepared before, so that none waits for others to "
                    "tokenise",
                    hint="`latxa prepare … -o prepared`, on one machine without a GPU",
                )
            loss, source_loss = chat_losses(chat_loss or [])
            settings = resolve(
                config, settings_of(folders), epochs=epochs, learning_rate=learning_rate,
                sequences_per_step=sequences_per_step, batch_size=batch_size, sequence_length=sequence_length,
                chat_loss=loss, source_loss=source_loss or None, dtype=dtype, seed=seed, lora_rank=lora_rank,
                backend=backend, checkpoint_every=checkpoint_every,
            )  # fmt: skip
            unprepared = {name: run.sources([source]) for name, source in sets.items() if not is_prepared(source)}
            if track:
                check_installed(track)
            for side in (config, model, chat_template, *folders, *sets.values()):
                run.depends_on(side)
            launcher.announce(launch)
            place = Path(temporary) / "work" if dry_run else run.work_folder(None)
            if not folders:
                template = template_of(chat_template)
                folders = [_prepared(run, found, model, settings, template, place, workers)]
            rows = Rows(folders)
            if launch.rank == 0 and not dry_run:
                held.enter_context(checkpoint.occupied(run.directory))
        loaded = session.load(
            model, settings, device=device, threads=threads, trust_remote_code=trust_remote_code, launch=launch
        )
        with launcher.alike(launch):
            session.check_rows(rows, loaded, model)
            if dry_run:
                run.say_all(session.cost(loaded, rows, settings))
                return
            validation = {}
            for name, source in sets.items():
                at = place.with_name(f"{place.name}-{name}")
                learnt = rows.facts["chat_template"]
                template = learnt if isinstance(learnt, str) else None  # several, by name, can only be the model's own
                if name in unprepared:
                    rows_at = _prepared(run, unprepared[name], model, settings, template, at, 1)
                else:
                    rows_at = Path(source)
                validation[name] = Rows([rows_at])
                session.check_validation(name, validation[name], rows)
        facts = session.run(
            loaded, rows, settings, run.directory, resume=run.destination.resume, validation=validation, track=track,
            watching=session.Watching(_Report(run, settings, rows), run.say, _give_up),
        )  # fmt: skip
    if not facts:  # of a process beside the first one
        return
    run.afterwards(lambda: checkpoint.remove(run.directory))  # until the manifest is written `--resume` needs them
    run.note(**facts)
    loss_is = "" if facts["loss"] is None else f", the loss of the last is {facts['loss']:.4f}"
    run.say(f"{facts['steps']:,} steps{loss_is}")


def _named(values: list[str]) -> dict[str, str]:
    """Return {name: source} of the values of `--val`."""
    named = {}
    for value in values:
        name, equals, source = value.partition("=")
        if not equals or not name.replace("-", "").replace("_", "").isalnum() or not source or name in named:
            raise UsageError(
                f"`--val {value}` is not `NAME=FILE` with a name of its own", hint="`--val eu=held_out.jsonl`"
            )
        named[name] = source
    return named


class _Report:
    """Shows each line of metrics: on a terminal as it comes, else once a minute."""

    def __init__(self, run: Any, settings: Any, rows: Any) -> None:
        from latxa_cli.training.plan import Plan

        self.run, self.total = run, Plan(len(rows), settings).steps
        self.said = time.monotonic()

    def __call__(self, line: dict[str, Any]) -> None:
        if "validation" in line:
            size = f", {line['bits_per_byte']:.4f} bits per byte" if "bits_per_byte" in line else ""
            self.run.say(
                f"step {line['step']:,}, {line['validation']}: loss {line['loss']:.4f}, "
                f"perplexity {line['perplexity']:,.2f}{size}"
            )
            return
        figures = {
            "loss": f"{line['loss']:.3f}",
            "tokens_per_second": f"{line['tokens'] / max(1e-9, line['seconds']):,.0f}",
            "trained": f"{line['trained_tokens'] / line['tokens']:.0%}",
            **({"mfu": f"{line['mfu']:.1%}"} if "mfu" in line else {}),
            "memory": _memory(),
        }
        self.run.progress(line["step"], self.total, **figures)
        if not self.run.terminal.draws and time.monotonic() - self.said > SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
            self.run.say(f"step {line['step']:,} of {self.total:,}: {told}")


def _memory() -> str:
    import torch

    from latxa_cli.stream.sizes import show_size
    from latxa_cli.training.throughput import memory

    return show_size(memory(torch.device("cuda" if torch.cuda.is_available() else "cpu")))


def _give_up(why: str) -> None:
    """End the process from whichever thread, as a job that hangs cannot end itself."""
    from latxa_cli.stream.terminal import printable

    print(f"latxa: {printable(why)}", "hint: `--resume` goes on from the newest checkpoint", sep="\n", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)


def _prepared(
    run: Any, sources: list[Source], model: str, settings: Any, chat_template: str | None, place: Path,
    workers: int | None,
) -> Path:  # fmt: skip
    """Prepare the sources in the folder `place`, and return where the rows are.

    An interrupted run goes on with what is there whatever has changed of the settings that prepare nothing.
    """
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.training import prepare as room

    how = room.settings_for(
        model, settings.sequence_length, settings.chat_loss, settings.source_loss, chat_template=chat_template,
        trust_remote_code=run.settings["trust_remote_code"],
    )  # fmt: skip
    set_aside = run.destination.rejects is not None
    decides = ("sequence_length", "chat_loss", "source_loss")
    plan = {
        "model": model, **{name: getattr(settings, name) for name in decides}, "chat_template": chat_template,
        "uses": [used for used in run.uses if used["path"] == model], "rejects": set_aside,
    }  # fmt: skip
    with (
        open_executor("local", workers, room.MODULES) as pool,
        Work(place, plan, pool, resume=run.destination.resume, progress=run.stage) as work,
    ):
        run.afterwards(work.remove)
        made = room.prepare(sources, how, work, work.folder / "rows", set_aside=set_aside)
        run.account(made.read, made.inputs, made.rejects())
    run.say_all(made.lines())
    return work.folder / "rows"
