"""Evaluation: tasks of lm-evaluation-harness, run on transformers models, as result and answer records."""
