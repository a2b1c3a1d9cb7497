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
    VoteColumns,
    VoteLabels,
    VoteResponses,
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
    excludes("preference", "collapse", *OTHER_TIES, hint="a preference is a share of a win, and no verdict"),
    excludes(("interval", "sandwich"), *OTHER_TIES, hint="the sandwich takes ties for half wins"),
    excludes("paper", "ties", "prior", "preference", "anchor", "control", "rounds", "confidence", "resample",
             "interval", "seed", hint="`--paper` decides by itself how to rate"),
)  # fmt: skip


@verb(makes="whole", conditions=CONDITIONS)
def arena_score(
    run: Run,
    files: Files = None,
    *,
    column: VoteColumns = None,
    label: VoteLabels = None,
    responses: VoteResponses = None,
    hash_users: Annotated[
        bool, flag("Name users in findings by pseudonyms, or as they are.", "--hash-users/--show-users")
    ] = True,
    criterion: Criteria = None,
    collapse: Collapse = False,
    ties: Annotated[
        Literal["half", "davidson", "drop"],
        flag("Count a tie as half a win for each, fit Davidson's model of ties, or drop ties."),
    ] = "half",
    prior: Annotated[float, flag("Add L/2 wins both ways to every pair that met.", metavar="L", min=0.0)] = 0.0,
    preference: Annotated[
        bool,
        flag("Take `preference`, where a battle has it, for the share of `winner` that model_a has.", "--preference"),
    ] = False,
    anchor: Annotated[str | None, flag("Fix one rating. [default: the mean is 1000]", metavar="MODEL=RATING")] = None,
    control: Annotated[list[Control] | None, flag("Rate as if responses did not differ in this; repeat it.")] = None,
    rounds: Annotated[int, flag("Bootstrap rounds.", min=1, max=1_000_000)] = 1000,
    confidence: Annotated[float, flag("Confidence of the intervals.", min=0.01, max=0.999)] = 0.9,
    resample: Annotated[
        Literal["vote", "user", "prompt", "both"] | None,
        flag("The unit of resampling. [default: what gives the widest intervals, of what battles name]"),
    ] = None,
    interval: Annotated[Literal["bootstrap", "sandwich"], flag("The method of the intervals.")] = "bootstrap",
    by: Annotated[list[str] | None, flag("Rank by each value of a field too; repeat it.", metavar="FIELD")] = None,
    at_least: Annotated[int, flag("The fewest votes of a value of `--by`.", metavar="N", min=1)] = 100,
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
    paper: Annotated[bool, flag("Rate as the paper on Basque does.", "--paper")] = False,
    strict: Annotated[bool, flag("Fail where models cannot be compared or ratings are infinite.", "--strict")] = False,
    seed: Seed = 0,
    format: TableFormat = None,
) -> None:  # fmt: skip
    """Rate models by their battles (Bradley-Terry).

    in:  battles {model_a, model_b, winner}; winner is model_a, model_b, tie or tie (bothbad). CSV and TSV too
    out: ratings {model, rating, lower, upper, rank, rank_lower, rank_upper, tier, battles …}, best first; differences
         {model, difference, lower, upper, against} between criteria and subgroups; findings {finding, value, text}

    A rating is the maximum-likelihood estimate from all votes, with mean 1000 and 400 points for odds of 10 to 1. Its
    interval comes from resampled votes. Intervals of ranks hold for all models at once. Tier 1 holds all models that
    may be first, tier 2 all that may be first of the rest. ∞ (null in JSON) stands for a rating or bound without a
    limit, as of a model that never lost. Models that no chain of battles connects have rankings of their own
    (`island`). Findings that matter stand below the table. Battles that cannot be rated are counted by reason.

      --paper      half wins, 100 rounds by vote, seed 42, and the mean of the rounds as a whole number; the flags of
                   the method are not allowed beside it
      --control    ties are half wins, and there are no differences; so with --interval sandwich
      --preference is a flag, since the scale of a judge must be fitted to votes of people first (`judge --against`);
                   the likelihood is that of shares of wins, and ties are half wins
      --collapse   content and language decide if they agree; else `winner`, if given; else the one that is no tie

    memory: up to 100 bytes a battle

    examples:
      latxa arena-score battles.jsonl
      latxa arena-score battles.jsonl --criterion winner --criterion winner_language --format markdown
      latxa arena-score battles.jsonl --by user_language --anchor base=1000 -o ratings.jsonl
      latxa judge ours.jsonl theirs.jsonl | latxa arena-score --prior 1
    """
    from latxa_cli.arena.battles import read_votes
    from latxa_cli.arena.filters import battle_filters, complaints
    from latxa_cli.arena.forms import form_of
    from latxa_cli.arena.groups import in_groups
    from latxa_cli.arena.rankings.intervals import PAPER, RatingMethod, anchor_of
    from latxa_cli.arena.score import ScoreRequest, records_of, score
    from latxa_cli.report.tables.boards import show

    method = PAPER if paper else RatingMethod(rounds, confidence, ties, prior, seed, anchor_of(anchor))
    request = ScoreRequest.of(
        method, criterion, by, at_least, resample, interval, control, preference=preference, paper=paper
    )
    filters = battle_filters(exclude, since, until, most_per_user)
    form = form_of(run, column, label, responses)
    tally = request.tally(filters, collapse=collapse, pseudonyms=hash_users)
    votes = in_groups(run, read_votes(run, files, tally), groups, mask)
    run.say_all([*complaints(filters), *form.remarks()])
    if method.rounds < (fewest := method.fewest_rounds):
        run.say(f"{method.rounds} rounds give too narrow intervals at a confidence of {confidence:g}: take {fewest:,}")
    scores = score(votes, request)
    records = records_of(scores, [run.read_all(file, "result") for file in results or ()], copies)
    show(run, records, format, scores.unit, scores.intervals)
    if strict and not scores.is_sound:
        raise LatxaError("the votes do not carry one ranking", hint="the findings say why; `--prior 1` bounds ratings")
