"""`latxa variants`: the grid of variants that the study trains."""

from latxa_cli.options import Run, verb


@verb(makes="whole")
def variants(run: Run) -> None:
    """Show the 24 variants of a study, and which 18 to train.

    in:  nothing
    out: variants {variant, kept, reason, equals, ...}; a table on a terminal

    variant: B is the backbone (0 base, 1 adapted base, 2 instructed); C, T and E are 1 for data to train on: corpus,
    target-language and English instructions. `latxa mix --variant exp_B_CTE` takes the inputs that one names.

    examples:
      latxa variants
      latxa variants > variants.jsonl
    """
    from latxa_cli.stream.table import render
    from latxa_cli.variants import rows

    table = rows()
    run.print(render(table, list(table[0]), run.layout()), records=len(table))
