"""`latxa merge`: the arithmetic, what fits what, and the files beside the weights."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import torch
from merge_world import EMBEDDING, HEAD, World, bits, change, read, same_bits, shard
from safetensors.torch import save_file

from latxa_cli.models import merge, merged_files
from latxa_cli.models.alignment import Alignment, Stretch
from latxa_cli.stream.errors import LatxaError


@pytest.fixture
def world(tmp_path: Path, model_directory: Path) -> World:
    return World(tmp_path, model_directory)


# --- arithmetic


@pytest.mark.parametrize("block", [100, merge.BLOCK])
@pytest.mark.parametrize("scale", [1.0, 0.3, -2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_tensor_is_the_formula(world, monkeypatch, dtype, scale, block):
    monkeypatch.setattr(merge, "BLOCK", block)
    merged, facts = world.merged(world.three(dtype), scale)
    base, plus, minus = (world.random(seed, dtype) for seed in range(3))
    assert merged.keys() == base.keys()
    for name, tensor in merged.items():
        b, p, m = (model[name].float().numpy() for model in (base, plus, minus))
        expected = b + b.dtype.type(scale) * (p - m)  # numpy, in float32
        assert bits(tensor) == bits(torch.from_numpy(expected).to(dtype)), name
    square = lambda tensors: sum(float(tensor.double().square().sum()) for tensor in tensors)  # noqa: E731
    deltas = square(plus[name].double() - minus[name].double() for name in plus)
    assert facts["delta"] == pytest.approx((deltas / square(base.values())) ** 0.5, rel=1e-5)
    assert facts["parameters"] == sum(tensor.numel() for tensor in base.values())


def test_the_result_has_the_dtype_of_the_base_and_is_rounded_once(world):
    models = [
        world.model("base", world.random(0, torch.bfloat16)),
        world.model("plus", world.random(1, torch.float64)),
        world.model("minus", world.random(2, torch.float32)),
    ]
    merged, facts = world.merged(models)
    base, plus, minus = world.random(0, torch.bfloat16), world.random(1, torch.float64), world.random(2)
    assert merged.keys() == base.keys()
    for name, tensor in merged.items():
        expected = base[name].double() + (plus[name] - minus[name].double())
        assert bits(tensor) == bits(expected.bfloat16())
    assert facts["dtypes"] == ["BF16"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scale_0_gives_the_base_bit_for_bit(world, dtype):
    models = world.three(dtype)
    weights = world.random(0, dtype)
    weights[EMBEDDING][0, :4] = torch.tensor([-0.0, 0.0, 1e-38, -1e-30])
    save_file(weights, models[0] / "model.safetensors", metadata={"format": "pt"})
    assert same_bits(world.merged(models, 0.0)[0], weights)
    plus_again = [models[0], models[1], models[1]]  # nothing to add, however often
    assert same_bits(world.merged(plus_again, 3.0)[0], weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_added_to_what_it_was_made_from_the_difference_gives_the_taught_model(world, dtype):
    models = world.three(dtype)
    merged, _ = world.merged([models[2], models[1], models[2]])
    assert same_bits(merged, world.random(1, dtype))


@pytest.mark.parametrize("whose", ["base", "plus", "minus"])
def test_a_model_that_is_not_finite_is_named(world, whose):
    models = world.three()
    weights = read(world.folder / whose)
    weights["model.norm.weight"][4] = float("nan")
    save_file(weights, world.folder / whose / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LatxaError, match=f"{whose}`: `model.norm.weight` is not finite"):
        world.merged(models)
    assert list((world.folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("dtype", "value", "scale"),
    [(torch.float32, float("nan"), 1.0), (torch.bfloat16, float("inf"), 1.0), (torch.float16, 1.0, 70_000.0)],
)
def test_what_is_not_finite_is_refused_by_name(world, dtype, value, scale):
    models = world.three(dtype)
    name = "model.layers.1.mlp.up_proj.weight"
    weights = world.random(0, dtype) if value != 1.0 else {n: torch.zeros_like(t) for n, t in world.random(0).items()}
    weights = {n: tensor.to(dtype) for n, tensor in weights.items()}
    weights[name][3, 5] = value
    save_file(weights, models[0] / "model.safetensors", metadata={"format": "pt"})
    if value == 1.0:  # only there do the other two differ
        taught = world.random(1, dtype)
        same = {n: tensor.clone() for n, tensor in taught.items()}
        same[name][0, 0] = taught[name][0, 0] - 1
        save_file(same, models[2] / "model.safetensors", metadata={"format": "pt"})
    whose = f"`{name}` is not finite in the result" if value == 1.0 else f"base`: `{name}` is not finite"
    with pytest.raises(LatxaError, match=whose):
        world.merged(models, scale)
    assert list((world.folder / "out").iterdir()) == []


def test_large_numbers_that_are_finite_are_no_error(world):
    weights = {name: torch.full_like(tensor, 3e38) for name, tensor in world.random(0).items()}
    base = world.model("large", weights)
    assert same_bits(world.merged([base, base, base])[0], weights)


# --- files of weights


def test_shards_make_no_difference(world):
    models = world.three(torch.bfloat16)
    single, _ = world.merged(models, 0.7)
    whole = (world.folder / "out" / "model.safetensors").read_bytes()
    for model, most in zip(models, (10_000, 20_000, 1), strict=True):
        shard(model, most)
        assert len(list(model.glob("model-*.safetensors"))) > 1
    world.merged(models, 0.7)
    assert (world.folder / "out" / "model.safetensors").read_bytes() == whole
    sharded, facts = world.merged(models, 0.7, shard_bytes=15_000)
    assert same_bits(sharded, single)
    files = list((world.folder / "out").glob("*.safetensors"))
    assert facts["shards"] == len(files) > 1
    assert all(file.stat().st_size < 20_000 for file in files)


def test_transformers_reads_the_shards(world):
    from transformers import AutoModelForCausalLM

    world.merged(world.three(), shard_bytes=15_000)
    loaded = AutoModelForCausalLM.from_pretrained(world.folder / "out", output_loading_info=True, dtype="auto")
    assert not loaded[1]["missing_keys"] and not loaded[1]["unexpected_keys"]
    state = loaded[0].state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in read(world.folder / "out").items())


def test_what_transformers_computes_itself_is_not_looked_at(world):
    models = world.three()
    old = world.random(1) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.arange(8)}
    save_file(old, models[1] / "model.safetensors", metadata={"format": "pt"})
    merged, _ = world.merged(models)
    assert merged.keys() == world.shapes.keys()


REFUSED = {
    "another architecture": (r"`.*base` is a llama, and `.*plus` a mistral", "of one architecture"),
    "other heads": (r"`num_attention_heads` is 2 in `.*base`, 1 in `.*plus` and 2 in `.*minus`", "of one architecture"),
    "wider heads": (r"`head_dim` is 16 in `.*base`, 32 in `.*plus` and 16 in `.*minus`", "of one architecture"),
    "another activation": (r'`hidden_act` is "silu" in `.*base`, "gelu" in `.*plus` and "silu" in', "of one architec"),
    "rows that no setting tells": (
        r"plus`: `model.embed_tokens.weight` has 300 rows, and `vocab_size` is 310",
        "that of",
    ),
    "a missing tensor": ("lacks the tensor `model.layers.1.mlp.up_proj.weight`", "of one architecture"),
    "a tensor more": ("lacks the tensor `model.layers.2.mlp.up_proj.weight`", "of one architecture"),
    "another shape": (r"`model.norm.weight` is \[32\] in `.*base` and \[33\] in `.*plus`", "of one architecture"),
    "whole numbers": ("`model.norm.weight` is I8: only floating-point", "before it was quantised"),
    "eight bits": ("`model.norm.weight` is F8_E4M3: only floating-point", "before it was quantised"),
    "no weights": ("has no weights as safetensors", "`model.safetensors`"),
    "weights that may hold code": ("plus` has no weights as safetensors", "`save_pretrained` of transformers"),
    "a tokenizer that is cut": (r"plus`: its tokenizer cannot be loaded: .+", "is `tokenizer.json` in it whole"),
    "an adapter beside": ("plus` holds an adapter beside weights", "remove `adapter_config.json`"),
    "a cut file": (r"`model.safetensors` cannot be read: ", "is the copy complete"),
    "a lost shard": (r"`model-00002-of-\d+.safetensors` is missing", "is the copy complete"),
    "a broken index": ("`model.safetensors.index.json` is no index", "is the copy complete"),
    "an index that lies": (r"`model-0.*` lacks `model.*`, which the index", "is the copy complete"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_models_that_do_not_fit_are_one_line(world, what):
    models = world.three()
    file, weights = models[1] / "model.safetensors", world.random(1)
    up, norm = "model.layers.1.mlp.up_proj.weight", "model.norm.weight"
    if what == "a missing tensor":
        del weights[up]
    elif what == "a tensor more":
        weights["model.layers.2.mlp.up_proj.weight"] = weights[up].clone()
    elif what == "another shape":
        weights[norm] = torch.zeros(33)
    elif what == "whole numbers":
        weights[norm] = weights[norm].to(torch.int8)
    elif what == "eight bits":
        weights[norm] = weights[norm].to(torch.float8_e4m3fn)
    save_file(weights, file, metadata={"format": "pt"})
    if what == "no weights":
        file.unlink()
    elif what == "weights that may hold code":
        file.rename(models[1] / "pytorch_model.bin")
    elif what == "a tokenizer that is cut":
        (models[1] / "tokenizer.json").write_text('{"model":')
    elif what == "an adapter beside":
        (models[1] / "adapter_config.json").write_text("{}")
    elif what == "another architecture":
        change(models[1] / "config.json", model_type="mistral", architectures=["MistralForCausalLM"])
    elif what == "other heads":
        change(models[1] / "config.json", num_attention_heads=1, num_key_value_heads=1)
    elif what == "wider heads":
        change(models[1] / "config.json", head_dim=32)
    elif what == "another activation":
        change(models[1] / "config.json", hidden_act="gelu")
    elif what == "rows that no setting tells":
        change(models[1] / "config.json", vocab_size=310)
    elif what == "a cut file":
        file.write_bytes(file.read_bytes()[:-1000])
    elif what in ("a lost shard", "a broken index", "an index that lies"):
        shard(models[1], 10_000)
        index = models[1] / "model.safetensors.index.json"
        places = json.loads(index.read_text())["weight_map"]
        if what == "a lost shard":
            next(models[1].glob("model-00002-*")).unlink()
        elif what == "a broken index":
            index.write_text('{"weight_map": [1]}')
        else:
            change(index, weight_map=places | {EMBEDDING: places[norm]})
    message, hint = REFUSED[what]
    with pytest.raises(LatxaError, match=message) as caught:
        world.merged(models)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_full_disk_is_one_line_and_leaves_no_half_file(world):
    models = world.three()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        with pytest.raises(LatxaError, match=r"out: cannot be written \(File too large\)"):
            world.merged(models)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((world.folder / "out").iterdir()) == []


def test_too_little_space_is_said_before_anything_is_written(world, monkeypatch):
    models = world.three()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(LatxaError, match=r"out: the weights take \d+(\.\d+)? kB, 1 kB are free"):
        world.merged(models)


# --- tied output layers


def untied(world: World, seed: int) -> dict[str, torch.Tensor]:
    weights = world.random(seed)
    generator = torch.Generator().manual_seed(seed + 100)
    return weights | {HEAD: torch.randn(weights[EMBEDDING].shape, generator=generator)}


@pytest.mark.parametrize("own", [(0,), (1,), (2,), (1, 2), (0, 1), (0, 1, 2)])
def test_an_output_layer_of_its_own_in_some_of_the_three(world, own):
    models, weights = [], []
    for seed, name in enumerate(("base", "plus", "minus")):
        weights.append(untied(world, seed) if seed in own else world.random(seed))
        models.append(world.model(name, weights[-1], tie_word_embeddings=seed not in own))
    merged, facts = world.merged(models)
    heads = [each.get(HEAD, each[EMBEDDING]) for each in weights]
    assert torch.equal(merged[HEAD], heads[0] + (heads[1] - heads[2]))
    assert facts["untied"] == (0 not in own)
    assert json.loads((world.folder / "out" / "config.json").read_text())["tie_word_embeddings"] is False


def test_a_tied_output_layer_that_is_in_the_file_is_still_tied(world):
    models, weights = world.three(), world.random(1)
    save_file(weights | {HEAD: weights[EMBEDDING].clone()}, models[1] / "model.safetensors", metadata={"format": "pt"})
    merged, facts = world.merged(models)
    assert HEAD not in merged and not facts["untied"]
    assert json.loads((world.folder / "out" / "config.json").read_text())["tie_word_embeddings"] is True


def test_a_lost_output_layer_is_not_taken_for_a_tied_one(world):
    models = [
        world.model(name, untied(world, seed), tie_word_embeddings=False)
        for seed, name in enumerate(("base", "plus", "minus"))
    ]
    save_file(world.random(2), models[2] / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LatxaError, match=f"minus` lacks the tensor `{HEAD}`"):
        world.merged(models)


# --- vocabularies


def grow(directory: Path, tokens: list[str], *, special: bool = False, rows: int | None = None, seed: int = 9) -> None:
    """Give a model more tokens at the end of its vocabulary, with random rows, or more rows only."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_tokens(tokens, special_tokens=special)
    tokenizer.save_pretrained(directory)
    weights = read(directory)
    embedding = weights[EMBEDDING]
    rows = rows or len(tokenizer)
    more = torch.randn((rows - len(embedding), embedding.shape[1]), generator=torch.Generator().manual_seed(seed))
    save_file(
        weights | {EMBEDDING: torch.cat([embedding, more.to(embedding.dtype)])},
        directory / "model.safetensors", metadata={"format": "pt"},
    )  # fmt: skip
    change(directory / "config.json", vocab_size=rows)


