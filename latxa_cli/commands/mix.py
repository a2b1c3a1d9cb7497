"""`latxa mix`: from a corpus and instruction data to one training mix."""

from typing import Annotated, Any

import typer

from latxa_cli.options import Device, ExecutorName, Memory, OutputFile, Run, Seed, Take, Workers, WorkFolder, verb
from latxa_cli.stream.errors import UsageError


def _flag(text: str, metavar: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, show_default=False, **more)


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=SOURCE",
        help="Inputs: a file, folder, glob, `hf:` or `-`. A variant knows `corpus=`, `en=` and one more (`eu=`).",
        show_default=False,
    ),
]
Code = Annotated[str | None, _flag("Take the inputs that this variant names.", "exp_B_CTE")]
ListVariants = Annotated[bool, typer.Option("--list-variants", help="Show the 24 variants, and which 18 to train.")]
Weights = Annotated[
    list[str] | None, _flag("See each record so often: 2.5, 0.25; repeat it.", "NAME=TIMES", "--weight")
]
TakeTokens = Annotated[int | None, _flag("Draw about N tokens (by --tokenizer).", "N", min=1)]
TakeFrom = Annotated[list[str] | None, _flag("Draw N records of an input, before its weight; repeat it.", "NAME=N")]
HoldOut = Annotated[list[str] | None, _flag("Hold out N records for validation; repeat it.", "NAME=N")]
HoldOutFile = Annotated[OutputFile, _flag("Write them here.", "FILE")]
Split = Annotated[str, _flag("Only records of this `metadata.split`; without, it is `train`. [default: train]", "NAME")]
AnswerIn = Annotated[list[str] | None, _flag("End the last user turn with `Answer in …`; repeat it.", "NAME=LANGUAGE")]
Minimum = Annotated[list[str] | None, _flag("Only records with this mean score or more; repeat it.", "NAME=SCORE")]
Scores = Annotated[str | None, _flag("Scores by id, as `judge` writes them. [default: `metadata.scores`]", "FILE")]
Criterion = Annotated[str | None, _flag("Go by this score, not by the mean.", "NAME")]
Diversify = Annotated[list[str] | None, _flag("Draw N instructions evenly from clusters; repeat it.", "NAME=N")]
Embedder = Annotated[str | None, _flag("Cluster by mean embeddings of this model, encoder or causal.", "MODEL")]
Clusters = Annotated[int | None, _flag("How many clusters. [default: root of the records]", "K", min=1)]
Tokenizer = Annotated[str | None, _flag("Count tokens too, by the tokenizer of this model.", "MODEL")]


@verb(makes="whole")
def mix(
    run: Run, inputs: Inputs = None, *, variant: Code = None, list_variants: ListVariants = False,
    weight: Weights = None, take: Take = None, take_tokens: TakeTokens = None, take_from: TakeFrom = None,
    hold_out: HoldOut = None, hold_out_file: HoldOutFile = None, split: Split = "train", answer_in: AnswerIn = None,
    minimum: Minimum = None, scores: Scores = None, criterion: Criterion = None, diversify: Diversify = None,
    embedder: Embedder = None, clusters: Clusters = None, tokenizer: Tokenizer = None, seed: Seed = 0,
    device: Device = None, memory: Memory = "2GB", workers: Workers = None, executor: ExecutorName = "local",
    work: WorkFolder = None,
) -> None:  # fmt: skip
    """Mix documents and conversations into training data.

    in:  documents and conversations, each input under a name
    out: all of them in one random order, the name before each record's `source`;
         copies after the first say so in `metadata.epoch`, which goes on where an input has it

    variant: B is the backbone (0 base, 1 adapted base, 2 instructed); C, T and E are 1
             for data to train on: corpus, target-language and English instructions

    rejected: duplicate id (a second record with the same source and id), low score,
              no score, no user turn (to answer in a language)

    Order and draws depend on the seed, sources, ids and epochs alone; every smaller draw is a part of a
    larger one. What does not fit in --memory goes through files.

    examples:
      latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 -o mix.jsonl
      latxa corpus dump.jsonl --language cy | latxa mix corpus=- cy=cy_inst.jsonl --take 1000 > mix.jsonl
      latxa mix corpus=eu.jsonl en=en.jsonl --weight en=0.5 --hold-out en=9 --hold-out-file val.jsonl > mix.jsonl
      latxa mix cy=en.jsonl --answer-in cy=Welsh --minimum cy=3 --scores scores.jsonl > mix.jsonl
      latxa mix --list-variants
    """
    if list_variants:
        _list_variants(run)
        return
    from latxa_cli.mixing.choose import Wishes, chosen, named
    from latxa_cli.mixing.files import MODULES, WORKER_BYTES
    from latxa_cli.mixing.mix import Options, mixed
    from latxa_cli.stages import Work, open_executor

    arguments = named(inputs or [])
    names = chosen(arguments, variant)
    wishes = Wishes(weight, hold_out, take_from, diversify, minimum, answer_in)
    wishes.check(list(arguments))
    for flag, given, other, needed in (
        ("--hold-out", hold_out, "--hold-out-file", hold_out_file), ("--scores", scores, "--minimum", minimum),
        ("--hold-out-file", hold_out_file, "--hold-out", hold_out), ("--diversify", diversify, "--embedder", embedder),
        ("--take-tokens", take_tokens, "--tokenizer", tokenizer), ("--embedder", embedder, "--diversify", diversify),
        ("--criterion", criterion, "--minimum", minimum), ("--clusters", clusters, "--diversify", diversify),
    ):  # fmt: skip
        if given and not needed:
            raise UsageError(f"`{flag}` needs `{other}`")
    options = Options(
        memory, workers, seed, split, take, take_tokens, tokenizer, scores, criterion, embedder, clusters, device,
        set_aside=run.destination.rejects is not None,
    )  # fmt: skip
    options.check()
    left_out = [name for name in arguments if name not in names]
    run.say_all(f"`{name}` is left out: `{variant}` does not name it" for name in left_out)
    sources = run.sources([arguments[name] for name in names])
    for side in (scores, tokenizer, embedder):
        run.depends_on(side)
    held = run.file(hold_out_file)
    plan = {"settings": run.settings, "uses": run.uses, "rejects": options.set_aside, "memory": memory}
    with (
        open_executor(executor, workers, MODULES, most=memory // WORKER_BYTES - 1) as pool,
        Work(run.work_folder(work), plan, pool, resume=run.destination.resume, progress=run.stage) as place,
    ):
        run.afterwards(place.remove)
        made = mixed(options, wishes, sources, place, in_memory=executor == "local", say=run.say)
        run.reads(made.inputs)
        run.counts.read += made.read
        run.write(made.outcomes(held))
    run.say_all(made.shares.lines())
    run.note(sources=made.shares.as_dict(), left_out=left_out, **made.shares.totals())


def _list_variants(run: Run) -> None:
    """Write the 24 variants, as a table on a terminal and else as records."""
    from latxa_cli.stream.table import render
    from latxa_cli.variants import rows

    table = rows()
    run.print(render(table, list(table[0]), "table" if run.is_terminal else "jsonl"), records=len(table))
