"""`latxa corpus`: from messy documents to clean ones in one language."""

from typing import Annotated

import typer

from latxa_cli.options import Files, Language, Run, verb


@verb
def corpus(
    run: Run,
    files: Files = None,
    *,
    language: Language,
    minimum_words: Annotated[int, typer.Option(min=0, metavar="N", help="Reject documents with fewer words.")] = 5,
    minimum_probability: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="P", help="Reject documents less surely in the language.")
    ] = 0.5,
) -> None:
    """Clean raw documents of one language.

    in:  documents
    out: documents with clean text (NFC, no controls, plain spaces), their `language`
         and its probability, in input order

    rejected: empty, too short, exact duplicate (but for case and spaces), wrong language,
              uncertain language; `--rejects FILE` keeps them as they came

    Memory grows by about 100 bytes a kept document.

    examples:
      latxa corpus dump.jsonl --language eu > clean.jsonl
      zcat dump.jsonl.gz | latxa corpus --language cy -o clean.jsonl.zst --rejects rejects.jsonl
    """
    from latxa_cli.corpus.pipeline import Settings, clean
    from latxa_cli.text.language import check_language
    from latxa_cli.text.normalise import fingerprint

    settings = Settings(check_language(language), minimum_words, minimum_probability)
    seen = {fingerprint(document["text"]) for document in run.already_written()}
    run.write(clean(run.read(files, "document"), settings, seen))
