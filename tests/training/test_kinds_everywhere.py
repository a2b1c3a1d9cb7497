"""Kinds of models that some backends do not take as others: the same losses, or one line before the first step."""

from __future__ import annotations

import pytest
from random_models import random_model, seeing_model
from test_several_processes import DEEPSPEED, TORCH, command, data, lines, same, several

__all__ = ["data", "several"]
ZERO_3 = ("deepspeed", 3)


@pytest.fixture
def folder(data, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "prepared").symlink_to(data / "prepared")
    return tmp_path


@pytest.mark.parametrize("more", ["", "lora_rank = 2\n"])
def test_a_model_that_sees_trains_alike_everywhere(several, folder, more):
    """Of its tower for pictures no backend has a gradient."""
    seeing_model().save_pretrained(folder / "model")
    found = []
    for backend, world in ((TORCH, 1), (TORCH, 2), (DEEPSPEED, 2), (ZERO_3, 2)):
        words = command(folder, f"{backend[0]}-{backend[1]}-{world}", backend, f"{more}checkpoint_every = 2\n")
        for steps in ("2", "3"):  # the last one goes on from a checkpoint
            job = several.start([*words, "--keep", "1", "--max-steps", steps, "--resume"], world=world, cwd=folder)
            assert job.wait() == [0] * world, job.said()
        found.append(lines(folder / words[words.index("-o") + 1]))
    assert len(found[0]) == 3
    for other in found[1:]:
        same(other, found[0], rel=2e-5)


def test_a_model_that_cannot_be_shared_out_is_refused_before_the_first_step(several, folder):
    """Qwen 3.5 reads the weights of a convolution itself, which DeepSpeed has not gathered then."""
    random_model("qwen3_5_text", head_dim=16, layer_types=["linear_attention", "full_attention"]).save_pretrained(
        folder / "model"
    )
    for flags in ((), ("--dry-run",)):
        job = several.start([*command(folder, "out", ZERO_3, "max_steps = 1\n"), *flags], world=2, cwd=folder)
        assert job.wait() == [1, 1], job.said()
        (error, hint) = [line for line in job.said().splitlines() if line.startswith(("latxa: ", "hint: "))]
        assert error.startswith("latxa: `qwen3_5_text` does not compute with weights that are shared out: ")
        assert hint == "hint: `zero_stage = 2`" and "Traceback" not in job.said() + job.said(1)
