"""`latxa arena-score`."""

from typing import Annotated, Literal

import typer

from latxa_cli.options import Files, Run, Seed, verb
from latxa_cli.stream.table import Format

COLUMNS = ("rank", "model", "rating", "lower", "upper", "battles")
Criterion = Literal["winner", "winner_content", "winner_language"]


@verb(makes="whole")
def arena_score(
    run: Run,
    files: Files = None,
    *,
    criterion: Annotated[Criterion, typer.Option(help="The field that says who won.")] = "winner",
    rounds: Annotated[int, typer.Option(min=1, help="Bootstrap rounds.")] = 1000,
    confidence: Annotated[float, typer.Option(min=0.01, max=0.999, help="Confidence of the intervals.")] = 0.9,
    prior: Annotated[
        float, typer.Option(min=0.0, metavar="L", help="Add L/2 wins both ways to every pair that met.")
    ] = 0.0,
    seed: Seed = 0,
    format: Annotated[
        Format | None, typer.Option(help="[default: table on a terminal, else jsonl]", show_default=False)
    ] = None,
) -> None:
    """Rate models by their battles (Bradley-Terry).

    in:  battles {model_a, model_b, winner}; winner is model_a, model_b, tie or tie (bothbad)
    out: ratings {model, rating, lower, upper, rank, battles, criterion}, best first

    The rating is the maximum-likelihood estimate from all votes, ties as half wins: mean 1000, 400 points for odds of
    10 to 1. The interval redraws the votes. The rank goes by the rating; equal ratings share it. A bound that is null
    (`-` in a table) is infinite: too many redrawn sets of votes leave the model without a win, or without a loss.
    Memory grows with the pairs of models that met, not with the battles.

    examples:
      latxa arena-score battles.jsonl
      latxa arena-score battles.jsonl --criterion winner_language --format markdown
      latxa judge ours.jsonl theirs.jsonl | latxa arena-score --prior 1
    """
    from latxa_cli.arena.battles import Tally
    from latxa_cli.arena.intervals import Bootstrap
    from latxa_cli.arena.score import rate
    from latxa_cli.stream.table import render

    tally = Tally(criterion)
    run.write(tally.count(run.read(files, "battle")))  # what cannot be counted
    board = rate(tally.votes(), Bootstrap(rounds, confidence, prior, seed), criterion)
    run.note(non_finite_rounds=board.non_finite)
    if board.non_finite:
        run.say(f"{board.non_finite:.1%} of the rounds have no finite ratings for all models; `--prior 1` avoids them")
    layout = format or ("table" if run.is_terminal else "jsonl")
    if layout == "jsonl":
        run.write(board.ratings)
    else:
        run.print(render(board.ratings, COLUMNS, layout), records=len(board.ratings))
