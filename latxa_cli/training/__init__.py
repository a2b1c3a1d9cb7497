"""Training: records to packed rows, rows to steps, steps to a model.

- `config`: the settings.
- `data`: records to rows. `tokenised` marks tokens, `packing` fills rows, `rows` stores them; `prepare` wires them.
- `session`: a whole run, from loading over the proof and the training to the export; `trial` is its dry run.
- `plan`: the rows and the learning rate of each step, a function of the seed.
- `loop`: the steps, with their checkpoints and validations.
- `network`: the forward pass. `isolation` proves that packed texts do not see each other.
- `backends`: torch or DeepSpeed, which compute gradients and update weights.
- `checkpoints`: written, read to resume, and exported to a model with its card.
- beside the loop: `processes`, `validation`, `tracking`, `step_report`.
"""
