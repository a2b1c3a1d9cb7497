"""Two models on the same items: how far they differ, and what may be claimed of it.

The way of an answer: `inputs` (which files, and whose they are), `sheets` (answers become columns), `identities` (which
model is which), `agreement` (what must be the same, or why it is not), `pairing` (the same items of both). Then
`estimates` (the difference and its error), `resampling` (the bootstrap), `significance` (tests, and Holm's correction),
`power` (how many items would show a difference). `compare` makes rows of all that, `records` their records, and
`changes` those of single items. What is shown of it is laid out in `report`.
"""
