"""The progress of a run on a terminal: a line of figures for a step, and one for each validation set."""

from __future__ import annotations

import time

import torch

from latxa_cli.stream.records import Record
from latxa_cli.stream.sizes import show_size
from latxa_cli.stream.terminal import Terminal
from latxa_cli.training.network.throughput import memory

SECONDS_BETWEEN_LINES = 60  # in a log: one line a step would bury all others


class StepReport:
    """A listener that shows metrics on `terminal`: every step where that draws, else one a minute."""

    def __init__(self, terminal: Terminal, steps: int) -> None:
        self.terminal, self.steps = terminal, steps
        self._said = time.monotonic()

    def __call__(self, line: Record) -> None:
        """Show a line of `metrics.jsonl`."""
        if "validation" in line:
            self.terminal.say(validation_line(line))
            return
        figures = step_figures(line)
        self.terminal.progress(line["step"], self.steps, **figures)
        if not self.terminal.draws and time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
            self.terminal.say(f"step {line['step']:,} of {self.steps:,}: {words}")


def step_figures(line: Record) -> dict[str, str]:
    """Return the figures of a step as texts, by name."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "loss": f"{line['loss']:.3f}",
        "tokens_per_second": f"{line['tokens'] / max(1e-9, line['seconds']):,.0f}",
        "trained": f"{line['trained_tokens'] / line['tokens']:.0%}",
        **({"mfu": f"{line['mfu']:.1%}"} if "mfu" in line else {}),
        "memory": show_size(memory(device)),
    }


def validation_line(line: Record) -> str:
    """Return the line for people on a validation set."""
    size = f", {line['bits_per_byte']:.4f} bits per byte" if "bits_per_byte" in line else ""
    return (
        f"step {line['step']:,}, {line['validation']}: loss {line['loss']:.4f}, "
        f"perplexity {line['perplexity']:,.2f}{size}"
    )
