"""From battles to rankings that may be published, and to the next battles.

The way of a vote: `filters` and `battles` (records become columns), `votes` (columns and counts), `groups` (of models),
`score` (what `arena-score` says), which asks `rankings`, these `fits`, and then `findings`. Beside it: style held equal
(`control`), agreement with benchmarks (`correlation`), the next battles (`pairing`), preference pairs (`preferences`).
What is shown of all this is laid out in `report`.
"""
