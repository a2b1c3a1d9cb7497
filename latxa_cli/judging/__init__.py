"""Judges, which compare responses to the same prompts by a rubric and give battles."""
