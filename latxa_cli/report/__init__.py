"""Tables and figures that show people the records of other verbs.

Everything here works on records and plain numbers, so that it needs no other room.

- `reading`: files and folders, also those of other tools, become our records; and what is written for other tools.
- `report`: the records of all files, sorted into those below.
- `tables`: rows and columns; results and ratings by model, battles by pair of models.
- `plots`: every figure.
- `pages`: pages for a browser, and the methods in words.
- `shipped`: data files: the paper's tables and published results.

`stream.display` turns rows into text (aligned, CSV, Markdown, LaTeX, HTML).
"""
