"""`latxa profile`."""

from typing import Annotated

from latxa_cli.options import Files, Run, flag, verb

Language = Annotated[
    str | None,
    flag("The language, as a BCP-47 code. [default: that of most documents]", "--language", "-l", metavar="CODE"),
]


@verb(makes="whole")
def profile(run: Run, files: Files = None, *, language: Language = None) -> None:
    """Derive a quality profile of a language from trusted text.

    in:  documents that are known to be good, 100 at least and better some thousands, such as a
         corpus that was edited by people
    out: a profile for `latxa corpus --profile`: TOML, each value with how it came to be

    A profile holds limits for the lengths of words and documents, for lines and repeated phrases,
    the most frequent words, and the alphabet. Rules that need longer documents are left out, as are
    those about lines where the documents are single sentences. A tenth of the documents only checks
    the result, and how many of them it rejects is shown.

    rejected: no words

    At most 20,000 documents, drawn by their ids, and 50 million characters are held in memory.

    examples:
      latxa profile trusted.jsonl > qu.toml
      latxa profile wiki.jsonl.zst books.jsonl --language oc -o oc.toml
    """
    from latxa_cli.corpus.derive import Trusted, derive
    from latxa_cli.stream.errors import UsageError

    if language is not None and not language.replace("-", "").isalnum():
        raise UsageError(f"`--language {language}` is not a language code", hint="such as `eu`, `oc`, `qu`")
    trusted = Trusted()
    run.write(trusted.add(run.read(files, "document")))
    derived = derive(trusted, language)
    run.print(derived.toml, records=1)
    run.note(language=derived.language, documents=derived.used, checked=derived.checked, fails=derived.rejected)
    run.say(f"{derived.checked:,} documents set aside: {derived.rejected.total():,} fail the profile")
    for warning in derived.warnings():
        run.say(f"warning: {warning}")
