"""Training: new tokenizers and models, tokenising and packing, the loop, checkpoints."""
