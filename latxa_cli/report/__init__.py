"""Tables and figures that show people the records of other verbs.

Everything here works on records and plain numbers, so that it needs no other room.

- `report`: the records of all files, sorted into those below.
- `tables`: rows and columns; results and ratings by model, battles by pair of models.
- `plots`: figures of ratings, losses over steps and meetings.
- `pages`: pages for a browser.

`stream.display` turns rows into text (aligned, CSV, Markdown, LaTeX, HTML).
"""
