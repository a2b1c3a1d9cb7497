"""`latxa extend`: a model with a larger vocabulary."""

from typing import Annotated, Literal

from latxa_cli.options import Files, Run, Seed, argument, flag, verb

Extended = Annotated[str, argument("A model directory, or a name on the hub.", "MODEL")]
Tokens = Annotated[int, flag("Tokens to add.", metavar="N", min=1)]
NewEmbeddings = Annotated[
    Literal["mean", "random"],
    flag("Initial embeddings of new tokens: the mean of the old tokens in each, or random."),
]


@verb(makes="directory")
def extend(
    run: Run, model: Extended, files: Files = None, *, tokens: Tokens, new_embeddings: NewEmbeddings = "mean",
    seed: Seed = 0,
) -> None:  # fmt: skip
    """Add tokens of a language to the vocabulary of a model.

    in:  a model, then documents and conversations with text of the language
    out: a directory with the model, whose new tokens come after the old ones

    Every 20th document is held out, to measure the tokens per word before and after.

    memory: some 600 bytes for each distinct word, and then the model

    examples:
      latxa extend base eu.jsonl.zst --tokens 5000 -o base_eu
      zcat eu.jsonl.gz | latxa extend base --tokens 5000 --new-embeddings random -o base_eu
    """
    from latxa_cli.models.vocabulary import extend as extended

    run.depends_on(model)
    records = run.read(files, ("document", "conversation"))
    facts, fertility = extended(
        model, records, run.directory, pieces=tokens, start=new_embeddings, seed=seed, progress=run.stage
    )  # fmt: skip
    run.note(**facts)
    run.say(
        f"{facts['pieces']:,} new tokens from id {facts['first_new_id']:,} on; embeddings: {facts['rows_before']:,} "
        f"rows before, {facts['rows']:,} after"
    )
    run.say(fertility.describe())
    if facts["pieces"] < tokens:
        run.say(f"the text gives no more than {facts['pieces']:,} new tokens, {tokens:,} were asked for")
