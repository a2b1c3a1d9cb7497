"""`latxa extend`: the command on models that it made itself."""

from __future__ import annotations

import json
import random

import pytest
import tiny

BASQUE = [
    "etxe",
    "mendi",
    "ibai",
    "katu",
    "txori",
    "gorri",
    "zuri",
    "handi",
    "txiki",
    "eta",
    "da",
    "dira",
    "zaharra",
    "berria",
]
KEPT = ("chat_template.jinja", "generation_config.json")


@pytest.fixture(scope="module")
def space(tmp_path_factory, tiny_models):
    """A folder with `base`, and `eu.jsonl`: 60 documents of words that the model does not know."""
    folder = tmp_path_factory.mktemp("extend")
    (folder / "base").symlink_to(tiny_models / "base")
    draw = random.Random(0)
    tiny.write_jsonl(
        folder / "eu.jsonl",
        [{"id": f"e{n}", "text": " ".join(draw.choices(BASQUE, k=40)) + ". ადამიანი 🐦"} for n in range(60)],
    )
    return folder


@pytest.fixture(scope="module")
def made(space, latxa):
    """The lines on stderr of a run that made `more` in the folder."""
    done = latxa("extend", "base", "eu.jsonl", "--tokens", "40", "-o", "more", cwd=space)
    assert done.returncode == 0 and done.stdout == b"", done.stderr.decode()
    return done.stderr.decode().splitlines()


