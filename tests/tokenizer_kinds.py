"""Tokenizers of the kinds that today's base models have, learnt from a little English."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# Contractions, words with what is before them, up to three digits, punctuation, line ends, spaces: as in Llama 3.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# As that of Llama 3, but for digits, of which each is a word.
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = ("<s>", "</s>", "<|user|>")
ENGLISH = [
    "The old harbour keeper counts seven lamps before a storm; it's 1024 o'clock, isn't it?",
    "While gulls sleep on warm roofs, bakers sell round bread to sailors from quiet islands.",
    "def count(lamps):\n    return len(lamps)  # 7 or 12\n\n\n",
    "In 1999 they paid 250 crowns (or more!) for naïve café façades – \"old\", they said…",
] * 8  # fmt: skip


def _of_bytes(made: Tokenizer, expression: str, texts: Iterable[str], size: int) -> Tokenizer:
    """Return a tokenizer that learnt pieces of bytes within what an expression cuts; special tokens are behind them."""
    split = pre_tokenizers.Split(Regex(expression), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    made.train_from_iterator(texts, _trainer(size, pre_tokenizers.ByteLevel.alphabet()))
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return made


def llama_3(texts: Iterable[str] = ENGLISH, size: int = 400) -> Tokenizer:
    """Byte-level with a regular expression, `ignore_merges`, and special tokens behind the vocabulary."""
    made = Tokenizer(models.BPE(ignore_merges=True))
    return _of_bytes(made, LLAMA_3, texts, size)


def qwen_2(texts: Iterable[str] = ENGLISH, size: int = 400) -> Tokenizer:
    """Byte-level with a regular expression, over composed characters; special tokens behind the vocabulary."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    return _of_bytes(made, QWEN_2, texts, size)


def gpt_2(texts: Iterable[str] = ENGLISH, size: int = 400) -> Tokenizer:
    """Byte-level with GPT-2's own expression; special tokens stand first, in the vocabulary."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(texts, _trainer(size, pre_tokenizers.ByteLevel.alphabet(), special_tokens=list(SPECIAL)))
    return made


def _sentencepiece(texts: Iterable[str], size: int) -> Tokenizer:
    """What SentencePiece makes: pieces of one script, digits alone, a space in front only; byte fallback."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits(individual_digits=True)]
    )
    learner.train_from_iterator(texts, _trainer(size, ["▁"]))
    learnt = json.loads(learner.to_str())["model"]
    pieces = ["<unk>", *SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *learnt["vocab"]]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    merges = [tuple(merge) for merge in learnt["merges"]]
    made = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<unk>", *SPECIAL)])
    return made


def llama_2(texts: Iterable[str] = ENGLISH, size: int = 150) -> Tokenizer:
    """Without a pre-tokenizer: a whole text is one word."""
    made = _sentencepiece(texts, size)
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def mistral(texts: Iterable[str] = ENGLISH, size: int = 150) -> Tokenizer:
    """With a pre-tokenizer that splits nothing."""
    made = _sentencepiece(texts, size)
    made.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def gemma(texts: Iterable[str] = ENGLISH, size: int = 150) -> Tokenizer:
    """No space is put before a text."""
    made = _sentencepiece(texts, size)
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return made


KINDS = {"llama_3": llama_3, "qwen_2": qwen_2, "gpt_2": gpt_2, "llama_2": llama_2, "mistral": mistral, "gemma": gemma}


def _trainer(size: int, alphabet: list[str], **settings: Any) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False, **settings)
