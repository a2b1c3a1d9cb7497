"""`latxa train`: one run of training on documents and conversations."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from latxa_cli.options import Device, DryRun, Files, Model, Run, TrustRemoteCode, verb


def _setting(text: str, *names: str) -> Any:
    """A flag that overrules the setting of the same name in the file of `--config`."""
    return typer.Option(*names, help=text, show_default=False)


ConfigFile = Annotated[Path | None, _setting("A TOML file of settings; flags win over it.")]
Epochs = Annotated[float | None, _setting("Times that each row is seen. [default: 1]")]
LearningRate = Annotated[float | None, _setting("Peak of the learning rate. [default: 1e-5]")]
# Not `batch_size`, which elsewhere does not change what comes out.
Sequences = Annotated[int | None, _setting("Sequences in one forward pass. [default: 8]", "--batch-size")]
Accumulation = Annotated[int | None, _setting("Forward passes in one step. [default: 1]")]
SequenceLength = Annotated[int | None, _setting("Tokens of a packed sequence. [default: 1024]")]
ChatLoss = Annotated[Literal["assistant", "all"] | None, _setting("What is learnt of chats. [default: assistant]")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, _setting("Of computing and of the file. [default: float32]")]
Seed = Annotated[int | None, _setting("Seed of every random draw. [default: 0]")]
CheckpointEvery = Annotated[int | None, _setting("Steps between checkpoints; 0: none to resume from. [default: 500]")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads. [default: 1 for a small model, else all]", show_default=False)
]


@verb(makes="directory")
def train(
    run: Run, files: Files = None, *, model: Model, config: ConfigFile = None, epochs: Epochs = None,
    learning_rate: LearningRate = None, sequences_per_batch: Sequences = None,
    gradient_accumulation: Accumulation = None, sequence_length: SequenceLength = None, chat_loss: ChatLoss = None,
    dtype: Dtype = None, seed: Seed = None, checkpoint_every: CheckpointEvery = None, threads: Threads = None,
    device: Device = None, trust_remote_code: TrustRemoteCode = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train a model on raw text and chat in one run.

    in:  documents (every token is learnt) and conversations (answers are learnt), packed into full sequences;
         those whose `metadata.split` is another than `train` are left out
    out: a directory with the model (safetensors), its tokenizer, `metrics.jsonl` and the settings (`train.toml`)

    memory: 12 bytes a token of the whole mix, twice that while it is packed; 16 bytes a parameter, and a forward pass

    examples:
      latxa train mix.jsonl --model base --epochs 2 --learning-rate 1e-3 -o trained
      latxa train mix.jsonl --model base --config train.toml -o trained --resume
      latxa train mix.jsonl --model base --dry-run -o trained
    """
    from latxa_cli.training import checkpoint, session
    from latxa_cli.training.config import resolve

    settings = resolve(
        config, epochs=epochs, learning_rate=learning_rate, batch_size=sequences_per_batch,
        gradient_accumulation=gradient_accumulation, sequence_length=sequence_length, chat_loss=chat_loss,
        dtype=dtype, seed=seed, checkpoint_every=checkpoint_every,
    )  # fmt: skip
    run.depends_on(config)
    run.depends_on(model)
    records = run.read(files, ("document", "conversation"))
    loaded = session.load(model, settings, device=device, threads=threads, trust_remote_code=trust_remote_code)
    prepared = session.prepare_records(records, loaded, settings)
    for line in session.describe(prepared):
        run.say(line)
    if dry_run:
        for line in session.cost(loaded, prepared, settings):
            run.say(line)
        return
    for reject in prepared.rejects:
        run.reject(reject)

    def report(step: int, total: int, *, loss: float, tokens_per_second: float) -> None:
        run.progress(step, total, loss=f"{loss:.3f}", tokens_per_second=f"{tokens_per_second:,.0f}")

    facts = session.run(loaded, prepared, settings, run.directory, resume=run.destination.resume, report=report)
    run.afterwards(lambda: checkpoint.remove(run.directory))  # until the manifest is written `--resume` needs them
    run.note(**facts)
    run.say(f"{facts['steps']:,} steps, the loss of the last is {facts['loss']:.4f}")
