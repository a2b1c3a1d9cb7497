"""From battles to rankings that may be published, and to the next battles.

Read in this order: `battles` (records become columns), `votes` (columns and counts), `ratings` and `davidson` (the
fits), `connectivity` (when there is one), `redraw` and `intervals` (the bootstrap), `ranks` (what is sure of an order),
`ranking` (a board), `differences` (between boards), `score` (what `arena-score` says). Beside them: what a reader must
know (`soundness`, `annotators`, `leverage`, by way of `finding`), style held equal (`control`, `comparisons`), groups
of models (`groups`), the next battles (`pairing`, `separation`), preference pairs (`preferences`), agreement with
benchmarks (`correlation`). What is shown of all this is laid out in `report`.
"""
