"""One forward pass: packed rows in, the loss out; what of a model is trained, and what a step computes."""
