"""Rankings: ratings with intervals and ranks.

`resampling` (votes drawn again) and `intervals` (the bootstrap, the sandwich), `ranks` (what is sure of an order),
`ranking` (a board), `differences` (between boards).
"""
