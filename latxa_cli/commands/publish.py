"""`latxa publish`."""

from typing import Annotated, Literal

from latxa_cli.options import Files, OutputFile, Run, Today, flag, verb


@verb(makes="whole")
def publish(
    run: Run,
    files: Files = None,
    *,
    card: Annotated[OutputFile, flag("Write a data card here (Markdown).", metavar="FILE")] = None,
    review: Annotated[
        OutputFile, flag("Write texts with personal data here, to be decided on.", metavar="FILE")
    ] = None,
    decisions: Annotated[
        list[str] | None, flag("A file of --review in which a person has decided; repeat it.", metavar="FILE")
    ] = None,
    delay: Annotated[int, flag("Leave out votes of the last N days, which voters may withdraw.", min=0)] = 14,
    names: Annotated[
        Literal["latxa", "ebaluatoia", "lmarena", "comparia"], flag("Name fields as this arena does.")
    ] = "latxa",
    title: Annotated[str, flag("The title of the card.", metavar="TEXT")] = "Votes on answers of language models",
    licence: Annotated[str, flag("The licence of the votes, as hubs write it.", metavar="NAME")] = "cc0-1.0",
    date: Today = None,
) -> None:
    """Make a data set that may be published from votes of people.

    in:  battles of `vote` {model_a, model_b, winner, user, timestamp, conversation_a, conversation_b …}
    out: the same, without those that may not be published; with --names, in the fields of another arena

    Left out, and counted by reason: votes that are too young, of another shape or repeated, skipped pairs, and votes in
    whose texts something looks like an e-mail address, or a phone, account, card or identity number. --review writes
    each of these texts once. A person gives each a `decision`: "publish", "cover" (with blocks: positions stay) or
    "leave out". What is not decided is not published. Names of people are not found: for these, read the texts.

      --card   counts, languages, method, fields and licence, as hubs of data sets read them (`README.md`)

    memory: some 200 bytes a vote, a voter and a prompt, and the texts to be decided on

    examples:
      latxa publish people.jsonl -o data/votes.jsonl --card data/README.md --review review.jsonl
      latxa publish people.jsonl -o data/votes.jsonl --card data/README.md --decisions review.jsonl
      latxa publish people.jsonl --names lmarena --delay 0 > votes.jsonl
    """
    from latxa_cli.voting.publishing.card import card as card_of
    from latxa_cli.voting.publishing.forms import FORMS
    from latxa_cli.voting.publishing.release import Published, release
    from latxa_cli.voting.publishing.review import Review

    today, published = run.day(date), Published()
    reviewed = Review((name, entry) for name in decisions or () for entry in run.read_all(name, "record"))
    votes = run.read(files, "battle")
    run.write(release(votes, reviewed, FORMS[names], published, today=today, delay=delay))
    queue, waiting = run.file(review), reviewed.queue
    if queue is not None:
        for entry in waiting:
            queue.write(entry)
    if waiting:
        where = f"decide in {review}" if review else "`--review FILE` writes them"
        run.say(f"{len(waiting):,} texts wait for a decision: {where}")
    if (file := run.file(card)) is not None:
        name = run.output.name if run.output else "votes.jsonl"
        file.write_text(
            card_of(published, title=title, licence=licence, names=names, file=name, today=today, delay=delay)
        )
