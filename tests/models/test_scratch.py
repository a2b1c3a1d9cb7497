"""`latxa init`: tokenizer and model from scratch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latxa_cli.chat.loss_mask import encode_chat
from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.turn_end import end_of_turn_ids
from latxa_cli.models.scratch import SMALLEST_VOCABULARY, initialise, new_model, new_tokenizer, read_config
from latxa_cli.stream.errors import LatxaError, UsageError


def test_same_bytes_twice_and_other_weights_for_another_seed(tmp_path, config_file, records, model_directory):
    for name, seed in (("same", 0), ("other", 1)):
        initialise(config_file, records, tmp_path / name, vocabulary_size=300, seed=seed)
    for path in model_directory.iterdir():
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes(), path.name
    weights = "model.safetensors"
    assert (model_directory / weights).read_bytes() != (tmp_path / "other" / weights).read_bytes()


def test_transformers_reads_what_was_made(model_directory):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    model = AutoModelForCausalLM.from_pretrained(model_directory)
    assert model.config.vocab_size == len(tokenizer) == 300
    assert model.generation_config.eos_token_id == end_of_turn_ids(tokenizer) == [1, 6]
    assert tokenizer.model_max_length == 128
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize("text", ["Ñabar 🐦\t\r\n  bi  hutsune", "2026ko 31.a", "ﬁ e\u0301 \u0000 \u2028", ""])
def test_every_text_comes_back_byte_for_byte(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_digits_stand_alone_and_plain_text_begins_with_begin(tokenizer):
    assert tokenizer("12 345").tokens() == ["<|begin|>", "1", "2", "Ġ", "3", "4", "5"]


def test_the_chat_template(tokenizer):
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": " u\n"},
        {"role": "assistant", "content": "a"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == ("<|begin|><|system|>s<|end_of_turn|><|user|> u\n<|end_of_turn|><|assistant|>a<|end_of_turn|>")
    assert pre_query(tokenizer) == pre_query(tokenizer, default_system=False)
    assert pre_query(tokenizer).prefix == "<|begin|><|user|>"
    assert pre_query(tokenizer).suffix == "<|end_of_turn|><|assistant|>"
    encoded = encode_chat(tokenizer, messages, loss="all")
    assert encoded.trained.index(True) == encoded.ids.index(tokenizer.convert_tokens_to_ids("<|user|>")) + 1
    assert all(encoded.trained[encoded.trained.index(True) :])


def test_the_vocabulary_cannot_be_smaller_than_bytes_and_special_tokens(records):
    with pytest.raises(UsageError, match="make 263"):
        new_tokenizer(records, SMALLEST_VOCABULARY - 1)
    assert len(new_tokenizer(records, SMALLEST_VOCABULARY)) == SMALLEST_VOCABULARY


@pytest.mark.parametrize("empty", [[], [{"id": "1", "text": ""}]])
def test_no_text(empty):
    with pytest.raises(LatxaError, match="no text"):
        new_tokenizer(empty, 300)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("{", "is not JSON", ""),
        ("[]", "is not a JSON object", ""),
        ("{}", "has no `model_type`", "llama"),
        ('{"model_type": "lama"}', "`model_type` is `lama`", "`llama`"),
        ('{"model_type": "qwen2_5_vl"}', "a `qwen2_5_vl` has parts beside text", "`llama` as `model_type`"),
        ('{"model_type": "gemma3"}', "a `gemma3` has parts beside text", "`gemma3_text` as `model_type`"),
        ('{"model_type": "llama", "hidden": 32}', "`hidden` is no setting", "`hidden_"),
        ('{"model_type": "llama", "hidden_size": "x"}', "does not make a `llama`", ""),
        (
            '{"model_type": "llama", "hidden_size": 30, "num_attention_heads": 4}',
            "make a `llama`: The hidden.*multiple",
            "",
        ),
    ],
)
def test_a_bad_configuration_is_one_line(tmp_path, content, message, hint):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(LatxaError, match=message) as caught:
        read_config(path)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_model_that_the_memory_does_not_hold_is_one_line(tmp_path, records, tokenizer):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "llama", "hidden_size": 10**12, "num_attention_heads": 1}))
    with pytest.raises(LatxaError, match=r"a model of this configuration cannot be made: .*memory") as caught:
        new_model(read_config(path), tokenizer, seed=0)
    assert "\n" not in caught.value.message


def test_a_kill_while_it_is_written_leaves_nothing_that_looks_like_a_model(
    tmp_path, config_file, records, model_directory, monkeypatch
):
    """At each file that gets its place, all is as after a kill there; then another run makes it whole."""
    out, places = tmp_path / "out", []
    replace = Path.replace

    def killed(path, target):
        if target.parent == out:
            places.append(target.name)
            assert not (out / "config.json").exists()
            if len(places) == 3:
                raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        initialise(config_file, records, out, vocabulary_size=300, seed=0)
    assert not (out / "config.json").exists()
    (out / "model.part").mkdir()
    (out / "model.part" / "left").write_text("")
    initialise(config_file, records, out, vocabulary_size=300, seed=0)
    assert places[-1] == "config.json"
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in model_directory.iterdir())


def test_a_missing_configuration(tmp_path):
    with pytest.raises(LatxaError, match="cannot be read"):
        read_config(tmp_path / "none.json")


def test_a_directory_that_cannot_be_made(tmp_path, config_file, records):
    (tmp_path / "file").write_text("")
    with pytest.raises(LatxaError, match=r"file/out: cannot be written \(Not a directory\)"):
        initialise(config_file, records, tmp_path / "file" / "out", vocabulary_size=300, seed=0)


def test_token_ids_in_the_configuration_are_filled_in_anew(tmp_path, config_file):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(config_file.read_text()) | {"vocab_size": 9, "eos_token_id": 7}))
    assert read_config(path) == json.loads(config_file.read_text())
