"""Models that take pictures or sound beside text, tiny and random: text trains them, and they stay whole."""

from __future__ import annotations

import json

import pytest
import torch
from random_models import WITH_PARTS, model_with_parts
from test_kinds_of_models import SIX, files_of, loss_in_rows, loss_of_each_text
from transformers import AutoModelForMultimodalLM

from latxa_cli.architecture import check_reads_text, skeleton
from latxa_cli.model import load_model, load_text_config
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import session
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import isolation, parameters, parts
from latxa_cli.training.network.forward import PackedLoss, to_device

UNPACKED = ("qwen3_5",)


@pytest.mark.parametrize("packing", ["auto", "never"])
@pytest.mark.parametrize("kind", WITH_PARTS)
def test_rows_have_the_loss_of_each_text_alone(kind, rows, packing):
    model = model_with_parts(kind, spread=0.1)
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.choose(network, rows, packing)
    assert network.packed == (packing == "auto" and kind not in UNPACKED)
    expected = loss_of_each_text(model, rows.batch(SIX))
    for batch_size in (1, 3):
        assert loss_in_rows(network, rows, batch_size) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("adapted", [{}, {"lora_rank": 2}])
@pytest.mark.parametrize("kind", WITH_PARTS)
def test_a_run_trains_the_text_part_and_keeps_the_others(kind, adapted, rows, tokenizer, tmp_path):
    start = files_of(model_with_parts(kind), tokenizer, tmp_path / "start")
    config = TrainConfig(sequence_length=64, learning_rate=1e-2, max_steps=2, **adapted)
    loaded = session.load(start, config, device="cpu", threads=1)
    told = []
    silent = session.RunListeners(report=lambda _: None, warn=told.append, give_up=pytest.fail)
    session.run(loaded, rows, config, tmp_path / "out", resume=False, listeners=silent)
    assert told[0].startswith("not trained, since text does not pass through it: `")
    before, after = (
        dict(AutoModelForMultimodalLM.from_pretrained(folder).named_parameters())
        for folder in (start, tmp_path / "out")
    )
    beside = set(parts.beside_text(loaded.model))
    assert {name for name in before if "vision" in name or "visual" in name or "audio" in name} <= beside
    assert not [name for name in beside if not torch.equal(before[name], after[name])]
    assert [name for name in before if not torch.equal(before[name], after[name])]
    named = [json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("start", "out")]
    assert named[0]["architectures"] == named[1]["architectures"] and named[1]["model_type"] == kind
    assert f'= {named[0]["architectures"][0]}.from_pretrained("MODEL"' in (tmp_path / "out" / "README.md").read_text()
    with torch.no_grad():
        ids = torch.arange(3, 43).view(2, 20)
        logits = [
            model.eval()(input_ids=ids, use_cache=False).logits
            for model in (loaded.model, load_model(str(tmp_path / "out"), device="cpu"))
        ]
    assert (logits[0] - logits[1]).abs().max() <= 1e-5 * logits[0].abs().max()


def test_positions_in_a_grid_keep_packed_texts_apart(rows):
    """Of those that are one for each token, Qwen2-VL makes no mask."""
    network = PackedLoss(model_with_parts("qwen2_vl"), attention="sdpa").eval()
    isolation.choose(network, rows, "always")
    assert network.by_grid
    network = PackedLoss(model_with_parts("qwen3_vl"), attention="sdpa").eval()
    isolation.choose(network, rows, "always")
    assert not network.by_grid


def test_layers_that_attend_to_pictures_alone_are_not_trained(rows):
    model = model_with_parts("mllama")
    assert "not trained, since text does not pass through it: " in (said := parameters.choose(model, TrainConfig())[0])
    assert said.endswith("`model.vision_model`, `model.language_model.layers.1`, `model.multi_modal_projector`")
    network = PackedLoss(model, attention="sdpa")
    isolation.choose(network, rows, "auto")
    network(*to_device(rows.batch(SIX), torch.device("cpu"))).backward()
    assert not [name for name, value in parameters.trained(model).items() if value.grad is None]


def test_what_is_not_trained_is_named_by_its_largest_modules():
    said = parameters.choose(model_with_parts("llama4"), TrainConfig())
    assert said == ["not trained, since text does not pass through it: `vision_model`, `multi_modal_projector`"]


def saved_config(folder, kind, **settings):
    from transformers import CONFIG_MAPPING

    CONFIG_MAPPING[kind](**settings).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("t5", "is a `t5`, which has an encoder"),
        ("bart", "is a `bart`, which has an encoder"),
        ("vit", "is a `vit`, which continues no text"),
        ("paligemma", "is a `paligemma`, which looks ahead in a prompt"),
        ("blip", "is a `blip`, which does not read text alone: .*pixel_values"),
        ("voxtral_realtime", "is a `voxtral_realtime`, which does not read text alone: .*input_features"),
    ],
)
def test_families_that_cannot_be_trained_are_refused_by_name_before_anything_is_prepared(
    kind, why, tokenizer, prepared, records, rows, tmp_path
):
    model = saved_config(tmp_path, kind)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LatxaError, match=why):
        prepared(records, model=model)
    with pytest.raises(LatxaError, match=why):
        session.load(model, TrainConfig(sequence_length=64), device="cpu", threads=1)