def test_rows_that_only_the_base_has_stay_as_they_are(world):
    from transformers import AutoTokenizer

    models = world.three()
    grow(models[0], ["Lanbro", "Zubi"])
    grow(models[1], [], rows=320)
    merged, facts = world.merged(models)
    base, plus, minus = map(read, models)
    assert facts["rows"] == {"merged": 300, "kept": 2, "taken": 0}
    assert facts["tokenizer"] == "base"
    expected = base[EMBEDDING][:300] + (plus[EMBEDDING][:300] - minus[EMBEDDING])
    assert torch.equal(merged[EMBEDDING], torch.cat([expected, base[EMBEDDING][300:]]))
    out = AutoTokenizer.from_pretrained(world.folder / "out")
    assert out.convert_tokens_to_ids(["Lanbro", "Zubi"]) == [300, 301]
    assert out.chat_template == AutoTokenizer.from_pretrained(models[1]).chat_template
    assert json.loads((world.folder / "out" / "config.json").read_text())["vocab_size"] == 302


def test_tokens_that_only_the_taught_model_has_come_with_its_tokenizer(world):
    from transformers import AutoTokenizer

    models = world.three()
    grow(models[1], ["<|im_start|>", "<|im_end|>"], special=True, rows=310)
    merged, facts = world.merged(models)
    base, plus, minus = map(read, models)
    assert facts["rows"] == {"merged": 300, "kept": 0, "taken": 2}
    assert facts["tokenizer"] == "plus"
    expected = base[EMBEDDING] + (plus[EMBEDDING][:300] - minus[EMBEDDING])
    assert torch.equal(merged[EMBEDDING], torch.cat([expected, plus[EMBEDDING][300:302]]))
    assert AutoTokenizer.from_pretrained(world.folder / "out").convert_tokens_to_ids("<|im_end|>") == 301


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_tokens_that_were_never_taught_to_the_model_before_are_those_of_the_taught_one(world, scale):
    """A base whose tokenizer reserves the tokens of turns, with rows that nobody trained."""
    models = world.three()
    turns = ["<|im_start|>", "<|im_end|>"]
    grow(models[0], [*turns, "Lanbro"], special=True, seed=3)
    grow(models[1], turns, special=True, seed=4)
    merged, facts = world.merged(models, scale)
    base, plus, minus = (read(model)[EMBEDDING] for model in models)
    assert facts["rows"] == {"merged": 300, "kept": 1, "taken": 2}
    expected = base[:300] + scale * (plus[:300] - minus)
    taken = (plus if scale else base)[300:302]
    assert torch.equal(merged[EMBEDDING], torch.cat([expected, taken, base[302:]]))


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_rows_that_pad_are_not_what_a_token_of_the_taught_model_was(world, scale):
    """The base and the third model have rows where the taught one names its turns, but no token there."""
    models = world.three()
    for seed, model, tokens in zip(range(3), models, ([], ["<|im_start|>", "<|im_end|>"], []), strict=True):
        grow(model, tokens, special=True, rows=310 + seed, seed=seed)
    merged, facts = world.merged(models, scale)
    base, plus, minus = (read(model)[EMBEDDING] for model in models)
    assert facts["rows"] == {"merged": 308, "kept": 0, "taken": 2} and facts["tokenizer"] == "plus"
    expected = base + scale * (plus[:310] - minus[:310])
    expected[300:302] = (plus if scale else base)[300:302]
    assert torch.equal(merged[EMBEDDING], expected)


