"""`latxa vote`."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import Files, MaxTokens, Run, Temperature, TopP, excludes, flag, needs, verb

LIVE = ("served", "key", "temperature", "top_p", "max_tokens", "turns", "timeout", "messages_per_minute")
CONDITIONS = [
    *(needs(name, "model") for name in LIVE),
    excludes("top_p", ("temperature", 0.0), hint="at temperature 0 the likeliest token is taken"),
]


@verb(makes="appended", conditions=CONDITIONS)
def vote(
    run: Run,
    files: Files = None,
    *,
    model: Annotated[
        list[str] | None,
        flag(
            "A model that answers what voters write, on an OpenAI-compatible server; repeat it.",
            "--model",
            "-m",
            metavar="NAME=URL",
        ),
    ] = None,
    served: Annotated[
        list[str] | None, flag("What a model's server calls it, if not NAME; repeat it.", metavar="NAME=SERVED")
    ] = None,
    key: Annotated[
        list[str] | None,
        flag("A file with the key of a model's server; repeat it. [default: OPENAI_API_KEY]", metavar="NAME=FILE"),
    ] = None,
    temperature: Temperature = 0.9,
    top_p: TopP = 0.95,
    max_tokens: MaxTokens = 2048,
    turns: Annotated[int, flag("The most messages of a conversation.", min=1, max=50)] = 8,
    timeout: Annotated[float, flag("The most seconds of an answer.", metavar="SECONDS", min=0.1, max=3600)] = 60,
    messages_per_minute: Annotated[int, flag("The most messages of one voter in a minute.", min=1)] = 10,
    language: Annotated[
        str,
        flag("The language of the page, or a file with its words.", "--language", "-l", metavar="CODE|FILE"),
    ] = "en",
    consent: Annotated[
        Path | None, flag("A text that voters accept before they vote (licence, privacy).", metavar="FILE")
    ] = None,
    errors: Annotated[bool, flag("Let voters mark the wrong words of answers.", "--errors")] = False,
    corrections: Annotated[bool, flag("Let voters correct the better answer.", "--corrections")] = False,
    about: Annotated[
        Path | None, flag("Questions that voters may answer about themselves (TOML).", metavar="FILE")
    ] = None,
    pairs: Annotated[
        str | None,
        flag("Show these pairs of models first, a vote each, as `arena-next` proposes them.", metavar="FILE"),
    ] = None,
    table: Annotated[
        int | None, flag("Let voters see which models they preferred, from N votes on. [default: never]", min=1)
    ] = None,
    host: Annotated[str, flag("The address to listen at.", metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, flag("The port to listen at; 0 takes a free one.", min=0, max=65535)] = 8000,
    behind_proxy: Annotated[
        bool,
        flag("A proxy serves the page by HTTPS, under a name of its own; cookies go no other way.", "--behind-proxy"),
    ] = False,
    votes_per_minute: Annotated[int, flag("The most votes of one voter in a minute.", min=1)] = 30,
) -> None:
    """Let people vote on pairs of responses on a web page.

    in:  responses of two models or more {id, messages, model}; those to one prompt have the same id, or the same turns
         of the user where ids differ; none with --model
    out: battles {id, prompt_id, model_a, model_b, winner, winner_content, winner_language, reasons, user, timestamp,
         conversation_a, conversation_b, metadata}; `model_a` was shown first

    Voters say whose content is better and whose language is, and who is better on the whole where these contradict
    each other. They see no names of models. Who cannot judge a pair skips it (`skipped`): that is no verdict, and is
    never counted as one. A vote is on the disk before the voter hears so. Ctrl-C ends the run, and `--resume` goes on
    with the votes that are there. Two addresses are said: one for voters, and one with counts for you alone.

      --errors       a tap, a selection or keys mark words; stored as `errors`, with `errors_per_100_words`
      --corrections  the better answer as it should be; stored as `correction`, of which `preferences` makes pairs
      --about        a table a question, called as the field of the votes: [user_language] question = "…",
                     answers = ["…", "…"]
      --pairs        voters see a pair of it next, also after --resume; then the pair with the fewest votes
      --table        names models; who has seen it knows more, so later votes are marked (`informed`)

    With --model, voters write the messages, and two of the models answer, at random on the left and on the right. Both
    answers are shown at once, at a time that does not tell which one took longer. A model that fails before the first
    answer is replaced by another one. Failures are counted, and never a verdict: the organiser's page has them. What
    people write is stored with their vote, and not without one. OPENAI_API_KEY goes to all servers without a --key,
    which then are on one host, or on this machine.

    A voter can withdraw all votes by the code that the page shows: they are gone from the file at once.
    No addresses are stored. `user` is a hash of a random cookie, made with a key in FILE.key. Votes that look careless
    are stored with the reason (`metadata.suspicion`).

    memory: all responses, and some 500 bytes a vote

    examples:
      latxa vote ours.jsonl theirs.jsonl -o votes.jsonl --language eu --errors --corrections
      latxa vote ours.jsonl theirs.jsonl -o votes.jsonl --resume --consent licence.txt --port 8080 --behind-proxy
      latxa vote --model ours=http://localhost:8000/v1 --model theirs=http://localhost:8001/v1 -o votes.jsonl
    """
    import os

    from latxa_cli.generation.engine import Decoding
    from latxa_cli.voting.live import Limits
    from latxa_cli.voting.server import Address
    from latxa_cli.voting.vote import Live, Settings, hold_vote

    live = Live(
        tuple(model or ()), tuple(served or ()), tuple(key or ()), os.environ.get("OPENAI_API_KEY"), timeout,
        Decoding(max_tokens, temperature, top_p), Limits(turns, messages_per_minute),
    )  # fmt: skip
    modes = tuple(name for name, asked in (("errors", errors), ("corrections", corrections)) if asked)
    settings = Settings(
        language, consent, about, modes, table, pairs, votes_per_minute, Address(host, port, behind_proxy)
    )
    hold_vote(run, files or [], live if model else None, settings)
