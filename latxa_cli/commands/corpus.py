"""`latxa corpus`: from messy dumps to a clean, deduplicated corpus of one language."""

from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import (
    ExecutorName,
    Language,
    Memory,
    OutputFile,
    Run,
    Seed,
    Workers,
    WorkFolder,
    argument,
    flag,
    needs,
    verb,
)  # fmt: skip

Sources = Annotated[
    list[str] | None,
    argument(
        "A file, folder, glob, `hf:DATASET` or `-`: JSONL (`.gz`, `.zst`), Parquet or text; the best first.",
        "[NAME=]SOURCE",
    ),
]
Profile = Annotated[str | None, flag("The quality profile. [default: that of the language]", metavar="NAME|FILE")]
LanguageModel = Annotated[Path | None, flag("A fastText model for language identification.", metavar="FILE")]
Similarity = Annotated[float, flag("Near duplicates: Jaccard, word 5-grams.", metavar="J", min=0.6, max=1.0)]
Against = Annotated[list[str] | None, flag("Evaluation items that must not be in it; repeat it.", metavar="FILE")]
AgainstTask = Annotated[list[str] | None, flag("The same, an lm-evaluation-harness task; repeat it.", metavar="TASK")]
TaskFolder = Annotated[Path | None, flag("A folder of task files.", metavar="DIR")]
Only = Annotated[list[str] | None, flag("Take only this step; repeat it.", metavar="STEP")]
Skip = Annotated[list[str] | None, flag("Leave this step out; repeat it.", metavar="STEP")]
TextDocuments = Annotated[Literal["file", "blank-line", "line"], flag("What a document of a text file is.")]
Review = Annotated[OutputFile, flag("Write here what is of uncertain or mixed language.", metavar="FILE")]
Card = Annotated[OutputFile, flag("Write a data card here (Markdown).", metavar="FILE")]
Tokenizer = Annotated[str | None, flag("Estimate tokens by its tokenizer.", metavar="MODEL")]


@verb(makes="whole", conditions=(needs("task_folder", "against_task"),))
def corpus(
    run: Run, sources: Sources = None, *, language: Language, profile: Profile = None,
    language_model: LanguageModel = None, similarity: Similarity = 0.7, against: Against = None,
    against_task: AgainstTask = None, task_folder: TaskFolder = None, only: Only = None, skip: Skip = None,
    text_documents: TextDocuments = "file", review: Review = None, card: Card = None, tokenizer: Tokenizer = None,
    seed: Seed = 0, memory: Memory = "2GB", workers: Workers = None, executor: ExecutorName = "local",
    work: WorkFolder = None,
) -> None:  # fmt: skip
    """Make a clean, deduplicated corpus of one language out of many dumps.

    in:  documents {text, ...}; the first source that has a document keeps it;
         those of text files get the id SOURCE/PATH, or SOURCE/PATH#LINE
    out: documents with clean text, in input order; `source` where it was named, `language`, and
         in `metadata` language_probability, split (train, valid, test: 98/1/1), cluster_size
         (copies, where there were several)

    steps, in their order:
      normalise      clean form: NFC, controls, spaces, mojibake
      boilerplate    lines repeated across a source go
      language       documents in other languages go
      quality        documents that fail the profile's rules go
      contamination  documents that share 13 words in a row with --against go
      exact url near documents with the text or URL of a kept one go, or nearly its text
      paragraphs     paragraphs seen in an earlier document go from both ends
      split          train, valid and test are drawn by seed and id

    A document is dropped only for one that is kept and is itself so similar; its entry in --rejects
    names it (`duplicate_of`, `similarity`). There, what repeats others is in clean form, all else as
    it came. Losses by source and step are shown at the end and stand in the manifest. --resume goes
    on after any interruption.

    examples:
      latxa corpus dump.jsonl --language eu > clean.jsonl
      latxa corpus wiki=wiki.jsonl.zst crawls/ --language cy --rejects rejects.jsonl -o cy.jsonl.zst
      latxa corpus dump.jsonl --language eu --against exam.jsonl --card card.md -o eu.jsonl --resume
      latxa corpus a.jsonl b.jsonl --language eu --only exact > distinct.jsonl
    """
    from latxa_cli.corpus.contamination import read_items
    from latxa_cli.corpus.pipeline import MODULES, WORKER_BYTES, CorpusOptions, build
    from latxa_cli.corpus.profile import profile_names
    from latxa_cli.corpus.steps import chosen
    from latxa_cli.evaluation.libraries import Talk
    from latxa_cli.evaluation.tasks import items_of
    from latxa_cli.model import load_tokenizer
    from latxa_cli.stages import open_work, plan_of
    from latxa_cli.stream.inputs import check_exists

    steps = chosen(only or [], skip or [], contamination=bool(against or against_task))
    options = CorpusOptions(language, steps, profile, language_model, similarity, text_documents, seed, memory)
    run.say_all(options.check(workers, review=review is not None))
    found = run.sources(sources)
    for file in against or []:
        check_exists(file)
    own_profile = profile if profile not in profile_names() else None
    run.depends_on(own_profile, language_model, tokenizer, *(against or []))
    measure = load_tokenizer(tokenizer) if tokenizer else None
    reviewed, card_file = run.file(review), run.file(card)
    with open_work(
        run, run.work_folder(work), plan_of(run, memory=memory), MODULES,
        executor=executor, workers=workers, most=memory // WORKER_BYTES,
    ) as place:  # fmt: skip
        talk = Talk(run.say, run.detail, run.destination.verbose, run.terminal.draws)
        items = chain(*map(read_items, against or []), items_of(against_task or [], task_folder, talk))
        made = build(options, found, items, place, rejects=run.sets_aside, review=bool(review))
        run.reads(made.inputs)
        run.counts.read += made.read
        run.write(made.outcomes(reviewed))
    if measure:
        made.measure_tokens(measure)
    run.say_all(made.lines())
    run.terminal.table(made.funnel.lines())
    run.note(**made.facts())
    if card_file:
        card_file.write_text(made.card())
