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

    in:  documents of good text, such as an edited corpus: at least 100, better some thousands
    out: a profile for `latxa corpus --profile`: TOML, with a comment on the origin of each value

    A profile holds limits for the lengths of words and documents, limits for lines and repeated
    phrases, the most frequent words, and the alphabet. Rules that need longer documents are left
    out. So are rules on lines if the documents are single sentences. A tenth of the documents is
    held out to check the profile, and the number that it rejects is shown.

    rejected: no words

    memory: at most 20,000 documents, drawn by their ids, and 50 million characters

    examples:
      latxa profile trusted.jsonl > qu.toml
      latxa profile wiki.jsonl.zst books.jsonl --language oc -o oc.toml
    """
    from latxa_cli.corpus.derive import TrustedSample, derive
    from latxa_cli.stream.errors import UsageError

    if language is not None and not language.replace("-", "").isalnum():
        raise UsageError(f"`--language {language}` is not a language code", hint="such as `eu`, `oc`, `qu`")
    trusted = TrustedSample()
    run.write(trusted.add(run.read(files, "document")))
    derived = derive(trusted, language)
    run.print(derived.toml, records=1)
    run.note(language=derived.language, documents=derived.used, checked=derived.checked, fails=derived.rejected)
    run.say(f"{derived.checked:,} documents set aside: {derived.rejected.total():,} fail the profile")
    for warning in derived.warnings():
        run.say(f"warning: {warning}")
