"""The whole of `latxa vote`: what is shown, the votes that are there, and the server that takes more of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

from latxa_cli.generation.engine import Decoding
from latxa_cli.stream.appended import AppendedOutputs
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.run import Run
from latxa_cli.voting.ballots import Ballots, ContestBallots
from latxa_cli.voting.contest import contest_of
from latxa_cli.voting.contestants import contestants_of
from latxa_cli.voting.live import Limits, LiveBallots
from latxa_cli.voting.page import Offer, agreement_of, consent_text, page_of, words_of
from latxa_cli.voting.poll import Poll, Rules
from latxa_cli.voting.profile import questions_of
from latxa_cli.voting.server import Address, Server, listen, serve

OfKey = Callable[[bytes], Ballots]


@dataclass(frozen=True)
class Live:
    """The models of a live poll: `NAME=URL`, `NAME=SERVED` and `NAME=FILE` of keys; and how they answer."""

    models: tuple[str, ...]
    served: tuple[str, ...]
    keys: tuple[str, ...]
    api_key: str | None = field(repr=False)
    timeout: float  # seconds
    decoding: Decoding
    limits: Limits


@dataclass(frozen=True)
class Settings:
    """language: of the page, a code or a file. consent, about: files. per_minute: the most votes of a voter.

    modes: what voters may do besides voting, see `page`. table: after how many votes they may see what they preferred.
    pairs: a file of pairs of models that come first.
    """

    language: str
    consent: Path | None
    about: Path | None
    modes: tuple[str, ...]
    table: int | None
    pairs: str | None
    per_minute: int
    address: Address


def hold_vote(run: Run, files: Sequence[str], live: Live | None, settings: Settings) -> None:
    """Serve the page until Ctrl-C, and add each vote to the output.

    Raises UsageError or LatxaError for what cannot be shown, and for an address that cannot be had.
    """
    words, text, random = words_of(settings.language), consent_text(settings.consent), SystemRandom()
    questions = questions_of(settings.about)
    run.depends_on(settings.consent, settings.about)
    if live and files:
        raise UsageError("FILE and `--model` do not go together", hint="files hold the prompts, or voters write them")
    of_key = _from_models(live, random) if live else _from_files(run, files)
    listening = listen(settings.address.host, settings.address.port)
    votes = run.outputs
    assert isinstance(votes, AppendedOutputs)
    ballots = of_key(votes.key())
    poll = Poll(
        ballots, votes, Rules(agreement_of(text), settings.per_minute, questions, settings.table),
        random=random, facts={"interface": words["code"]}, tell=run.say,
    )  # fmt: skip
    page = page_of(words, ballots.poll, Offer(text, settings.modes, questions, settings.table))
    remark = poll.want(run.read_all(settings.pairs, "proposal")) if settings.pairs else ""
    earlier = poll.recall(votes.earlier("battle"))
    run.say_all(filter(None, [votes.remark, ballots.remark, remark]))
    host = f"[{settings.address.host}]" if ":" in settings.address.host else settings.address.host
    address = f"http://{host}:{listening.getsockname()[1]}/"
    serve(
        Server(poll, page, settings.address).app(),
        listening,
        ready=lambda: run.say_all(
            [
                f"for you alone: {address}organiser/{ballots.organiser}",
                f"for voters: {address} shows {ballots.what}; {earlier:,} votes so far; Ctrl-C ends it",
            ]
        ),
    )
    run.note(**ballots.summary())


def _from_files(run: Run, files: Sequence[str]) -> OfKey:
    contest = contest_of(response for name in files or ["-"] for response in run.read_all(name, "response"))
    return lambda key: ContestBallots(contest, key)


def _from_models(live: Live, random: Random) -> OfKey:
    contestants = contestants_of(live.models, live.served, live.keys, api_key=live.api_key, timeout=live.timeout)
    return lambda key: LiveBallots(contestants, key, decoding=live.decoding, limits=live.limits, random=random)
