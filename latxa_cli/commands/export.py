"""`latxa export`: from a checkpoint of a training run to a model."""

from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import Run, argument, flag, verb

CheckpointFolder = Annotated[
    Path, argument("A directory of `latxa train`, or a `step-N` in its `checkpoints`.", "CHECKPOINT")
]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, flag("Of the weights. [default: that of the run]")]


@verb(makes="directory")
def export(run: Run, checkpoint: CheckpointFolder, *, dtype: Dtype = None) -> None:
    """Turn a checkpoint of `latxa train` into a model.

    in:  a checkpoint, or a run's directory, whose newest whole checkpoint is taken
    out: a directory with the model (safetensors, adapters merged), its tokenizer and chat template, and a model card
         (`README.md`) with data, settings, losses and versions

    The run may be in progress, interrupted or complete, and the checkpoint is not changed. Weights that were not
    trained come from the starting model, which must still be in its place. No GPU is needed. `latxa train` does the
    same at its end.

    memory: some hundred MB for libraries, whatever the size of the model; but 2 or 4 bytes a parameter for mixtures of
            experts with trained experts

    examples:
      latxa export exp_2_111 -o model
      latxa export exp_2_111/checkpoints/step-500 --dtype bfloat16 -o model_500
    """
    from latxa_cli.training.checkpoints import export as room

    facts = room.export(checkpoint, run.directory, dtype=dtype, report=run.progress, say=run.say)
    run.depends_on(facts["checkpoint"], facts["model"])
    run.account(facts["tensors"], [], [])
    run.note(**facts)
    built = "" if facts["streamed"] else "; built in memory, since transformers converts its tensors"
    run.say(f"step {facts['step']:,}: {facts['parameters']:,} parameters in {facts['dtype']}{built}")
