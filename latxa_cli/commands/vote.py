"""`latxa vote`."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import Files, Run, flag, verb


@verb(makes="appended")
def vote(
    run: Run,
    files: Files = None,
    *,
    language: Annotated[
        str,
        flag("The language of the page, or a file with its words.", "--language", "-l", metavar="CODE|FILE"),
    ] = "en",
    consent: Annotated[
        Path | None, flag("A text that voters accept before they vote (licence, privacy).", metavar="FILE")
    ] = None,
    host: Annotated[str, flag("The address to listen at.", metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, flag("The port to listen at; 0 takes a free one.", min=0, max=65535)] = 8000,
    behind_proxy: Annotated[
        bool, flag("A proxy serves the page by HTTPS, so cookies go no other way.", "--behind-proxy")
    ] = False,
    votes_per_minute: Annotated[int, flag("The most votes of one voter in a minute.", min=1)] = 30,
) -> None:
    """Let people vote on pairs of responses on a web page.

    in:  responses of two models or more {id, messages, model}; those to one prompt have the same id, or the same turns
         of the user where ids differ
    out: battles {id, prompt_id, model_a, model_b, winner, winner_content, winner_language, reasons, user, timestamp,
         conversation_a, conversation_b, metadata}; `model_a` was shown first

    Voters say whose content is better and whose language is, and who is better on the whole where these contradict
    each other. They see no names of models. A vote is on the disk before the voter hears so. Ctrl-C ends the run, and
    `--resume` goes on with the votes that are there.

    No addresses are stored. `user` is a hash of a random cookie, made with a key in FILE.key. Votes that look careless
    are stored with the reason (`metadata.suspicion`).

    memory: all responses, and some 500 bytes a vote

    examples:
      latxa vote ours.jsonl theirs.jsonl -o votes.jsonl --language eu
      latxa vote ours.jsonl theirs.jsonl -o votes.jsonl --resume --consent licence.txt --port 8080 --behind-proxy
    """
    from random import SystemRandom

    from latxa_cli.stream.appended import AppendedOutputs
    from latxa_cli.voting.contest import contest_of
    from latxa_cli.voting.page import agreement_of, consent_text, page_of, words_of
    from latxa_cli.voting.poll import Poll
    from latxa_cli.voting.server import Server, listen, serve

    words, text = words_of(language), consent_text(consent)
    run.depends_on(consent)
    contest = contest_of(response for name in files or ["-"] for response in run.read_all(name, "response"))
    listening = listen(host, port)
    votes = run.outputs
    assert isinstance(votes, AppendedOutputs)
    poll = Poll(
        contest, votes.key(), append=votes.append, refuse=votes.refuse, random=SystemRandom(),
        consent=agreement_of(text), per_minute=votes_per_minute, facts={"interface": words["code"]},
    )  # fmt: skip
    page = page_of(words, poll.ballots.poll, text)
    earlier = poll.recall(votes.earlier("battle"))
    run.say_all(filter(None, [votes.remark, contest.remark]))
    address = "http://{}:{}/".format(f"[{host}]" if ":" in host else host, listening.getsockname()[1])
    models, prompts = f"{len(contest.models)} models", f"{len(contest.answers):,} prompts"
    serve(
        Server(poll, page, secure=behind_proxy).app(),
        listening,
        ready=lambda: run.say_all(
            [
                f"for you alone: {address}organiser/{poll.ballots.organiser}",
                f"for voters: {address} shows {models} on {prompts}; {earlier:,} votes so far; Ctrl-C ends it",
            ]
        ),
    )
