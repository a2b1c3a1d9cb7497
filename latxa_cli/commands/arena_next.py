"""`latxa arena-next`."""

from typing import Annotated

from latxa_cli.options import (
    Collapse,
    Criterion,
    Exclude,
    Files,
    MostPerUser,
    OneCriterion,
    Run,
    Seed,
    Since,
    TableFormat,
    Until,
    flag,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError


@verb(makes="whole")
def arena_next(
    run: Run,
    files: Files = None,
    *,
    count: Annotated[int, flag("Battles to propose.", "-n", "--count", min=1)],
    model: Annotated[list[str] | None, flag("A newcomer that has no votes yet; repeat it.", metavar="NAME")] = None,
    criterion: OneCriterion = Criterion.winner,
    collapse: Collapse = False,
    exclude: Exclude = None,
    most_per_user: MostPerUser = None,
    since: Since = None,
    until: Until = None,
    seed: Seed = 0,
    format: TableFormat = None,
) -> None:
    """Propose the battles whose votes would tell most.

    in:  battles {model_a, model_b, winner}
    out: battles to hold {model_a, model_b, gain, reason}, the most urgent first; of two models each is first as often

    The next battle is the one whose vote lowers the cost of wrongly ordered pairs most: by `gain` points. Models that
    nothing connects yet, newcomers among them, meet first (`bridge`). Votes are counted as by `arena-score`: ties are
    half wins. Time goes with the battles proposed and the square of the models. Memory: up to 100 bytes a battle.

    examples:
      latxa arena-next battles.jsonl -n 200 --model newcomer > sheet.jsonl
      latxa arena-next battles.jsonl -n 20 --criterion winner_language --format markdown
    """
    from latxa_cli.arena.battles import Tally, read_votes
    from latxa_cli.arena.filters import battle_filters
    from latxa_cli.arena.pairing import next_battles
    from latxa_cli.arena.votes import count as counts_of
    from latxa_cli.stream.table import render

    if collapse and criterion is not Criterion.winner:
        raise UsageError("`--collapse` makes `winner`, which is not the criterion")
    filters = battle_filters(exclude, since, until, most_per_user)
    votes = read_votes(run, files, Tally((str(criterion),), collapse=collapse, filters=filters))
    battles = next_battles(counts_of(votes, criterion)[0], count, newcomers=model or (), seed=seed)
    layout = run.layout(format)
    if layout == "jsonl":
        run.write(battles)
    else:
        run.print(render(battles, ["model_a", "model_b", "gain", "reason"], layout), records=len(battles))
