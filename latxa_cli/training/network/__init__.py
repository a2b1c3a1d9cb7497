"""The forward pass, from packed rows to the loss, the trained parameters of a model, and its throughput."""
