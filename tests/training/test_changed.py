"""Texts that a tokenizer changes by rules of its own file: told by `prepare`, with an example of the texts at hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import Latxa
from tokenizer_kinds import ENGLISH, KINDS, gpt_2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from latxa_cli.training.data.changed import Changed, changed_by, together

TEXTS = ["Ñandú eta Łódź,\nñ handia.", "etxe handia da", "def a():\n    return 1\n", "e\u0301"]


def with_rule(rule: Any) -> Any:
    backend = gpt_2()
    backend.normalizer = rule
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_that_gives_texts_back_changes_nothing(kind: str) -> None:
    """Composed characters are no change, nor is a space that is put before a text."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=KINDS[kind]())
    assert changed_by(tokenizer, [*TEXTS, *ENGLISH]) == Changed(len(TEXTS) + len(ENGLISH))
    assert not changed_by(tokenizer, TEXTS).line()


@pytest.mark.parametrize(
    ("rule", "changed", "given", "read"),
    [
        (normalizers.Lowercase(), 1, "Ñandú", "ñandú"),
        (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), 2, "Ñandú", "Nandu"),
        (normalizers.BertNormalizer(lowercase=False), 2, "Łódź,\\nñ", "Łódź, ñ"),
        (normalizers.Replace("\n", " "), 2, "Łódź,\\nñ", "Łódź, ñ"),
        (normalizers.Replace(" da", ""), 1, "handia da", "handia"),
    ],
)
def test_what_is_lost_is_shown_by_the_first_words_that_differ(rule: Any, changed: int, given: str, read: str) -> None:
    found = changed_by(with_rule(rule), TEXTS)
    assert found == Changed(4, changed, given, read)
    assert f"{changed} of 4 that were looked at: `{given}` is `{read}`" in found.line()


def test_characters_that_a_tokenizer_does_not_know() -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "etxe": 1, "da": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert changed_by(tokenizer, ["etxe da", "etxe ñ da"]) == Changed(2, 1, "etxe ñ", "etxe <unk>")


def test_parts_are_counted_together() -> None:
    parts = [Changed(3), Changed(2, 1, "A", "a"), Changed(4, 2, "B", "b")]
    assert together(map(asdict, parts)) == Changed(9, 3, "A", "a")
    assert together([]) == Changed()


def test_prepare_and_a_dry_run_tell_it_once(latxa: Latxa, tiny_models: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_models / "base", tmp_path / "lower")
    path = tmp_path / "lower" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": {"type": "Lowercase"}}))
    talk = [{"role": "user", "content": "Old storm"}, {"role": "assistant", "content": "lamps"}]
    tiny.write_jsonl(tmp_path / "mix.jsonl", [{"id": "a", "messages": talk}, {"id": "b", "text": "old storm"}])
    line = "the tokenizer changes texts, 1 of 2 that were looked at: `Old` is `old` to the model"
    words = ("mix.jsonl", "--model", "lower", "--sequence-length", "32", "-o", "made")
    for verb, more in (("prepare", ()), ("train", ("--dry-run",))):
        done = latxa(verb, *words, *more, cwd=tmp_path)
        assert done.returncode == 0 and done.stderr.decode().count(line) == 1, done.stderr.decode()
        shutil.rmtree(tmp_path / "made", ignore_errors=True)
    same = latxa("prepare", *words[:2], tiny_models / "base", *words[3:], cwd=tmp_path)
    assert same.returncode == 0 and "changes texts" not in same.stderr.decode()
