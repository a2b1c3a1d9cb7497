"""Tables: rows and columns out of records, which `stream.display` turns into text.

Results and ratings of models:

- `results`: results by model and by what was measured; `settings`: what must be equal to compare two; `metrics`:
  in which direction they are better; `ratings`: rating records; `meetings`: battles, counted by pair of models.
- `model_table`: the table of all of them, a row a model and a column a task.

Tables that `--table` names:

- `layouts`: the paper's tables and users' own, as data; `benchmarks`: a table by such a layout; `factors`: what each
  factor of the training does, and the trade-off between languages; `choice`: which of them a name means.

Tables beside these, which stand alone in other verbs:

- `boards`: the ratings of `arena-score`; `comparisons`: what `compare` found; `beside`: those that a report has.

`table` is what all become: the same rows for programs, for spreadsheets and for people.
"""
