"""What DeepSpeed is told: our settings, and a file of its own laid over them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training.backends.deepspeed_backend import holds_half, settings
from latxa_cli.training.config import TrainConfig


def told(world=1, **changed):
    return settings(TrainConfig(backend="deepspeed", **changed), SimpleNamespace(world=world))


@pytest.mark.parametrize(
    ("world", "rows", "batch", "micro", "passes"),
    [(1, 8, 8, 8, 1), (1, 9, 2, 2, 5), (2, 9, 2, 2, 3), (4, 9, 8, 3, 1), (16, 9, 8, 1, 1)],
)
def test_batches_are_those_of_a_process(world, rows, batch, micro, passes):
    found = told(world, sequences_per_step=rows, batch_size=batch)
    assert found["train_micro_batch_size_per_gpu"] == micro
    assert found["gradient_accumulation_steps"] == passes


def test_the_gradient_is_clipped_and_shared_out_as_the_settings_say():
    found = told(clip=0.3, zero_stage=1)
    assert (found["gradient_clipping"], found["zero_optimization"]) == (0.3, {"stage": 1})
    assert "bf16" not in found


@pytest.mark.parametrize(("stage", "half"), [(0, False), (1, True), (2, True), (3, True)])
def test_half_precision_adds_up_gradients_in_float32(stage, half):
    found = told(dtype="bfloat16", zero_stage=stage)
    assert holds_half(TrainConfig(dtype="bfloat16", zero_stage=stage)) == half
    assert found.get("bf16") == ({"enabled": True} if half else None)
    assert found.get("data_types") == ({"grad_accum_dtype": "fp32"} if half else None)


def laid_over(tmp_path, overlay, **changed):
    path = tmp_path / "overlay.json"
    path.write_text(overlay if isinstance(overlay, str) else json.dumps(overlay))
    return told(deepspeed=str(path), **changed)


def test_an_overlay_changes_what_it_names_and_leaves_the_rest(tmp_path):
    pytest.importorskip("deepspeed", reason="needs DeepSpeed")
    found = laid_over(tmp_path, {"zero_optimization": {"overlap_comm": True}, "wall_clock_breakdown": True})
    assert found["zero_optimization"] == {"stage": 2, "overlap_comm": True}
    assert found["wall_clock_breakdown"] is True and found["gradient_clipping"] == 1.0


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not JSON"),
        ({"gradient_clipping": 2}, "sets `gradient_clipping`, which the training settings decide"),
        ({"optimizer": {}}, "sets `optimizer`"),
        ({"bf16": {}}, "sets `bf16`"),
        ({"zero_optimization": {"stage": 3}}, "has ZeRO stage 3, `zero_stage` is 2"),
    ],
)
def test_an_overlay_that_contradicts_the_settings(tmp_path, overlay, message):
    pytest.importorskip("deepspeed", reason="needs DeepSpeed")
    with pytest.raises(UsageError, match=message):
        laid_over(tmp_path, overlay)


def test_an_overlay_that_is_not_there(tmp_path):
    with pytest.raises(LatxaError, match="cannot be read"):
        told(deepspeed=str(tmp_path / "none.json"))
