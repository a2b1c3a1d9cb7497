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
Against = Annotated[list[str] | None, flag("Evaluation items to keep out; repeat it.", metavar="FILE")]
AgainstTask = Annotated[list[str] | None, flag("An lm-evaluation-harness task to keep out; repeat it.", metavar="TASK")]
TaskFolder = Annotated[Path | None, flag("A folder of task files.", metavar="DIR")]
Only = Annotated[list[str] | None, flag("Take only this step; repeat it.", metavar="STEP")]
Skip = Annotated[list[str] | None, flag("Leave this step out; repeat it.", metavar="STEP")]
TextDocuments = Annotated[Literal["file", "blank-line", "line"], flag("The unit that is a document in a text file.")]
Review = Annotated[OutputFile, flag("Write documents of uncertain or mixed language here.", metavar="FILE")]
Card = Annotated[OutputFile, flag("Write a data card here (Markdown).", metavar="FILE")]
Tokenizer = Annotated[str | None, flag("Estimate tokens by this model's tokenizer.", metavar="MODEL")]


@verb(makes="whole", conditions=(needs("task_folder", "against_task"),))
def corpus(
    run: Run, sources: Sources = None, *, language: Language, profile: Profile = None,
    language_model: LanguageModel = None, similarity: Similarity = 0.7, against: Against = None,
    against_task: AgainstTask = None, task_folder: TaskFolder = None, only: Only = None, skip: Skip = None,
    text_documents: TextDocuments = "file", review: Review = None, card: Card = None, tokenizer: Tokenizer = None,
    seed: Seed = 0, memory: Memory = "2GB", workers: Workers = None, executor: ExecutorName = "local",
    work: WorkFolder = None,
) -> None:  # fmt: skip
    """Make a clean, deduplicated corpus of one language from many dumps.

    in:  documents {text, ...}; those of text files get the id SOURCE/PATH, or SOURCE/PATH#LINE
    out: documents with clean text, in input order, with `language`, `source` if it was named, and
         in `metadata` language_probability, split (train, valid, test: 98/1/1) and cluster_size
         (the number of copies, if there were several)

    steps, in their order:
      normalise      clean the text: NFC, control characters, spaces, mojibake
      boilerplate    remove lines that are repeated across a source
      language       drop documents in other languages
      quality        drop documents that fail the rules of the profile
      contamination  drop documents that share 13 words in a row with --against
      exact url near drop documents with the same text as a kept one, its URL, or nearly its text
      paragraphs     remove paragraphs at both ends that an earlier document has
      split          draw train, valid and test by seed and id

    Of copies in several sources, that of the first source stays. A document is dropped only as a
    copy of a document that is kept, which its entry in --rejects names (`duplicate_of`,
    `similarity`). Copies are written there in clean form, and other documents unchanged. The
    losses of each source and step are shown at the end, and stand in the manifest.

    examples:
      latxa corpus dump.jsonl --language eu > clean.jsonl
      latxa corpus wiki=wiki.jsonl.zst crawls/ --language cy --rejects rejects.jsonl -o cy.jsonl.zst
      latxa corpus dump.jsonl --language eu --against exam.jsonl --card card.md -o eu.jsonl --resume
      latxa corpus a.jsonl b.jsonl --language eu --only exact > distinct.jsonl
    """
    from latxa_cli.corpus.contamination import read_items
    from latxa_cli.corpus.pipeline import CorpusOptions, build, most_workers
    from latxa_cli.corpus.profile import profile_names
    from latxa_cli.corpus.steps import choose_steps
    from latxa_cli.evaluation.libraries import Console
    from latxa_cli.evaluation.tasks.loading import items_of
    from latxa_cli.stages import open_work, plan_of
    from latxa_cli.stream.inputs import check_exists
    from latxa_cli.tokenizer import load_tokenizer

    steps = choose_steps(only or [], skip or [], contamination=bool(against or against_task))
    options = CorpusOptions(language, steps, profile, language_model, similarity, text_documents, seed, memory)
    run.say_all(options.check(workers, review=review is not None))
    inputs = run.sources(sources)
    for file in against or []:
        check_exists(file)
    own_profile = profile if profile not in profile_names() else None
    run.depends_on(own_profile, language_model, tokenizer, *(against or []))
    measure = load_tokenizer(tokenizer) if tokenizer else None
    reviewed, card_file = run.file(review), run.file(card)
    with open_work(
        run, run.work_folder(work), plan_of(run, memory=memory), options.modules,
        executor=executor, workers=workers, most=most_workers(inputs, memory),
    ) as place:  # fmt: skip
        console = Console(run.say, run.detail, run.destination.verbose, run.terminal.draws)
        items = chain(*map(read_items, against or []), items_of(against_task or [], task_folder, console))
        result = build(options, inputs, items, place, rejects=run.sets_aside, review=bool(review))
        run.reads(result.inputs)
        run.counts.read += result.read
        run.write(result.outcomes(reviewed))
    if measure:
        result.measure_tokens(measure)
    run.say_all(result.lines())
    run.terminal.table(result.funnel.lines())
    run.note(**result.facts())
    if card_file:
        card_file.write_text(result.card())
