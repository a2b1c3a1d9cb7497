"""Classes of tokenizers that read something else than their file says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizer_kinds import KINDS
from tokenizers import normalizers
from transformers import AutoTokenizer

from latxa_cli.model_files import ANY_TOKENIZER, settle_tokenizer
from latxa_cli.tokenizer import IN_SCRIPTS, load_tokenizer, names_a_wrong_tokenizer

LLAMA = "LlamaTokenizerFast"
WRONG = [  # bytes, as distillations by DeepSeek are on the hub; SentencePiece, as Llama 2; special tokens unlisted
    ("llama_3", LLAMA), ("gpt_2", LLAMA), ("llama_2", LLAMA), ("qwen_2", "Qwen2Tokenizer"),
]  # fmt: skip
UNLISTED = {"bos_token": None, "added_tokens_decoder": {"402": {"content": "<|user|>", "special": True}}}
BEHIND_SPECIAL = ("<|user|>Zer da?</s>\n<|user|> Hori", "</s>Kaixo")
TEXTS = ("  two spaces, café\n\tnaïve", "Kaixo, mundua!", *IN_SCRIPTS)
RIGHT = [
    ("llama_3", "PreTrainedTokenizerFast"), ("mistral", LLAMA), ("gpt_2", "GPT2Tokenizer"),
    ("gemma", "GemmaTokenizerFast"),
]  # fmt: skip


def write(folder: Path, kind: str, name: str, *, small: bool = False, **more: object) -> Path:
    """Write a tokenizer whose settings name a class."""
    made = KINDS[kind]()
    if small:
        made.normalizer = normalizers.Lowercase()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": name, "bos_token": "<s>", "eos_token": "</s>", **more}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    kind_of_model = "qwen2" if "Qwen" in name else "llama"  # transformers 5 chooses the class by both
    (folder / "config.json").write_text(json.dumps({"model_type": kind_of_model}))
    return folder


def read_back(tokenizer: object, text: str) -> str:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(("kind", "name"), WRONG)
def test_tokens_are_those_of_the_file(tmp_path: Path, kind: str, name: str) -> None:
    folder = write(tmp_path / "model", kind, name, **(UNLISTED if kind == "qwen_2" else {}))
    assert names_a_wrong_tokenizer(folder)
    tokenizer, by_file = load_tokenizer(str(folder)), KINDS[kind]()
    for text in (*TEXTS, *BEHIND_SPECIAL):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == by_file.encode(text).ids
    assert all(read_back(tokenizer, text) == text for text in TEXTS)
    assert (tokenizer.bos_token, tokenizer.eos_token) == (None if kind == "qwen_2" else "<s>", "</s>")
    shutil.copytree(folder, tmp_path / "out")
    settle_tokenizer(tmp_path / "out", folder)
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["tokenizer_class"] == ANY_TOKENIZER
    others = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in (*TEXTS, *BEHIND_SPECIAL):
        assert others(text, add_special_tokens=False)["input_ids"] == by_file.encode(text).ids


@pytest.mark.parametrize(("kind", "name"), RIGHT)
def test_a_class_that_reads_its_file_stays(tmp_path: Path, kind: str, name: str) -> None:
    folder = write(tmp_path / "model", kind, name)
    assert not names_a_wrong_tokenizer(folder)
    assert all(read_back(load_tokenizer(str(folder)), text).strip() == text.strip() for text in TEXTS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    settle_tokenizer(tmp_path / "out", folder)
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text()) == {"tokenizer_class": name}


def test_what_the_file_itself_loses_is_no_fault_of_the_class(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", "mistral", "PreTrainedTokenizerFast", small=True)
    assert read_back(load_tokenizer(str(folder)), "Kaixo, Mundua!").strip() == "kaixo, mundua!"
    assert not names_a_wrong_tokenizer(folder)


def test_a_tokenizer_of_sentencepiece_alone(tmp_path: Path) -> None:
    """As older models have it: `tokenizer.model`, and no `tokenizer.json`."""
    import sentencepiece

    texts = ["Kaixo, mundua! Zer moduz zaude gaur?", "Hori mendi bat da, 24 km.", "Ibai handia, ñandú çà Łódź"]
    (tmp_path / "texts").write_text("\n".join(texts * 20), encoding="utf-8")
    (folder := tmp_path / "model").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "texts"), model_prefix=str(folder / "tokenizer"), vocab_size=330, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
    )  # fmt: skip
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    by_file = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    tokenizer = load_tokenizer(str(folder))
    for text in (*texts, *IN_SCRIPTS):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == by_file.encode(text)
    tokenizer.save_pretrained(tmp_path / "out")
    settle_tokenizer(tmp_path / "out", folder)
    others = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert all(others(text)["input_ids"] == tokenizer(text)["input_ids"] for text in texts)
