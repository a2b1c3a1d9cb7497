"""`latxa variants`: the grid of variants that the study trains."""

from latxa_cli.options import Run, verb


@verb(makes="whole")
def variants(run: Run) -> None:
    """Show the 24 variants of a study, and the 18 to train.

    in:  nothing
    out: variants {variant, name, kept, reason, equals, ...}; a table on a terminal

    A variant is called exp_B_CTE. B is the backbone: 0 base, 1 adapted base, 2 instructed. C, T and E are 1 if it
    trains on the corpus, on target-language instructions and on English instructions. `latxa mix --variant exp_B_CTE`
    takes the inputs of one.

    examples:
      latxa variants
      latxa variants > variants.jsonl
    """
    from latxa_cli.stream.display import render
    from latxa_cli.variants import rows

    table = rows()
    run.print(render(table, list(table[0]), run.layout()), records=len(table))
