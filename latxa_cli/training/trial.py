"""`latxa train --dry-run`: what a run would find before its first step, and its cost, without writing anything.

It prepares the run as the run itself does, so that both refuse the same in the same words. Then it does a few steps.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import PreparedRows
from latxa_cli.training.session import LoadedModel, begin, packing_of, prepare

GIB = 1 << 30


def cost(
    loaded: LoadedModel, rows: PreparedRows, config: TrainConfig, directory: Path, *, resume: bool = False
) -> list[str]:
    """Prepare the run into `directory`, do a few steps, and return lines on the whole run; raises as `prepare` does."""
    notes: list[str] = []
    with loaded.processes.reporting():
        ready = prepare(loaded, rows, config, directory, resume=resume, warn=notes.append)
        if ready.begun is None:
            with TemporaryDirectory(prefix="latxa-train-") as temporary:
                begin(ready, loaded, Path(temporary))
        estimate = loop.estimate(ready.trainer)
    world, trainer = loaded.processes.world, ready.trainer
    speed = f"{estimate.tokens_per_second:,.0f} tokens/s" + (f", MFU {estimate.mfu:.1%}" if estimate.mfu else "")
    trained = ""
    if estimate.trained_parameters != estimate.parameters:
        trained = f", {estimate.trained_parameters:,} of them trained"
    goes_on = f", of which {ready.done:,} are done" if ready.begun is not None else ""
    lines = [
        f"{packing_of(trainer)} texts have the logits that they have alone (largest difference "
        f"{ready.proof.difference:.1g} of their spread); attention `{trainer.network.attention}`, kernels "
        f"`{trainer.kernels}`",
        f"{estimate.steps:,} steps{goes_on}; {estimate.parameters:,} parameters{trained}",
        f"memory: {estimate.state_bytes / GIB:.2f} GiB for weights, gradients and moments"
        + (f", shared out among {world} processes" if world > 1 and config.backend == "deepspeed" else "")
        + f"; {estimate.peak_bytes / GIB:.2f} GiB at the peak of {loop.TRIAL_STEPS} steps",
        f"time: {estimate.seconds:,.0f} s at {speed}",
    ]
    if trainer.device.type == "cuda":
        lines.append(f"GPU-hours: {estimate.seconds * world / 3600:,.2f} on {world} GPU{'s' if world > 1 else ''}")
    return lines + notes
