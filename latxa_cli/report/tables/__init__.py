"""Tables: rows and columns out of records, which `stream.display` turns into text.

- `model_table`: results and ratings, a row a model and a column a task.
- `meetings`: the battles, counted by pair of models.
- `boards`: the ratings of `arena-score`, one ranking in full or several side by side.
- `ratings`: the rating and the bounds in a rating record.
"""
