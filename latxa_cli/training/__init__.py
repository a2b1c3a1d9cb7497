"""Training: data tokenised and packed, the loop, checkpoints."""