def test_rows_of_no_token_are_kept_where_the_third_model_is_not_padded(world):
    models = world.three()
    for seed, model in enumerate(models[:2]):
        grow(model, [], rows=320, seed=seed)
    merged, facts = world.merged(models)
    assert facts["rows"] == {"merged": 300, "kept": 20, "taken": 0}
    assert torch.equal(merged[EMBEDDING][300:], read(models[0])[EMBEDDING][300:])


def test_a_special_token_that_an_extended_base_lacks_is_refused(world):
    models = world.three()
    grow(models[0], ["Lanbro"])
    grow(models[1], ["<|im_start|>"], special=True)
    with pytest.raises(LatxaError, match=r"tokens of its own, and lacks the token `<\|im_start\|>` of `.*plus`"):
        world.merged(models)


def test_a_reserved_token_that_got_another_name_is_refused_as_such(world):
    models = world.three()
    grow(models[0], ["<|reserved_0|>"], special=True)
    grow(models[1], ["<|im_start|>"], special=True)
    grow(models[2], ["<|reserved_0|>"], special=True)
    with pytest.raises(
        LatxaError, match=r"row 300 is the token `<\|reserved_0\|>` in `.*base`, and `<\|im_start\|>` in"
    ) as e:
        world.merged(models)
    assert "one name" in e.value.hint
    for file in ("tokenizer.json", "tokenizer_config.json"):
        for model in (models[0], models[2]):
            (model / file).write_text((model / file).read_text().replace("<|reserved_0|>", "<|im_start|>"))
    _, facts = world.merged(models)
    assert facts["rows"] == {"merged": 301, "kept": 0, "taken": 0}


