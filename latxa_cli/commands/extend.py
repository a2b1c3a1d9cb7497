"""`latxa extend`: a model with a larger vocabulary."""

from typing import Annotated, Literal

from latxa_cli.options import Files, Run, Seed, argument, flag, verb

Extended = Annotated[str, argument("A model directory, or a name on the hub.", "MODEL")]
Tokens = Annotated[int, flag("Tokens to add.", metavar="N", min=1)]
NewEmbeddings = Annotated[
    Literal["mean", "random"],
    flag("What new tokens begin as: the mean of the old tokens that they are made of, or random."),
]


@verb(makes="directory")
def extend(
    run: Run, model: Extended, files: Files = None, *, tokens: Tokens, new_embeddings: NewEmbeddings = "mean",
    seed: Seed = 0,
) -> None:  # fmt: skip
    """Add tokens of a language to the vocabulary of a model.

    in:  a model, then documents and conversations, whose text tokens are learnt from
    out: a directory with the model, its new tokens behind its old ones, all else as it was

    Every 20th document is not learnt from, to measure tokens a word before and after.

    memory: the distinct words, not the text (some 600 bytes for each), and then the model

    examples:
      latxa extend base eu.jsonl.zst --tokens 5000 -o base_eu
      zcat eu.jsonl.gz | latxa extend base --tokens 5000 --new-embeddings random -o base_eu
    """
    from latxa_cli.models.vocabulary import extend as extended

    run.depends_on(model)
    records = run.read(files, ("document", "conversation"))
    made, fertility = extended(
        model, records, run.directory, pieces=tokens, start=new_embeddings, seed=seed, progress=run.stage
    )  # fmt: skip
    run.note(**made)
    run.say(
        f"{made['pieces']:,} new tokens from id {made['first_new_id']:,} on; embeddings: {made['rows_before']:,} rows "
        f"before, {made['rows']:,} after"
    )
    run.say(fertility.describe())
    if made["pieces"] < tokens:
        run.say(f"the text gives no more than {made['pieces']:,} new tokens, {tokens:,} were asked for")
