"""Kinds of models that some backends do not take as others: the same losses, or one line before the first step."""

from __future__ import annotations

import json
import shutil

import own_experts
import pytest
import torch
from random_models import SIZES, random_model, seeing_model
from test_several_processes import DEEPSPEED, TORCH, command, data, lines, same, several

__all__ = ["data", "several"]
ZERO_3 = ("deepspeed", 3)
# Stages 1 and 2 exchange gradients in other ways, and stage 3 weights too; by default it keeps small ones everywhere.
ALL_SHARED = {"zero_optimization": {"stage3_param_persistence_threshold": 0}}
# Layers that compress texts of 16 tokens and more alone.
COMPRESSING = {
    "q_lora_rank": 16, "head_dim": 16, "o_groups": 2, "o_lora_rank": 8, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "n_shared_experts": 1, "moe_intermediate_size": 24, "index_head_dim": 16, "index_n_heads": 2, "sliding_window": 16,
    "hc_mult": 2, "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 16},
}  # fmt: skip


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


@pytest.mark.parametrize("more", ["", "lora_rank = 2\n"])
def test_experts_that_no_token_of_a_process_reaches(several, folder, more):
    torch.manual_seed(0)
    sizes = SIZES | {"initializer_range": 0.2, "num_local_experts": 32, "num_experts_per_tok": 2}
    own_experts.OwnForCausalLM(own_experts.OwnConfig(**sizes)).save_pretrained(folder / "model")
    shutil.copy(own_experts.__file__, folder / "model")
    file = folder / "model" / "config.json"
    code = {"AutoConfig": "own_experts.OwnConfig", "AutoModelForCausalLM": "own_experts.OwnForCausalLM"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": code}))
    (folder / "shared.json").write_text(json.dumps(ALL_SHARED))
    found = []
    for backend, world in ((TORCH, 1), (TORCH, 2), (("deepspeed", 1), 2), (DEEPSPEED, 2), (ZERO_3, 2)):
        settings = more + ('deepspeed = "shared.json"\n' if backend == ZERO_3 else "")
        words = command(folder, f"{backend[0]}-{backend[1]}-{world}", backend, settings, "--trust-remote-code")
        job = several.start([*words, "--max-steps", "3"], world=world, cwd=folder)
        assert job.wait() == [0] * world, job.said()
        found.append(lines(folder / words[words.index("-o") + 1]))
    for other in found[1:]:
        same(other, found[0])


def test_layers_that_short_texts_do_not_reach(several, folder):
    random_model("deepseek_v4", **COMPRESSING, layer_types=["heavily_compressed_attention"] * 2).save_pretrained(
        folder / "model"
    )
    found = []
    for backend, world in ((TORCH, 1), (TORCH, 2), (DEEPSPEED, 2)):
        words = command(folder, f"{backend[0]}-{world}", backend, "max_steps = 2\n")
        job = several.start(words, world=world, cwd=folder)
        assert job.wait() == [0] * world, job.said()
        found.append(lines(folder / words[words.index("-o") + 1]))
    for other in found[1:]:
        same(other, found[0])


def test_weights_that_stage_3_does_not_find_are_refused_before_the_first_step(several, folder):
    """It renames those of DeepSeek V4 otherwise."""
    random_model("deepseek_v4", **COMPRESSING).save_pretrained(folder / "model")
    for flags in ((), ("--dry-run",)):
        job = several.start([*command(folder, "out", ZERO_3, "max_steps = 1\n"), *flags], cwd=folder)
        assert job.wait() == [1]
        (error, hint) = [line for line in job.said().splitlines() if line.startswith(("latxa: ", "hint: "))]
        assert error.startswith("latxa: `model`: its weights lack 1 of the model's parameters, `model.norm.weight`")
        assert hint.endswith("does a lower `zero_stage` find them?") and "Traceback" not in job.said()
