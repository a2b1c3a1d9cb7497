"""Tables and figures that show people the records of other verbs.

Everything here works on records and plain numbers, so that it needs no other room.

- `report`: the records of all files, sorted into the three below.
- `model_table`: results and ratings, a row a model and a column a task.
- `meetings`: the battles, counted by pair of models.
- `plots`: figures of ratings, losses over steps and meetings.
- `pages`: pages for a browser.
- `boards`: the ratings of `arena-score` as tables.
- `ratings`: the rating and the bounds in a rating record.

`stream.display` turns rows into text (aligned, CSV, Markdown, LaTeX, HTML).
"""