def test_models_of_several_and_configurations_of_none_are_refused_in_one_line():
    from transformers import CONFIG_MAPPING

    with pytest.raises(LatxaError, match="`m` is a `qwen2_5_omni`, which is several models in one"):
        check_reads_text("m", CONFIG_MAPPING["qwen2_5_omni"]())
    config = CONFIG_MAPPING["llava"]()
    config.text_config.hidden_act = "no such"
    with pytest.raises(LatxaError, match=r"`m`: its configuration does not make a `llava`: .*no such"):
        check_reads_text("m", config)


def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path):
    from transformers import CONFIG_MAPPING, LlavaForConditionalGeneration

    def missing(*_, **__):
        raise ImportError("LlavaVision requires the seeing library but it was not found")

    monkeypatch.setattr(LlavaForConditionalGeneration, "_from_config", missing)
    with pytest.raises(LatxaError, match="a `llava`, cannot be loaded: LlavaVision requires the seeing library"):
        check_reads_text("m", CONFIG_MAPPING["llava"]())


def test_the_context_is_that_of_the_text_part(tokenizer, tmp_path):
    start = files_of(model_with_parts("qwen2_vl"), tokenizer, tmp_path)
    assert load_text_config(start).max_position_embeddings == 128
    with pytest.raises(LatxaError, match="takes at most 128 tokens"):
        session.load(start, TrainConfig(sequence_length=256), device="cpu", threads=1)


@pytest.mark.parametrize("tied", [False, True])
def test_merge_reads_in_the_whole_configuration_whether_the_output_is_tied(tied, tokenizer, tmp_path):
    from latxa_cli.models import merge

    start = files_of(model_with_parts("qwen2_5_vl", tie_word_embeddings=tied), tokenizer, tmp_path)
    three = (merge.load(start), merge.load(start), merge.load(start))
    assert not hasattr(three[0].config.get_text_config(), "tie_word_embeddings")
    assert ("lm_head.weight" in {part.entry.name for part in merge.plan(*three).parts}) == (not tied)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "idefics3", "llama4"])
def test_tokens_are_added_to_the_text_part(kind, tokenizer, tmp_path, recwarn):
    from latxa_cli.model_files import export
    from latxa_cli.models.embeddings import add_rows

    model = load_model(files_of(model_with_parts(kind), tokenizer, tmp_path / "start"), device="cpu")
    add_rows(model, 300, [(5, 6)], start="mean", seed=0)
    export(model, tokenizer, tmp_path / "out", dtype="float32", start=tmp_path / "start")
    grown = load_model(str(tmp_path / "out"), device="cpu")
    assert grown(input_ids=torch.tensor([[300, 4]])).logits.shape[-1] == len(grown.get_input_embeddings().weight) > 300
    assert not [one for one in recwarn if "complex" in str(one.message)]


def test_tokens_are_not_added_where_rows_stand_for_pictures():
    from latxa_cli.models.embeddings import add_rows

    with pytest.raises(LatxaError, match="a `mllama` takes no more tokens: its input has 308 rows, and its output 300"):
        add_rows(model_with_parts("mllama"), 300, [(5, 6)], start="mean", seed=0)


@pytest.mark.parametrize(
    ("kind", "part", "settings"),
    [
        ("phi4_multimodal", "model.embed_tokens_extend", {}),
        ("chameleon", "model.vqmodel", {"vocabulary_map": {"<image>": 3}}),
    ],
)
def test_parts_are_found_where_the_configuration_of_text_is_the_whole(kind, part, settings):
    from transformers import CONFIG_MAPPING

    config = CONFIG_MAPPING[kind](num_hidden_layers=1, **settings)
    assert config.get_text_config() is config
    network = skeleton(kind, config)
    assert parts.whole_parts(network, parts.beside_text(network)) == [part]


@pytest.mark.parametrize(
    ("config", "where", "takes"),
    [
        (
            {"model_type": "inkling_mm_model", "text_config": {"eos_token_id": 1}},
            ["text_config", "eos_token_id"],
            False,
        ),
        ({"model_type": "inkling_text", "eos_token_id": 1}, ["eos_token_id"], False),
        ({"model_type": "qwen2_5_vl", "text_config": {"eos_token_id": 1}}, ["text_config", "eos_token_id"], True),
        ({"model_type": "llama", "eos_token_id": 1}, ["eos_token_id"], True),
        ({"model_type": "of no library", "eos_token_id": 1}, ["eos_token_id"], True),
    ],
)
def test_several_ends_are_named_where_the_configuration_takes_them(config, where, takes):
    from functools import reduce

    from latxa_cli.model_files import name_ends

    name_ends(config, [1, 6])
    assert reduce(dict.__getitem__, where, config) == ([1, 6] if takes else 1)


def test_tokens_are_added_where_the_embeddings_of_each_layer_have_fewer_rows():
    """Those of Gemma 3n, which say nothing of pictures."""
    from random_models import random_model

    from latxa_cli.models.embeddings import add_rows

    sizes = {"global_head_dim": 32, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 290}
    layers = {"layer_types": ["sliding_attention", "full_attention"], "head_dim": 16, "sliding_window": 16}
    model = random_model("gemma4_text", **sizes, **layers)
    add_rows(model, 300, [(5, 6)], start="mean", seed=0)
    assert len(model.get_input_embeddings().weight) > 300
