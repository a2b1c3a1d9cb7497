"""What people see of the metrics of a run."""

from __future__ import annotations

import pytest

from latxa_cli.training import step_report
from latxa_cli.training.step_report import StepReport

STEP = {"step": 30, "loss": 1.23456, "tokens": 1000, "trained_tokens": 250, "seconds": 0.5}
VALIDATION = {"step": 30, "validation": "eu", "loss": 2.0, "perplexity": 7.389, "bits_per_byte": 0.5, "tokens": 9}


class Told:
    """A terminal that keeps what it is told."""

    def __init__(self, *, draws):
        self.draws, self.said, self.drawn = draws, [], []

    def say(self, text):
        self.said.append(text)

    def progress(self, done, total, **figures):
        self.drawn.append((done, total, figures))


@pytest.fixture
def clock(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(step_report.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize("draws", [True, False])
def test_a_step_is_drawn_and_said_once_a_minute_where_nothing_is_drawn(clock, draws):
    terminal = Told(draws=draws)
    report = StepReport(terminal, 1200)
    for second in range(0, 200, 10):
        clock[0] = second
        report(STEP)
    assert len(terminal.drawn) == 20 and len(terminal.said) == (0 if draws else 2)
    (done, total, figures) = terminal.drawn[0]
    assert (done, total) == (30, 1200)
    assert (figures["loss"], figures["tokens_per_second"], figures["trained"]) == ("1.235", "2,000", "25%")
    assert figures["memory"] and "mfu" not in figures
    if not draws:
        assert terminal.said[0].startswith("step 30 of 1,200: loss 1.235, tokens per second 2,000, trained 25%, memory")


def test_a_share_of_the_peak_is_shown_where_it_is_known():
    assert step_report.step_figures(STEP | {"mfu": 0.4321})["mfu"] == "43.2%"


def test_a_set_of_validation_is_said_at_once():
    terminal = Told(draws=True)
    StepReport(terminal, 1200)(VALIDATION)
    StepReport(terminal, 1200)({name: value for name, value in VALIDATION.items() if name != "bits_per_byte"})
    assert terminal.said == [
        "step 30, eu: loss 2.0000, perplexity 7.39, 0.5000 bits per byte", "step 30, eu: loss 2.0000, perplexity 7.39"
    ]  # fmt: skip
    assert terminal.drawn == []
