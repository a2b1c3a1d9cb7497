"""Fits: strengths under which votes are most probable, when there are any, and their standard errors.

`arithmetic` (what all fits are made of), `connectivity` (Ford's condition), `bradley_terry` (from counts, for many
tables at once), `sandwich` (the covariance of its strengths), `davidson` (with a model of ties), `comparisons` (with
covariates).
"""
