"""`latxa init`: a new tokenizer and a new model, or a model with a larger vocabulary."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from latxa_cli.options import Run, Seed, verb
from latxa_cli.stream.errors import UsageError

# One argument for both, since the command line cannot tell them apart: what is first depends on `--extend`.
ConfigAndFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG.json|FILE",
        help="First a transformers model configuration (none with `--extend`), then JSONL (`.gz`, `.zst`), Parquet, "
        "`hf:NAME`, or `-`: stdin.",
        show_default=False,
    ),
]
VocabularySize = Annotated[
    str,
    typer.Option(
        metavar="N", help="Tokens, the special ones and 256 bytes included; with `--extend` `+N`: so many more."
    ),
]
Extend = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Add tokens to this model instead of making a new one.", show_default=False),
]
NewEmbeddings = Annotated[
    Literal["mean", "random"] | None,
    typer.Option(
        help="With `--extend`, what new tokens begin as: the mean of the old tokens that they are made of, or random. "
        "[default: mean]",
        show_default=False,
    ),
]


@verb(makes="directory")
def init(
    run: Run, files: ConfigAndFiles = None, *, vocabulary_size: VocabularySize, extend: Extend = None,
    new_embeddings: NewEmbeddings = None, seed: Seed = 0,
) -> None:  # fmt: skip
    """Make a new tokenizer and model from scratch, or extend a model's vocabulary.

    in:  documents and conversations, whose text tokens are learnt from; before them, for a new model, CONFIG.json, as
         {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
          "intermediate_size": 320}; the vocabulary's size and the special tokens are filled in
    out: a directory with a new model of random weights, a byte-level BPE tokenizer and a chat template;
         with `--extend` the model with new tokens behind its old ones, all else as it was. Every 20th document is not
         learnt from, to measure tokens a word before and after

    memory: the distinct words, not the text (some 600 bytes for each), and then the model: 4 bytes a parameter when new

    examples:
      latxa init tiny.json documents.jsonl --vocabulary-size 1024 -o tiny
      zcat eu.jsonl.gz | latxa init tiny.json --vocabulary-size 4096 --seed 1 -o tiny
      latxa init --extend base --vocabulary-size +5000 eu.jsonl.zst -o base_eu
    """
    tokens = _tokens(vocabulary_size, more=extend is not None)
    if extend is not None:
        _extend(run, extend, files, pieces=tokens, start=new_embeddings or "mean", seed=seed)
        return
    if new_embeddings is not None:
        raise UsageError("`--new-embeddings` needs `--extend MODEL`", hint="all embeddings of a new model are random")
    if not files:
        raise UsageError("CONFIG.json is missing", hint="name a model configuration, or a model with `--extend`")
    _make(run, Path(files[0]), files[1:], size=tokens, seed=seed)


def _make(run: Run, config: Path, files: list[str], *, size: int, seed: int) -> None:
    from latxa_cli.models.scratch import initialise

    run.depends_on(config)
    records = run.read(files, ("document", "conversation"))
    made = initialise(config, records, run.directory, vocabulary_size=size, seed=seed)
    run.note(**made)
    run.say(f"{made['parameters']:,} parameters, a vocabulary of {made['vocabulary']:,} tokens")
    if made["vocabulary"] < size:
        run.say(f"the text gives no more than {made['vocabulary']:,} tokens, {size:,} were asked for")


def _extend(
    run: Run, model: str, files: list[str] | None, *, pieces: int, start: Literal["mean", "random"], seed: int
) -> None:
    from latxa_cli.models.vocabulary import extend

    run.depends_on(model)
    records = run.read(files, ("document", "conversation"))
    made, fertility = extend(model, records, run.directory, pieces=pieces, start=start, seed=seed, progress=run.stage)
    run.note(**made)
    run.say(f"{made['pieces']:,} new tokens from id {made['first_new_id']:,} on; "
            f"embeddings: {made['rows_before']:,} rows before, {made['rows']:,} after")  # fmt: skip
    run.say(fertility.describe())
    if made["pieces"] < pieces:
        run.say(f"the text gives no more than {made['pieces']:,} new tokens, {pieces:,} were asked for")


def _tokens(text: str, *, more: bool) -> int:
    """Return the number of `--vocabulary-size`, which has a plus sign if and only if it means so many `more`."""
    number = text.removeprefix("+")
    flag = f"`--vocabulary-size {text}`"
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise UsageError(f"{flag} is not a number of tokens", hint="`1024`, or with `--extend MODEL` `+5000`")
    if more and not text.startswith("+"):
        raise UsageError(f"{flag} has no plus sign", hint=f"`--extend` adds tokens: `+{number}` adds so many")
    if not more and text.startswith("+"):
        raise UsageError(f"{flag} needs `--extend MODEL`", hint=f"a new model has `--vocabulary-size {number}` in all")
    return int(number)
