"""Rankings: ratings with intervals and ranks.

`resampling` (votes drawn again) and `intervals` (by the bootstrap, or by the standard errors of `fits.sandwich`),
`ranks` (what is sure of an order), `ranking` (a board), `differences` (between boards).
"""