def test_rows_of_no_token_are_matched_by_number(world):
    models = world.three()
    for seed, model in enumerate(models):
        grow(model, [], rows=320, seed=seed)
    merged, facts = world.merged(models)
    base, plus, minus = (read(model)[EMBEDDING] for model in models)
    assert facts["rows"] == {"merged": 320, "kept": 0, "taken": 0}
    assert torch.equal(merged[EMBEDDING], base + (plus - minus))


def test_other_numbers_for_the_same_tokens(world):
    """The base counts its tokens in another order: rows go by token, and ids in the settings are its own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    models = world.three()
    path = models[0] / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    new = lambda number: (number + 290) % 300  # noqa: E731
    tokenizer["model"]["vocab"] = {token: new(number) for token, number in tokenizer["model"]["vocab"].items()}
    for token in tokenizer["added_tokens"]:
        token["id"] = new(token["id"])
    for special in tokenizer["post_processor"].get("special_tokens", {}).values():
        special["ids"] = [new(number) for number in special["ids"]]
    path.write_text(json.dumps(tokenizer))
    change(models[1] / "config.json", eos_token_id=[1, 6])
    merged, facts = world.merged(models)
    base, plus, minus = (read(model) for model in models)
    old = torch.tensor([(row + 10) % 300 for row in range(300)])  # where the others have the token of each row
    assert torch.equal(merged[EMBEDDING], base[EMBEDDING] + (plus[EMBEDDING][old] - minus[EMBEDDING][old]))
    assert torch.equal(merged["model.norm.weight"], base["model.norm.weight"] + (
        plus["model.norm.weight"] - minus["model.norm.weight"]
    ))  # fmt: skip
    assert facts["rows"]["merged"] == 300 and facts["tokenizer"] == "base"
    out = world.folder / "out"
    assert json.loads((out / "config.json").read_text())["eos_token_id"] == [291, 296]
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == [291, 296]
    assert AutoTokenizer.from_pretrained(out).eos_token_id == 291
    AutoModelForCausalLM.from_pretrained(out)


# --- the files beside


def test_the_end_of_text_and_the_template_are_those_of_the_taught_model(world):
    models = world.three()
    change(models[1] / "config.json", eos_token_id=[1, 6], rope_theta=7)
    change(models[1] / "generation_config.json", temperature=0.6)
    (models[1] / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (models[0] / "generation_config.json").unlink()
    world.merged(models)
    out, before = world.folder / "out", json.loads((models[0] / "config.json").read_text())
    assert json.loads((out / "config.json").read_text()) == before | {"eos_token_id": [1, 6]}
    assert json.loads((out / "generation_config.json").read_text())["temperature"] == 0.6
    for name in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        assert (out / name).read_bytes() == (models[1] / name).read_bytes()


def test_an_end_of_text_that_is_no_id_is_passed_over(world):
    models = world.three()
    change(models[1] / "generation_config.json", eos_token_id="</s>")
    world.merged(models)
    assert json.loads((world.folder / "out" / "config.json").read_text())["eos_token_id"] == [1, 6]


def test_what_an_interrupted_run_left_goes(world):
    planned = merge.plan(*(merge.load(str(model)) for model in world.three()))
    out = world.folder / "left"
    out.mkdir()
    for name in (
        "model-00001-of-00009.safetensors.part",
        "model-00002-of-00009.safetensors",
        "config.json",
        "vocab.json",
    ):
        (out / name).write_text("{}")
    (out / "mine.txt").write_text("stays")
    merge.merge(planned, out, scale=1.0, parts=planned.parts, report=lambda _: None)
    assert sorted(path.name for path in out.iterdir()) == [
        "chat_template.jinja", "config.json", "generation_config.json", "mine.txt", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_what_chatting_takes_is_written_beside_the_tokenizer_of_the_base(world):
    """Its own tokenizer stays where the base has tokens of its own; the ends of turns and padding are the other's."""
    from transformers import AutoTokenizer

    models = world.three()
    grow(models[0], ["Lanbro"])
    change(models[1] / "tokenizer_config.json", eos_token="<|end_of_turn|>", pad_token="<|end|>")
    world.merged(models)
    out = AutoTokenizer.from_pretrained(world.folder / "out")
    assert (out.eos_token, out.pad_token) == ("<|end_of_turn|>", "<|end|>")
    assert "Lanbro" in out.get_vocab()


