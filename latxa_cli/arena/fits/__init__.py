"""Fits: strengths under which votes are most probable, and when there are any.

`arithmetic` (what all fits are made of), `connectivity` (Ford's condition), `bradley_terry` (from counts, for many
tables at once), `davidson` (with a model of ties), `comparisons` (with covariates).
"""
