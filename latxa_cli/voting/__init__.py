"""Votes of people on pairs of responses, cast on a web page that `latxa vote` serves.

The way of a vote: `contest` (what can be shown), `choice` (the next pair for a voter), `ballots` (signed slips that say
nothing), `page` (what the `browser` gets; its words are in `languages`), `verdicts` (from answers to a battle), `box`
(stored once, on the disk before the voter hears so), `poll` (all of these together), `server` (the addresses), `limits`
(how fast anything may come), `vote` (the whole run). `organiser` is the page of who runs the poll.

In a live poll `contestants` answer what voters write, `live` has the conversations, and `pace` says when both answers
are shown.
"""
