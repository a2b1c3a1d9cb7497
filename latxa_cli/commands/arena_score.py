"""`latxa arena-score`."""

from contextlib import suppress
from enum import StrEnum
from math import ceil, isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from latxa_cli.options import Files, OutputFile, Run, Seed, verb
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.table import Format

# Typer takes lists of these, but not of a Literal.
Criterion = StrEnum("Criterion", ["winner", "winner_content", "winner_language"])
Control = StrEnum("Control", ["length", "style", "position"])


def _anchor(text: str) -> tuple[str, float]:
    model, equals, rating = text.rpartition("=")
    with suppress(ValueError):
        if equals and model and isfinite(float(rating)):
            return model, float(rating)
    raise typer.BadParameter(f"`{text}` is not `MODEL=RATING`")


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"`{text}` is not `FIELD=VALUE`")
    return name, value


def _day(text: str) -> Any:
    from datetime import UTC, date, datetime, time

    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a day such as 2026-03-19") from None


@verb(makes="whole")
def arena_score(
    run: Run,
    files: Files = None,
    *,
    criterion: Annotated[
        list[Criterion] | None,
        typer.Option(help="The field that says who won; repeat it. [default: winner]", show_default=False),
    ] = None,
    collapse: Annotated[bool, typer.Option("--collapse", help="Make `winner` of answers to three questions.")] = False,
    ties: Annotated[
        Literal["half", "davidson", "drop"],
        typer.Option(help="Ties are half a win for each, have a model of their own, or don't count."),
    ] = "half",
    prior: Annotated[
        float, typer.Option(min=0.0, metavar="L", help="Add L/2 wins both ways to every pair that met.")
    ] = 0.0,
    anchor: Annotated[
        Any,
        typer.Option(parser=_anchor, metavar="MODEL=RATING", help="Hold one rating. [default: the mean is 1000]",
                     show_default=False),
    ] = None,
    control: Annotated[
        list[Control] | None,
        typer.Option(help="Rate as if responses were alike in this; repeat it.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Bootstrap rounds.")] = 1000,
    confidence: Annotated[float, typer.Option(min=0.01, max=0.999, help="Confidence of the intervals.")] = 0.9,
    resample: Annotated[
        Literal["vote", "user", "prompt"] | None,
        typer.Option(help="What is redrawn together. [default: user, where battles name users]", show_default=False),
    ] = None,
    interval: Annotated[Literal["bootstrap", "sandwich"], typer.Option(help="How intervals are made.")] = "bootstrap",
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="A ranking too for each value of a field (`user_language`); repeat it.",
                     show_default=False),
    ] = None,
    at_least: Annotated[int, typer.Option(min=1, metavar="N", help="Votes that a value of `--by` must have.")] = 100,
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rate groups of models: a table `model<TAB>group`.", show_default=False),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="MASK", help="Rate groups by the characters of names at `?` (`exp_*_?**`).",
                     show_default=False),
    ] = None,
    copies: Annotated[bool, typer.Option("--copies", help="List variants that equal a rated one too.")] = False,
    exclude: Annotated[
        list[Any] | None,
        typer.Option(parser=_field, metavar="FIELD=VALUE", help="Leave battles out (`user=u7`, `model=m`); repeat it.",
                     show_default=False),
    ] = None,
    most_per_user: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Leave out what a user votes beyond N.", show_default=False)
    ] = None,
    since: Annotated[
        Any,
        typer.Option(parser=_day, metavar="DATE", help="Leave out battles before a day (`timestamp`).",
                     show_default=False),
    ] = None,
    until: Annotated[
        Any,
        typer.Option(parser=_day, metavar="DATE", help="Leave out battles from a day on.", show_default=False),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Correlate ratings with results of `eval`; repeat it.", show_default=False),
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="The procedure of the paper on Basque.")] = False,
    next_: Annotated[
        int | None,
        typer.Option("--next", min=1, metavar="N", help="Propose the next N battles instead of ratings.",
                     show_default=False),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A newcomer for `--next`; repeat it.", show_default=False),
    ] = None,
    preferences: Annotated[
        OutputFile,
        typer.Option(metavar="FILE", help="Write {prompt, chosen, rejected} of the battles here.", show_default=False),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where models cannot be compared or ratings are infinite.")
    ] = False,
    seed: Seed = 0,
    format: Annotated[
        Format | None, typer.Option(help="[default: table on a terminal, else jsonl]", show_default=False)
    ] = None,
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

    `--paper`: half wins, 100 rounds by vote, seed 42, the mean of the rounds as a whole number, no priors.
    `--collapse`: content and language decide where they agree; else `winner` does, if given; else the one that is no
    tie.

    examples:
      latxa arena-score battles.jsonl
      latxa arena-score battles.jsonl --criterion winner --criterion winner_language --format markdown
      latxa arena-score battles.jsonl --by user_language --anchor base=1000 -o ratings.jsonl
      latxa arena-score battles.jsonl --next 200 --model newcomer > sheet.jsonl
      latxa judge ours.jsonl theirs.jsonl | latxa arena-score --prior 1
    """
    from latxa_cli.arena import score as scoring
    from latxa_cli.arena.intervals import How

    how = How(rounds, confidence, ties, prior, seed, anchor)
    if paper and (how != How() or resample or interval != "bootstrap" or control):
        raise UsageError("`--paper` decides by itself how to rate", hint="leave the other options of the method out")
    how = How(100, 0.9, seed=42) if paper else how
    criteria = tuple(dict.fromkeys(one.value for one in criterion or [Criterion.winner]))
    unit: Any = "vote" if paper else resample
    held: Any = tuple(one.value for one in control or ())
    wanted = scoring.Wanted(criteria, tuple(dict.fromkeys(by or ())), at_least, unit, interval, held, paper, how)
    _check(wanted, groups=groups, mask=mask, collapse=collapse)
    if next_ is not None:
        _check_proposes({"`--by`": by, "`--control`": control, "`--groups`": groups, "`--mask`": mask,
                         "`--paper`": paper, "`--copies`": copies, "`--results`": results, "`--strict`": strict,
                         "a second criterion": criteria[1:]})  # fmt: skip
    if model and next_ is None:
        raise UsageError("`--model` names newcomers for `--next`")
    looks = _looks(exclude or [], most_per_user, since, until)
    votes = _votes(run, files, wanted, collapse, looks, preferences)
    votes = _grouped(run, votes, groups, mask)
    if next_ is not None:
        _propose(run, scoring.proposals(votes, wanted, next_, model or []), format)
        return
    fewest = ceil(round(2 / (1 - how.confidence) - 1, 6))  # so that a bound is one of the rounds
    if how.rounds < fewest:
        run.say(f"{how.rounds} rounds give too narrow intervals at a confidence of {how.confidence:g}: take {fewest:,}")
    scores = scoring.score(votes, wanted)
    records = list(scores.records())
    if results:
        found = (record for name in results for record in run.read_all(name, "result"))
        records += scoring.correlations(scores, found)
    if copies:
        from latxa_cli.arena.groups import with_copies
        from latxa_cli.variants import EQUALS

        records = list(with_copies(records, EQUALS))
    _show(run, records, format, scores)
    if strict and not scores.is_sound:
        raise LatxaError("the votes do not carry one ranking", hint="the findings say why; `--prior 1` bounds ratings")


def _check(wanted: Any, *, groups: Path | None, mask: str | None, collapse: bool) -> None:
    how, control = wanted.how, wanted.control
    several = wanted.by or len(wanted.criteria) > 1
    alone = {
        "`--groups` and `--mask`": groups and mask,
        "`--ties davidson` and `--control`": how.ties != "half" and control,
        "`--ties davidson` or `drop` and `--interval sandwich`": how.ties != "half" and wanted.interval == "sandwich",
        "several criteria or `--by` and `--control`": control and several,
        "several criteria or `--by` and `--interval sandwich`": wanted.interval == "sandwich" and several,
    }
    for what, given in alone.items():
        if given:
            raise UsageError(f"{what} do not go together")
    if collapse and "winner" not in wanted.criteria:
        raise UsageError("`--collapse` makes `winner`, which is not among the criteria")


def _check_proposes(others: dict[str, Any]) -> None:
    idle = [name for name, given in others.items() if given]
    if idle:
        raise UsageError(f"`--next` proposes battles and rates no models: {idle[0]} has no use")


def _looks(exclude: list[Any], most: int | None, since: Any, until: Any) -> list[Any]:
    from latxa_cli.arena.looks import between, cap, excluded

    looks = [excluded(*pair) for pair in exclude]
    if since or until:
        looks.append(between(since, until))
    return looks + ([cap(most)] if most else [])


def _votes(run: Run, files: Any, wanted: Any, collapse: bool, looks: list[Any], preferences: Path | None) -> Any:
    from latxa_cli.arena.battles import Tally
    from latxa_cli.arena.looks import measured, written_as_preferences
    from latxa_cli.arena.score import features_of

    writer = run.file(preferences)
    if writer is not None:
        counted: dict[str, int] = {}
        looks.append(written_as_preferences(writer.write, wanted.criteria[0], counted))
    features = features_of(wanted.control)
    fields = tuple(dict.fromkeys(("user", "prompt_id", *wanted.by)))
    tally = Tally(
        wanted.criteria, fields, collapse=collapse, looks=looks, features=features,
        measure=measured(features) if features else None,
    )  # fmt: skip
    run.write(tally.take(run.read_blocks(files, "battle")))
    votes, again = tally.votes()
    run.write(again)
    if writer is not None:
        run.note(preferences=counted)
        run.say("preferences: " + ", ".join(f"{number:,} {reason}" for reason, number in counted.items()))
    return votes


def _grouped(run: Run, votes: Any, table: Path | None, mask: str | None) -> Any:
    if (table is None and mask is None) or not len(votes):
        return votes
    from latxa_cli.arena.groups import by_mask, from_table, grouped

    if mask is not None:
        group_of = by_mask(votes.models, mask)
    else:
        from latxa_cli.stream.inputs import Input, check_exists

        check_exists(str(table))
        source = Input(str(table))
        if source.is_table:
            raise UsageError(f"`--groups {table}` is no text", hint="a line a model: `model<TAB>group`")
        group_of = from_table((line for _, line in source.entries()), str(table))  # type: ignore[misc]
        run.reads([source.describe()])
    came = len(votes)
    votes, left_out = grouped(votes, group_of)
    run.note(left_out=left_out)
    run.say(
        "left out: " + (", ".join(f"{number:,} battles of {reason}" for reason, number in left_out.items()) or "none")
    )
    if came and not len(votes):
        raise LatxaError("no battle is between models of two groups")
    return votes


def _propose(run: Run, battles: list[Any], format: Format | None) -> None:
    from latxa_cli.stream.table import render

    form = format or ("table" if run.is_terminal else "jsonl")
    if form == "jsonl":
        run.write(battles)
    else:
        run.print(render(battles, ["model_a", "model_b", "gain", "reason"], form), records=len(battles))


def _show(run: Run, records: list[Any], format: Format | None, scores: Any) -> None:
    from latxa_cli.report import boards
    from latxa_cli.stream.table import escaped, render
    from latxa_cli.stream.terminal import printable

    matters = [printable(line) for line in boards.what_matters(records)]
    run.note(resampled=scores.unit, findings=matters)
    form = format or ("table" if run.is_terminal else "jsonl")
    ratings = [record for record in records if "rating" in record]
    if form == "jsonl":
        run.write(records)
    elif form == "csv":
        run.print(render(*boards.every_column(ratings), form), records=len(ratings))
    else:
        text = render(*boards.rows(ratings), form)
        if form in ("table", "markdown"):  # what people read, and no program
            for title, rows, columns in boards.beside(records):
                text += f"\n{title}\n\n{render(rows, columns, form)}"
            below = [escaped(line) if form == "markdown" else line for line in matters]
            text += "\n" * bool(matters) + "".join(f"- {line}\n" for line in below)
            matters = []
        run.print(text, records=len(ratings))
    if form in ("csv", "latex", "html") and any("difference" in one or "correlation" in one for one in records):
        run.say("differences and correlations are not part of this format: `--format jsonl` has them")
    run.say_all(matters)
