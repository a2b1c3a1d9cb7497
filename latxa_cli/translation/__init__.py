"""Few-shot translation of conversations by a base model."""
