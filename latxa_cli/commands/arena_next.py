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
    VoteColumns,
    VoteLabels,
    flag,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError


@verb(makes="whole")
def arena_next(
    run: Run,
    files: Files = None,
    *,
    column: VoteColumns = None,
    label: VoteLabels = None,
    count: Annotated[int, flag("Battles to propose.", "-n", "--count", min=1)],
    model: Annotated[list[str] | None, flag("A newcomer without votes; repeat it.", metavar="NAME")] = None,
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

    in:  battles {model_a, model_b, winner}; CSV and TSV too
    out: battles to hold {model_a, model_b, gain, reason}, the most urgent first

    The next battle is the one whose vote lowers the cost of wrongly ordered pairs most, by `gain` points. Models that
    no battles connect, such as newcomers, meet first (`bridge`). Each of two models comes first equally often. Ties are
    half wins, as in `arena-score`.

    time:   grows with the battles proposed and with the square of the models
    memory: up to 100 bytes a battle

    examples:
      latxa arena-next battles.jsonl -n 200 --model newcomer > sheet.jsonl
      latxa arena-next battles.jsonl -n 20 --criterion winner_language --format markdown
    """
    from latxa_cli.arena.battles import Tally, read_votes
    from latxa_cli.arena.filters import battle_filters, complaints
    from latxa_cli.arena.forms import form_of
    from latxa_cli.arena.pairing import next_battles
    from latxa_cli.arena.votes import count as counts_of
    from latxa_cli.stream.display import render

    if collapse and criterion is not Criterion.winner:
        raise UsageError("`--collapse` makes `winner`, which is not the criterion")
    filters = battle_filters(exclude, since, until, most_per_user)
    form = form_of(run, column, label, None)
    votes = read_votes(run, files, Tally((str(criterion),), collapse=collapse, filters=filters))
    run.say_all([*complaints(filters), *form.remarks()])
    battles = next_battles(counts_of(votes, criterion)[0], count, newcomers=model or (), seed=seed)
    layout = run.layout(format)
    if layout == "jsonl":
        run.write(battles)
    else:
        run.print(render(battles, ["model_a", "model_b", "gain", "reason"], layout), records=len(battles))
