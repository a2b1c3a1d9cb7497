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
        "A file, folder, glob, `hf:` or `-` under a name; with --variant `corpus=`, `en=` and one more (`eu=`).",
        "NAME=SOURCE",
    ),
]
Code = Annotated[str | None, flag("Take the inputs of this variant.", metavar="exp_B_CTE")]
Weights = Annotated[
    list[str] | None, flag("The mean number of copies of a record (2.5, 0.25); repeat it.", metavar="NAME=TIMES")
]
TakeTokens = Annotated[int | None, flag("Draw about N tokens (by --tokenizer).", metavar="N", min=1)]
TakeFrom = Annotated[
    list[str] | None, flag("Draw N records of an input, before its weight; repeat it.", metavar="NAME=N")
]
HoldOut = Annotated[list[str] | None, flag("Hold out N records for validation; repeat it.", metavar="NAME=N")]
HoldOutFile = Annotated[OutputFile, flag("Write held-out records here.", metavar="FILE")]
Split = Annotated[str, flag("Take records of this `metadata.split`; a record without one is `train`.", metavar="NAME")]
AnswerIn = Annotated[
    list[str] | None, flag("End the last user turn with `Answer in …`; repeat it.", metavar="NAME=LANGUAGE")
]
Minimum = Annotated[list[str] | None, flag("The lowest mean score of a record; repeat it.", metavar="NAME=SCORE")]
Scores = Annotated[
    str | None, flag("Scores by id, as `judge` writes them. [default: `metadata.scores`]", metavar="FILE")
]
Criterion = Annotated[str | None, flag("Use this score instead of the mean.", metavar="NAME")]
Diversify = Annotated[list[str] | None, flag("Draw N instructions evenly from clusters; repeat it.", metavar="NAME=N")]
Embedder = Annotated[str | None, flag("Cluster by mean embeddings of this encoder or causal model.", metavar="MODEL")]
Clusters = Annotated[
    int | None, flag("The number of clusters. [default: square root of the records]", metavar="K", min=1)
]
Tokenizer = Annotated[
    str | None, flag("Count tokens too, by this model's tokenizer, and what a word costs.", metavar="MODEL")
]

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
    out: all of them in one random order, with the input's name before each record's `source`

    A copy after the first has its number in `metadata.epoch`, which continues the number of the
    input. Order and draws depend on the seed, sources, ids and epochs alone, and a smaller draw is
    part of a larger one. `latxa variants` shows the variants.

    rejected: duplicate (a second record with the same source, id and text), low score,
              no score, no user turn (to answer in a language)

    memory: at most --memory; the rest goes through files

    examples:
      latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 -o mix.jsonl
      latxa corpus dump.jsonl --language cy | latxa mix corpus=- cy=cy_inst.jsonl --take 1000 > mix.jsonl
      latxa mix corpus=eu.jsonl en=en.jsonl --weight en=0.5 --hold-out en=9 --hold-out-file val.jsonl > mix.jsonl
      latxa mix cy=en.jsonl --answer-in cy=Welsh --minimum cy=3 --scores scores.jsonl > mix.jsonl
    """
    from latxa_cli.mixing.files import MODULES, WORKER_BYTES
    from latxa_cli.mixing.inputs import InputFlags, choose_inputs, parse_inputs
    from latxa_cli.mixing.mix import make_mix
    from latxa_cli.mixing.options import MixOptions
    from latxa_cli.stages import open_work, plan_of

    arguments = parse_inputs(inputs or [])
    names = choose_inputs(arguments, variant)
    input_flags = InputFlags(weight, hold_out, take_from, diversify, minimum, answer_in)
    input_flags.check(list(arguments))
    options = MixOptions(
        memory, workers, seed, split, take, take_tokens, tokenizer, scores, criterion, embedder, clusters, device,
        set_aside=run.sets_aside,
    )  # fmt: skip
    options.check()
    left_out = [name for name in arguments if name not in names]
    run.say_all(f"`{name}` is left out: `{variant}` does not name it" for name in left_out)
    sources = run.sources([arguments[name] for name in names])
    run.depends_on(scores, tokenizer, embedder)
    held_out = run.file(hold_out_file)
    with open_work(
        run, run.work_folder(work), plan_of(run, memory=memory), MODULES,
        executor=executor, workers=workers, most=memory // WORKER_BYTES - 1,
    ) as place:  # fmt: skip
        training_mix = make_mix(options, input_flags, sources, place, in_memory=executor == "local", say=run.say)
        run.reads(training_mix.inputs)
        run.counts.read += training_mix.read
        run.write(training_mix.outcomes(held_out))
    run.say_all(training_mix.shares.lines())
    run.note(sources=training_mix.shares.as_dict(), left_out=left_out, **training_mix.shares.totals())
