"""Votes of people on pairs of responses, cast on a web page that `latxa vote` serves.

The way of a vote: `contest` (what can be shown), `choice` (the next pair for a voter), `ballots` (signed slips that say
nothing), `page` (what the `browser` gets; its words are in `languages`), `verdicts` (from answers to a battle), `box`
(stored once, on the disk before the voter hears so), `poll` (all of these together), `server` (the addresses and their
limits). `organiser` is the page of who runs the poll.
"""