def test_configurations_of_models_of_pictures_and_text(tmp_path):
    """What is about text stands in a part of its own, in the base and in the taught model."""
    base, plus, out = (tmp_path / name for name in ("base", "plus", "out"))
    for folder in (base, plus, out):
        folder.mkdir()
    (base / "config.json").write_text(json.dumps({"text_config": {"vocab_size": 7, "eos_token_id": 1}, "depth": 2}))
    (plus / "config.json").write_text(json.dumps({"text_config": {"eos_token_id": [1, 3]}}))
    rows = (Stretch(8, 0, 0, 0),)
    merged_files.write(out, base, plus, Alignment(rows, False, {3: 5}, False), untied=True)
    assert json.loads((out / "config.json").read_text()) == {
        "text_config": {"vocab_size": 8, "eos_token_id": [1, 5]}, "depth": 2, "tie_word_embeddings": False,
    }  # fmt: skip


def test_the_norms_are_of_all_rows_those_that_the_base_alone_has_too(world):
    models = world.three()
    grow(models[0], ["Lanbro"])
    _, facts = world.merged(models)
    base, plus, minus = map(read, models)
    square = lambda tensors: sum(float(tensor.double().square().sum()) for tensor in tensors)  # noqa: E731
    deltas = square(plus[name].double() - minus[name].double() for name in plus)
    assert facts["delta"] == pytest.approx((deltas / square(base.values())) ** 0.5, rel=1e-6)
    assert {entry["revision"] for entry in facts["models"].values()} == {None}


