"""Judges: responses to the same prompts, compared by a rubric, give battles."""
