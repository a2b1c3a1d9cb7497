"""Checkpoints of a run, and the model and model card that are made from one."""
