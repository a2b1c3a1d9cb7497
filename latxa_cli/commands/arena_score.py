"""`latxa arena-score`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import (
    Collapse,
    Criteria,
    Exclude,
    Files,
    MostPerUser,
    Run,
    Seed,
    Since,
    TableFormat,
    Until,
    excludes,
    flag,
    needs,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import LatxaError

Control = StrEnum("Control", ["length", "style", "position"])  # typer takes no list of a Literal
OTHER_TIES = (("ties", "davidson"), ("ties", "drop"))
CONDITIONS = (
    needs("at_least", "by"),
    excludes("control", *OTHER_TIES, hint="where styles are held equal, ties are half wins"),
    excludes(("interval", "sandwich"), *OTHER_TIES, hint="the sandwich takes ties for half wins"),
    excludes("paper", "ties", "prior", "anchor", "control", "rounds", "confidence", "resample", "interval", "seed",
             hint="`--paper` decides by itself how to rate"),
)  # fmt: skip


@verb(makes="whole", conditions=CONDITIONS)
def arena_score(
    run: Run,
    files: Files = None,
    *,
    criterion: Criteria = None,
    collapse: Collapse = False,
    ties: Annotated[
        Literal["half", "davidson", "drop"],
        flag("Ties are half a win for each, have a model of their own, or don't count."),
    ] = "half",
    prior: Annotated[float, flag("Add L/2 wins both ways to every pair that met.", metavar="L", min=0.0)] = 0.0,
    anchor: Annotated[str | None, flag("Hold one rating. [default: the mean is 1000]", metavar="MODEL=RATING")] = None,
    control: Annotated[list[Control] | None, flag("Rate as if responses were alike in this; repeat it.")] = None,
    rounds: Annotated[int, flag("Bootstrap rounds.", min=1)] = 1000,
    confidence: Annotated[float, flag("Confidence of the intervals.", min=0.01, max=0.999)] = 0.9,
    resample: Annotated[
        Literal["vote", "user", "prompt"] | None,
        flag("What is redrawn together. [default: user, where battles name users]"),
    ] = None,
    interval: Annotated[Literal["bootstrap", "sandwich"], flag("How intervals are made.")] = "bootstrap",
    by: Annotated[
        list[str] | None,
        flag("A ranking too for each value of a field (`user_language`); repeat it.", metavar="FIELD"),
    ] = None,
    at_least: Annotated[int, flag("Votes that a value of `--by` must have.", metavar="N", min=1)] = 100,
    groups: Annotated[Path | None, flag("Rate groups of models: a table `model<TAB>group`.", metavar="FILE")] = None,
    mask: Annotated[
        str | None,
        flag("Rate groups by the characters of names at `?` (`exp_*_?**`), beside those of `--groups`.",
             metavar="MASK"),
    ] = None,
    copies: Annotated[bool, flag("List variants that equal a rated one too.", "--copies")] = False,
    exclude: Exclude = None,
    most_per_user: MostPerUser = None,
    since: Since = None,
    until: Until = None,
    results: Annotated[
        list[str] | None, flag("Correlate ratings with results of `eval`; repeat it.", metavar="FILE")
    ] = None,
    paper: Annotated[bool, flag("The procedure of the paper on Basque.", "--paper")] = False,
    strict: Annotated[bool, flag("Fail where models cannot be compared or ratings are infinite.", "--strict")] = False,
    seed: Seed = 0,
    format: TableFormat = None,
) -> None:  # fmt: skip
    """Rate models by their battles (Bradley-Terry).

    in:  battles {model_a, model_b, winner}; winner is model_a, model_b, tie or tie (bothbad)
    out: ratings {model, rating, lower, upper, rank, rank_lower, rank_upper, tier, battles …}, best first; differences
         {model, difference, lower, upper, against} between criteria and subgroups; findings {finding, value, text}

    The rating is the maximum-likelihood estimate from all votes: mean 1000, 400 points for odds of 10 to 1; the
    interval is of redrawn votes. `ranks` hold for all models at once, and models of one tier are not surely worse than
    the first of it. ∞ (null in JSON) is a rating or a bound that the votes do not limit: a model that never lost.
    Models that never met, not even by way of others, have rankings of their own (`island`). Findings that matter stand
    below the table. Battles that cannot be counted are counted by reason. Memory: up to 100 bytes a battle.

    `--paper`: half wins, 100 rounds by vote, seed 42, the mean of the rounds as a whole number; it bars the flags of
    the method. `--control` and `--interval sandwich` take ties for half wins, and give no differences. `--collapse`:
    content and language decide where they agree; else `winner` does, if given; else the one that is no tie.

    examples:
      latxa arena-score battles.jsonl
      latxa arena-score battles.jsonl --criterion winner --criterion winner_language --format markdown
      latxa arena-score battles.jsonl --by user_language --anchor base=1000 -o ratings.jsonl
      latxa judge ours.jsonl theirs.jsonl | latxa arena-score --prior 1
    """
    from latxa_cli.arena.battles import read_votes
    from latxa_cli.arena.filters import battle_filters
    from latxa_cli.arena.groups import in_groups
    from latxa_cli.arena.rankings.intervals import PAPER, RatingMethod, anchor_of
    from latxa_cli.arena.score import ScoreRequest, records_of, score
    from latxa_cli.report.boards import show

    method = PAPER if paper else RatingMethod(rounds, confidence, ties, prior, seed, anchor_of(anchor))
    request = ScoreRequest.of(method, criterion, by, at_least, resample, interval, control, paper=paper)
    tally = request.tally(battle_filters(exclude, since, until, most_per_user), collapse=collapse)
    votes = in_groups(run, read_votes(run, files, tally), groups, mask)
    if method.rounds < (fewest := method.fewest_rounds):
        run.say(f"{method.rounds} rounds give too narrow intervals at a confidence of {confidence:g}: take {fewest:,}")
    scores = score(votes, request)
    show(run, records_of(scores, [run.read_all(file, "result") for file in results or ()], copies), format, scores.unit)
    if strict and not scores.is_sound:
        raise LatxaError("the votes do not carry one ranking", hint="the findings say why; `--prior 1` bounds ratings")
