"""From the votes of a poll to a data set that may be published.

The way of a vote: `release` (of the `shape` of votes, old enough, a verdict, and nothing personal that a person has not
decided on: `review`), `forms` (the field names of other arenas), `card` (what the data set says of itself).
"""
