"""What is shown to people: tables and figures of what other verbs wrote.

Everything here works on records and plain numbers, so that it needs no other room. `report` (what stands in the files
of one report) gathers them for `model_table` (a row a model, a column a task), `curves` (losses over steps) and
`meetings` (who met and beat whom); `plots` draws the three. `boards` lays out the ratings of `arena-score`. What
ratings say is read in `ratings`. How rows become text (aligned, CSV, Markdown, LaTeX, HTML) is `stream.table`.
"""
