"""Training: records to packed rows, rows to steps, steps to a model.

- `config`: the settings.
- `data`: sources, tokenised (records to marked tokens), packing, rows (on the disk); `prepare` wires them.
- `session`: a whole run: load, prove, train, export.
- `plan`: which rows each step takes, and its learning rate: a function of the seed.
- `loop`: the steps, and when a checkpoint is written or a set of validation looked at.
- `network`: forward (rows in, loss out), attention, isolation (the proof that texts do not see each other).
- `backends`: who computes gradients and updates weights: torch, DeepSpeed.
- `checkpoints`: checkpoint (written, and read to go on), saved and export (to a model), card.
- beside the loop: `processes`, `validation`, `tracking`, `step_report`.
"""
