"""`latxa mix`: from a corpus and instruction data to one training mix."""

from typing import Annotated

from latxa_cli.options import (
    Device,
    ExecutorName,
    Memory,
    OutputFile,
    Run,
    Seed,
    Take,
    Workers,
    WorkFolder,
    argument,
    flag,
    needs,
    verb,
)

Inputs = Annotated[
    list[str] | None,
    argument(
        "Inputs: a file, folder, glob, `hf:` or `-`. A variant knows `corpus=`, `en=` and one more (`eu=`).",
        "NAME=SOURCE",
    ),
]
Code = Annotated[str | None, flag("Take the inputs that this variant names.", metavar="exp_B_CTE")]
Weights = Annotated[list[str] | None, flag("See each record so often: 2.5, 0.25; repeat it.", metavar="NAME=TIMES")]
TakeTokens = Annotated[int | None, flag("Draw about N tokens (by --tokenizer).", metavar="N", min=1)]
TakeFrom = Annotated[
    list[str] | None, flag("Draw N records of an input, before its weight; repeat it.", metavar="NAME=N")
]
HoldOut = Annotated[list[str] | None, flag("Hold out N records for validation; repeat it.", metavar="NAME=N")]
HoldOutFile = Annotated[OutputFile, flag("Write them here.", metavar="FILE")]
Split = Annotated[str, flag("Only records of this `metadata.split`; without, it is `train`.", metavar="NAME")]
AnswerIn = Annotated[
    list[str] | None, flag("End the last user turn with `Answer in …`; repeat it.", metavar="NAME=LANGUAGE")
]
Minimum = Annotated[
    list[str] | None, flag("Only records with this mean score or more; repeat it.", metavar="NAME=SCORE")
]
Scores = Annotated[
    str | None, flag("Scores by id, as `judge` writes them. [default: `metadata.scores`]", metavar="FILE")
]
Criterion = Annotated[str | None, flag("Go by this score, not by the mean.", metavar="NAME")]
Diversify = Annotated[list[str] | None, flag("Draw N instructions evenly from clusters; repeat it.", metavar="NAME=N")]
Embedder = Annotated[str | None, flag("Cluster by mean embeddings of this model, encoder or causal.", metavar="MODEL")]
Clusters = Annotated[int | None, flag("How many clusters. [default: root of the records]", metavar="K", min=1)]
Tokenizer = Annotated[str | None, flag("Count tokens too, by the tokenizer of this model.", metavar="MODEL")]

CONDITIONS = (
    needs("hold_out", "hold_out_file"), needs("hold_out_file", "hold_out"), needs("scores", "minimum"),
    needs("criterion", "minimum"), needs("diversify", "embedder"), needs("embedder", "diversify"),
    needs("clusters", "diversify"), needs("take_tokens", "tokenizer"),
)  # fmt: skip


@verb(makes="whole", conditions=CONDITIONS)
def mix(
    run: Run, inputs: Inputs = None, *, variant: Code = None,
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

    variant: one of those that `latxa variants` shows

    rejected: duplicate id (a second record with the same source and id), low score,
              no score, no user turn (to answer in a language)

    Order and draws depend on the seed, sources, ids and epochs alone; every smaller draw is a part of a
    larger one. What does not fit in --memory goes through files.

    examples:
      latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 -o mix.jsonl
      latxa corpus dump.jsonl --language cy | latxa mix corpus=- cy=cy_inst.jsonl --take 1000 > mix.jsonl
      latxa mix corpus=eu.jsonl en=en.jsonl --weight en=0.5 --hold-out en=9 --hold-out-file val.jsonl > mix.jsonl
      latxa mix cy=en.jsonl --answer-in cy=Welsh --minimum cy=3 --scores scores.jsonl > mix.jsonl
    """
    from latxa_cli.mixing.choose import Wishes, chosen, named
    from latxa_cli.mixing.files import MODULES, WORKER_BYTES
    from latxa_cli.mixing.mix import MixOptions, mixed
    from latxa_cli.stages import open_work, plan_of

    arguments = named(inputs or [])
    names = chosen(arguments, variant)
    wishes = Wishes(weight, hold_out, take_from, diversify, minimum, answer_in)
    wishes.check(list(arguments))
    options = MixOptions(
        memory, workers, seed, split, take, take_tokens, tokenizer, scores, criterion, embedder, clusters, device,
        set_aside=run.sets_aside,
    )  # fmt: skip
    options.check()
    left_out = [name for name in arguments if name not in names]
    run.say_all(f"`{name}` is left out: `{variant}` does not name it" for name in left_out)
    sources = run.sources([arguments[name] for name in names])
    run.depends_on(scores, tokenizer, embedder)
    held = run.file(hold_out_file)
    with open_work(
        run, run.work_folder(work), plan_of(run, memory=memory), MODULES,
        executor=executor, workers=workers, most=memory // WORKER_BYTES - 1,
    ) as place:  # fmt: skip
        made = mixed(options, wishes, sources, place, in_memory=executor == "local", say=run.say)
        run.reads(made.inputs)
        run.counts.read += made.read
        run.write(made.outcomes(held))
    run.say_all(made.shares.lines())
    run.note(sources=made.shares.as_dict(), left_out=left_out, **made.shares.totals())
