"""What transformers 4 and others read in the models that `train`, `init`, `extend` and `merge` write.

`LATXA_TRANSFORMERS_4` names the Python of an environment with transformers 4.57 (CONTRIBUTING.md says how to make it).
"""

from __future__ import annotations

import json
import os
import sys

import pytest
import readers
import torch
from tiny_mix import WORDS
from transformers import AutoConfig

from latxa_cli.model_files import in_both_spellings, name_ends
from latxa_cli.models import merge as arithmetic
from latxa_cli.models import scratch, vocabulary
from latxa_cli.tokenizer import load_tokenizer

SIZES = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 128, "initializer_range": 0.2,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "tie_word_embeddings": True,
}  # fmt: skip
ROPE = ("rope_theta", "rope_scaling", "rope_local_base_freq")
OTHERS = {
    "preprocessor_config.json": '{"do_resize": true}', "processor_config.json": '{"image_seq_length": 256}',
    "LICENSE": "free", "added.txt": "beside",
}  # fmt: skip
VERBS = ("train", "extend", "merge")
CONTRADICTING = {"do_sample": False, "temperature": 0.6}  # which transformers does not write: it ends with an error
ANY = "PreTrainedTokenizerFast"
CLASSES = {"llama": "LlamaTokenizerFast"}  # which misreads the pieces of bytes that it stands beside


def start(kind, model_directory, folder):
    """Write a model as the hub has it; return its directory."""
    readers.on_the_hub(folder, kind, SIZES)
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / name).write_bytes((model_directory / name).read_bytes())
    own = json.loads((model_directory / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**own, "tokenizer_class": CLASSES.get(kind, ANY)}))
    for name, text in OTHERS.items():
        (folder / name).write_text(text)
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(generation | CONTRADICTING))
    return folder


def trained(base, rows, directory):
    from latxa_cli.training import session
    from latxa_cli.training.config import TrainConfig

    config = TrainConfig(sequence_length=64, sequences_per_step=4, max_steps=2, learning_rate=1e-2)
    loaded = session.load(str(base), config, device="cpu", threads=1)
    session.check_rows(rows, loaded, str(base))
    silent = session.RunListeners(report=lambda _: None, warn=lambda _: None, give_up=print)
    session.run(loaded, rows, config, directory, resume=False, listeners=silent)


def merged(base, directory):
    planned = arithmetic.plan(*[arithmetic.load(str(base))] * 3)
    directory.mkdir()
    arithmetic.merge(planned, directory, scale=1.0, parts=planned.parts, report=lambda _: None)