def test_tensors_stand_in_the_order_of_their_numbers():
    names = ["layers.10.w", "layers.2.w", "embed.w", "layers.2.b", "norm.w"]
    assert sorted(names, key=merge._natural) == ["embed.w", "layers.2.b", "layers.2.w", "layers.10.w", "norm.w"]


@pytest.mark.parametrize(
    ("name", "shapes", "expected"),
    [
        ("model.embed_tokens.weight", [(300, 32)] * 3, True),
        ("lm_head.bias", [(300,)] * 3, True),
        ("model.norm.weight", [(300,)] * 3, False),  # of a model as wide as its vocabulary is large
        ("model.layers.0.mlp.up_proj.weight", [(300, 32)] * 3, False),
        ("model.embed_tokens.weight", [(300, 32), (300, 32), (299, 32)], False),
    ],
)
def test_what_has_a_row_for_each_token(world, name, shapes, expected):
    models = [merge.load(str(model)) for model in world.three()]
    assert merge._is_of_the_vocabulary(name, shapes, models) == expected


def test_a_parameter_is_found_by_its_last_names_where_one_tensor_alone_has_them(world):
    operand = merge.load(str(world.three()[0]))
    stored = operand.stored
    assert merge._stored(operand, "other.embed_tokens.weight") == EMBEDDING
    stored["vision.embed_tokens.weight"] = EMBEDDING
    assert merge._stored(operand, "other.embed_tokens.weight") is None
    assert merge._stored(operand, EMBEDDING) == EMBEDDING