def load(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


def test_transformers_reads_it_and_old_ids_and_logits_stay(space, made):
    import torch

    (tokenizer, model), (new_tokenizer, new_model) = load(space / "base"), load(space / "more")
    assert tokenizer.get_vocab().items() <= new_tokenizer.get_vocab().items()
    first = len(tokenizer)
    assert len(new_tokenizer) == first + 40
    assert model.config.vocab_size == first
    assert new_model.config.vocab_size >= first + 40
    assert new_tokenizer.get_chat_template() == tokenizer.get_chat_template()
    assert new_tokenizer.all_special_ids == tokenizer.all_special_ids
    messages = [{"role": "user", "content": "etxe zaharra"}]
    texts = [each.apply_chat_template(messages, tokenize=False) for each in (tokenizer, new_tokenizer)]
    assert texts[0] == texts[1]
    assert len(new_tokenizer(texts[1])["input_ids"]) < len(tokenizer(texts[0])["input_ids"])
    ids = tokenizer("the old harbour keeper", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(new_model(ids).logits[..., :first], model(ids).logits, rtol=1e-5, atol=1e-5)
    for name in KEPT:
        assert (space / "more" / name).read_bytes() == (space / "base" / name).read_bytes()


def test_new_rows_are_means_of_what_the_old_tokenizer_makes_of_the_piece(space, made):
    import torch

    (tokenizer, _), (new_tokenizer, model) = load(space / "base"), load(space / "more")
    rows = model.get_input_embeddings().weight
    texts = {number: new_tokenizer.decode([number]) for number in range(len(tokenizer), len(new_tokenizer))}
    whole = {number: text for number, text in texts.items() if "\ufffd" not in text}
    assert len(whole) > len(texts) / 2
    for number, text in whole.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        torch.testing.assert_close(rows[number], rows[ids].mean(0))


def test_what_is_said_stands_in_the_manifest(space, made):
    manifest = json.loads((space / "more" / "manifest.json").read_text())
    base, _ = load(space / "base")
    assert manifest["pieces"] == 40
    assert manifest["first_new_id"] == len(base)
    assert manifest["settings"]["model"] == "base" and manifest["settings"]["tokens"] == 40
    assert [entry["path"] for entry in manifest["inputs"]] == ["eu.jsonl", "base"]
    found = manifest["fertility"]
    assert (found["documents"], found["held_out"], found["words"]) == (3, True, 3 * 41)
    assert found["tokens_per_word_after"] < 0.6 * found["tokens_per_word_before"]
    assert found["bytes_per_token_after"] == pytest.approx(found["bytes"] / found["tokens_after"], abs=1e-4)
    assert made[0].startswith(
        f"latxa extend: 40 new tokens from id {len(base)} on; embeddings: {len(base)} rows before"
    )
    assert f"{found['tokens_per_word_before']:.3f} tokens a word before" in made[1]
    assert "on 3 documents (not learnt from)" in made[1]


def test_the_same_bytes_from_stdin_and_others_at_random(space, made, latxa):
    text = (space / "eu.jsonl").read_bytes()
    words = ("extend", "base", "--tokens", "40")
    again = latxa(*words, "-", "-o", "again", stdin=text, cwd=space)
    other = latxa(*words, "--new-embeddings", "random", "eu.jsonl", "-q", "-o", "other", cwd=space)
    assert again.returncode == other.returncode == 0
    assert other.stderr == b""
    files = sorted(path.name for path in (space / "more").iterdir())
    for name in files:
        if name != "manifest.json":
            same = (space / "more" / name).read_bytes()
            assert (space / "again" / name).read_bytes() == same
            assert ((space / "other" / name).read_bytes() == same) == (name != "model.safetensors")


def test_training_goes_on_from_it(space, made, latxa):
    done = latxa(
        "train", "eu.jsonl", "--model", "more", "--sequence-length", "64", "--batch-size", "2", "--threads", "1",
        "-o", "trained", cwd=space,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert len(load(space / "trained")[0]) == len(load(space / "more")[0])


def test_a_model_with_embeddings_for_each_layer_is_read_again(space, latxa):
    import shutil

    import torch
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    rows, folder = 400, space / "per_layer"
    folder.mkdir()
    for path in (space / "base").glob("*token*"):
        shutil.copy(path, folder)
    Gemma4ForCausalLM(
        Gemma4TextConfig(
            vocab_size=rows, vocab_size_per_layer_input=rows, hidden_size_per_layer_input=8, hidden_size=16, head_dim=8,
            intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, global_head_dim=8,
            layer_types=["sliding_attention", "full_attention"], pad_token_id=0, eos_token_id=0, bos_token_id=0,
        )
    ).save_pretrained(folder)  # fmt: skip
    done = latxa("extend", "per_layer", "eu.jsonl", "--tokens", "40", "-o", "per_layer_more", cwd=space)
    assert done.returncode == 0, done.stderr.decode()
    (_, old), (tokenizer, new) = load(folder), load(space / "per_layer_more")
    ids = torch.arange(rows)[None]
    with torch.no_grad():
        torch.testing.assert_close(new(ids).logits[..., :rows], old(ids).logits)
        assert new(torch.tensor([tokenizer("etxe mendi")["input_ids"]])).logits.isfinite().all()


def test_few_documents_and_little_text(space, latxa):
    record = json.dumps({"id": "1", "text": "etxe etxe"}).encode()
    done = latxa("extend", "base", "--tokens", "40", "-o", "few", stdin=record, cwd=space)
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "on 1 documents (too few to hold some out: learnt from)" in said
    assert "the text gives no more than" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("base eu.jsonl --tokens many", "invalid value for '--tokens': Input should be a valid integer"),
        ("base eu.jsonl --tokens 0", "invalid value for '--tokens': Input should be greater than or equal to 1"),
        ("base eu.jsonl", "missing option '--tokens'"),
        ("base eu.jsonl --tokens 5 --new-embeddings zero", "'zero' is not one of 'mean', 'random'"),
        ("--tokens 5", "missing argument 'MODEL'"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(space, latxa, words, message):
    done = latxa("extend", *words.split(), "-o", "none", cwd=space)
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2 and lines[0].startswith("latxa: ") and message in lines[0]
    assert lines[1] == "hint: `latxa extend --help` shows what it takes"
    assert not (space / "none").exists()


def test_a_model_that_is_not_there(space, latxa):
    done = latxa("extend", "./no", "eu.jsonl", "--tokens", "5", "-o", "none", cwd=space)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[0] == "latxa: there is no model directory `./no`"
