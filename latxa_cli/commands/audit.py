"""`latxa audit`: which translations are faulty, and why."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import Files, OutputFile, Run, flag, verb


@verb(makes="whole")
def audit(
    run: Run,
    files: Files = None,
    *,
    original: Annotated[str, flag("The records that were translated, with the same ids.", "--source", metavar="FILE")],
    target: Annotated[str, flag("The language of the translations: a code or a name.", "--to", metavar="LANGUAGE")],
    source: Annotated[
        str | None,
        flag("The language of the sources. [default: not known]", "--from", metavar="LANGUAGE"),
    ] = None,
    field: Annotated[
        list[str] | None,
        flag("The translated field: `messages`, `text`, or another; repeat it. [default: messages]", metavar="NAME"),
    ] = None,
    keep_system: Annotated[bool, flag("System turns were left as they are.", "--keep-system")] = False,
    translate_comments: Annotated[bool, flag("Comments in code may be translated.", "--translate-comments")] = False,
    calibrate: Annotated[
        str | None, flag("Pairs that say how long translations are. [default: a guess]", metavar="FILE")
    ] = None,
    checks: Annotated[Path | None, flag("Limits and phrases of the checks, as TOML.", metavar="FILE")] = None,
    shots: Annotated[str | None, flag("The pairs that the translator's prompt showed.", metavar="FILE")] = None,
    references: Annotated[
        str | None, flag("Reference translations with the same ids: chrF++ and BLEU.", metavar="FILE")
    ] = None,
    round_trip: Annotated[
        str | None, flag("Translations back into the source's language, with the same ids: chrF.", metavar="FILE")
    ] = None,
    page: Annotated[OutputFile, flag("Write a page with counts and examples here (`.html`).", metavar="FILE")] = None,
) -> None:
    """Check translations against their sources.

    in:  translated records; with --field, documents or any records
    out: those that pass, as they are, in their order

    A record is rejected for the first fault of its texts. The checks need no model.

    rejected:
      no source, repeated id, other turns                 the files do not fit together
      empty, null, leaked role or examples, broken characters, wrapper, added text, repetition
      copied source, partly copied source, another language, another script
      altered code, lost part, other choices, other numbers, other list items, other table, other lines
      answered, unfinished, too long, too short
      does not survive translation                        asks for letters, rhymes, grammar or a translation
      same translation of different sources, translation of another record

    Where faults lie dense, a job broke or files were joined wrongly: such runs are named by their first and last id.

    memory: the references; records wait on disk, in the folder for temporary files

    examples:
      latxa audit eu.jsonl --source en.jsonl --from en --to eu --rejects bad.jsonl > good.jsonl
      latxa audit eu.jsonl --source en.jsonl --from en --to eu --calibrate pairs.jsonl --page audit.html -o good.jsonl
      latxa audit items_cy.jsonl --source items.jsonl --to cy --field question --field choices --references cy.jsonl
    """
    from latxa_cli.report.pages.audit import AuditPage, ShownFault
    from latxa_cli.stream.display import render
    from latxa_cli.translation.audit.audit import Audit
    from latxa_cli.translation.audit.inputs import checks_of, false_alarms
    from latxa_cli.translation.audit.marks import marked
    from latxa_cli.translation.audit.quality import Others, scores
    from latxa_cli.translation.audit.report import Report
    from latxa_cli.translation.fields import kind_of_records

    fields = field or ["messages"]
    kind = kind_of_records(fields)
    records = run.read(files, kind)
    run.depends_on(checks)
    pairs = {name: run.read_all(name, "pair") for name in (calibrate, shots) if name}
    judge = checks_of(
        target, source, limits=checks, comments=translate_comments, pairs=pairs[calibrate] if calibrate else None,
    )  # fmt: skip
    compared, back = (
        Others.of(run.read_all(name, kind), fields) if name else None for name in (references, round_trip)
    )
    shown = [(pair["source"], pair["target"]) for pair in pairs[shots]] if shots else []
    auditor = Audit(judge, fields, keep_system=keep_system, shots=shown, references=compared, back=back)
    auditor.load(run.read_beside(original, kind), records)
    run.write(auditor.outcomes())
    alarms = false_alarms(judge, pairs[calibrate]) if calibrate else None
    report = Report(auditor.findings, judge, original, scores(compared, back, judge.target), alarms)
    if rows := report.rows():
        run.terminal.table(render(rows, list(rows[0]), "table").splitlines())
    run.say_all(report.sentences())
    run.note(**report.facts())
    if writer := run.file(page):
        found = auditor.findings
        examples = {
            reason: [ShownFault(one.id, one.name, one.fault.detail, *marked(one)) for one in some]
            for reason, some in found.examples.items()
        }
        shown_page = AuditPage(
            f"Audit of {', '.join(files or ['stdin'])}", report.facts_in_words(), found.records, found.faults,
            report.runs(), report.score_rows(), examples,
        )  # fmt: skip
        writer.write_text(shown_page.html())
