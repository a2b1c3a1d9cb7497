"""`latxa export`: a checkpoint of a training run into a model."""

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

    in:  a checkpoint, also one of a run that is under way or was cut off; of a run's directory the newest that is
         whole. What was not trained comes from the starting model, which must still be where it was
    out: a directory with the model (safetensors, adapters merged), its tokenizer and chat template, and a model card
         (`README.md`): data, settings, losses, versions

    `latxa train` does the same at its end; the checkpoint stays as it is.

    memory: some hundred MB for libraries, however large the model is; but 2 or 4 bytes a parameter for mixtures of
            experts whose experts were trained. No GPU

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
