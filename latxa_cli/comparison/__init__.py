"""Two models on the same items: how far they differ, and what may be claimed of it.

The way of an answer: `inputs` (which files, and whose they are), `sheets` (answers become columns), `identities` (which
model is which), `pairing` (the same items of both, or why they are not the same). Then `estimates` (the difference and
its standard error), `resampling` (the bootstrap), `significance` (tests, and Holm's correction), `power` (how many
items would show a difference). `compare` makes rows of all that, `records` their records, and `changes` those of items.
What is shown of it is laid out in `report`.
"""
