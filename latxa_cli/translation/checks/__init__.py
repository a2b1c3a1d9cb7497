"""Checks of translations: what a translation is by its own form, and against its source.

Read `checks` first, which calls all others: `form` (empty, leaks, wrappers), `parts` (code, formulas, numbers),
`structure` (lines, lists, tables, choices), `copies`, `language`, `length` and `transfer` (what no translation keeps).
`pair` holds the two texts, and `limits` the thresholds of `checks.toml`. Phrases of languages stand in `phrases/`.
"""