@pytest.fixture(scope="module")
def made(model_directory, config_file, records, tmp_path_factory):
    """{(verb, kind): the directory of the model}; `("start", kind)` is that of which it was made."""
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.stream.sources import parse_sources
    from latxa_cli.training.data import prepare as room
    from latxa_cli.training.data.tokenised import TokenisingSettings

    folder = tmp_path_factory.mktemp("readers")
    (folder / "mix.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    plan = room.settings_for(str(model_directory), TokenisingSettings(64))
    with open_executor("local", 1) as pool, Work(folder / "work", {}, pool) as work:
        rows = room.prepare(parse_sources([str(folder / "mix.jsonl")]), plan, work, folder / "rows").rows
    found = {("init", "llama"): model_directory}
    for kind in readers.KINDS:
        for verb in ("start", *VERBS):
            found[verb, kind] = folder / f"{verb}-{kind}"
        base = start(kind, model_directory, found["start", kind])
        trained(base, rows, found["train", kind])
        words = [{"text": f"{one} {other}"} for one in WORDS for other in WORDS]
        vocabulary.extend(str(base), words, found["extend", kind], pieces=5, start="mean", seed=0)
        merged(base, found["merge", kind])
    return found


def settings_of(directory, name="config.json"):
    return json.loads((directory / name).read_text())


@pytest.mark.parametrize("kind", readers.KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_both_spellings_of_rope_and_all_other_files(made, verb, kind):
    config, before = settings_of(made[verb, kind]), settings_of(made["start", kind])
    assert {name: config.get(name) for name in ROPE} == {name: before.get(name) for name in ROPE}
    rope = config["rope_parameters"]
    if kind == "gemma3":
        assert rope["sliding_attention"]["rope_theta"] == before["rope_local_base_freq"]
        rope = rope["full_attention"]
    scaling = before.get("rope_scaling") or {}
    kind_of_rope = {"rope_type": scaling.get("type", "default")}
    assert rope.items() >= (kind_of_rope | scaling | {"rope_theta": before["rope_theta"]}).items()
    assert config["vocab_size"] == before["vocab_size"] + 8 * (verb == "extend")  # rows come in eights
    for name, text in OTHERS.items():
        assert (made[verb, kind] / name).read_text() == text
    generation = settings_of(made[verb, kind], "generation_config.json")
    assert generation | CONTRADICTING == generation


@pytest.mark.parametrize("verb", VERBS)
def test_the_tokenizer_is_of_a_class_that_all_versions_read_right(made, verb):
    settings = settings_of(made[verb, "llama"], "tokenizer_config.json")
    assert settings["tokenizer_class"] == ANY
    assert not {"is_local", "local_files_only", "backend", "extra_special_tokens"} & settings.keys()
    tokenizer = load_tokenizer(str(made[verb, "llama"]))
    assert tokenizer.chat_template == scratch.CHAT_TEMPLATE
    assert tokenizer.decode(tokenizer("a b é")["input_ids"], skip_special_tokens=True) == "a b é"


def test_a_new_model_is_spelt_in_both_ways_too(made):
    config = settings_of(made["init", "llama"])
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] and "rope_scaling" not in config
    assert settings_of(made["init", "llama"], "tokenizer_config.json")["tokenizer_class"] == ANY


def test_what_a_configuration_already_says_is_kept_and_parts_are_spelt_too():
    part = {"rope_theta": 5.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
    new = {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5.0, "partial_rotary_factor": 0.5}}
    found = in_both_spellings({"text_config": part, "vision_config": {"a": 1}}, {"text_config": new, "b": 2})
    assert found == {"text_config": part | new | {"partial_rotary_factor": 0.5}, "vision_config": {"a": 1}}
    assert in_both_spellings({"n_embd": 4}, {"n_embd": 4, "rope_parameters": None}) == {"n_embd": 4}


@pytest.mark.parametrize(("kind", "part"), [("inkling_mm_model", "text_config"), ("llama", None)])
def test_several_ends_are_named_where_a_family_can_have_them(kind, part):
    config = {"model_type": kind, **({part: {"eos_token_id": 1}} if part else {"eos_token_id": 1})}
    name_ends(config, [1, 3])
    assert (config[part] if part else config)["eos_token_id"] == (1 if part else [1, 3])
    AutoConfig.for_model(**config)


def test_sections_of_a_grid_of_positions_are_spelt_for_version_4():
    """It takes no Qwen2-VL without them."""
    new = {"rope_parameters": {"rope_type": "default", "rope_theta": 5.0, "mrope_section": [4, 2, 2]}}
    found = in_both_spellings({"text_config": {}}, {"text_config": new})["text_config"]
    assert found["rope_scaling"] == {"rope_type": "default", "mrope_section": [4, 2, 2]} and found["rope_theta"] == 5.0


def test_long_rope_is_spelt_for_version_4_with_three_fields_alone():
    """Phi 3.5, Phi 4 mini: version 4 takes no model with more. Version 5 writes into a configuration that it reads."""
    given = readers.SIZES | readers.KINDS["phi3"]
    before = json.dumps(given)
    known = AutoConfig.for_model(**json.loads(before)).to_dict()
    assert json.dumps(given) == before and set(given["rope_scaling"]) == {"type", "short_factor", "long_factor"}
    assert in_both_spellings(given, known)["rope_scaling"] == given["rope_scaling"]
    new = {name: value for name, value in known.items() if name not in ("rope_scaling", "rope_theta")}
    del new["original_max_position_embeddings"]
    found = in_both_spellings(new, known)
    assert {name: found[name] for name in ("rope_scaling", "rope_theta", "original_max_position_embeddings")} == {
        name: given[name] for name in ("rope_scaling", "rope_theta", "original_max_position_embeddings")
    }


@pytest.fixture
def transformers_4():
    """The Python of an environment with transformers 4."""
    python = os.environ.get("LATXA_TRANSFORMERS_4")
    if not python:
        pytest.skip("`LATXA_TRANSFORMERS_4` names no Python with transformers 4: see CONTRIBUTING.md")
    return python


def test_transformers_4_reads_the_same_models(made, transformers_4):
    models = {f"{verb} {kind}": path for (verb, kind), path in made.items()}
    old = readers.read(transformers_4, readers.TRANSFORMERS, models, version="4.")
    new = readers.read(sys.executable, readers.TRANSFORMERS, models, version="5.")
    for name, found in old.items():
        logits = torch.tensor(new[name]["logits"])
        assert readers.difference(found, logits) <= 1e-4, name
        assert logits.abs().max() > 0.5, name
        if name == "start llama":  # the class that it names misreads the file, in each version in another way
            continue
        for fact in ("prompt", "written", "tokens", "special"):
            assert found[fact] == new[name][fact], (name, fact)


def test_the_reader_of_version_4_would_notice_the_new_spelling_alone(made, tmp_path, transformers_4):
    """What the test above is for: without the old spelling, version 4 has other logits."""
    for path in made["train", "llama"].iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    config = settings_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({name: config[name] for name in config if name not in ROPE}))
    models = {"new": tmp_path, "both": made["train", "llama"]}
    found = readers.read(transformers_4, readers.TRANSFORMERS, models, version="4.")
    assert readers.difference(found["new"], torch.tensor(found["both"]["logits"])) > 0.01


def test_transformers_4_reads_what_was_trained_and_stops_after_an_answer(latxa, tmp_path, transformers_4):
    models = {kind: readers.learnt(kind, tmp_path / kind, latxa) for kind in readers.KINDS}
    for kind, found in readers.read(transformers_4, readers.TRANSFORMERS, models, version="4.").items():
        assert readers.difference(found, readers.as_trained(models[kind])) <= 1e-4, kind
        assert readers.stops(found, kind, models[kind]), kind
