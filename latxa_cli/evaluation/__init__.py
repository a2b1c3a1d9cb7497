"""Evaluation: models on tasks of lm-evaluation-harness, as result and answer records.

The way of an item: `tasks` (what is evaluated), `asking` (in which form), `harness` (the call of the harness; `seeds`
joins several draws of shots), `scoring` (log-likelihoods) or `answering` (by any engine), `kept` (across kills),
`records`. `wiring` and `run` join them by `settings`, `model` opens the models. Beside it: `perplexity` of texts, and
`contamination`.
"""
