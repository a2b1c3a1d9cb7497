"""Special tokens of a tokenizer: those that no message may spell, and the one that begins a text."""

from __future__ import annotations

from typing import Any


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """Return the special tokens as they are written: what must not stand in the text of a message."""
    return frozenset(tokenizer.convert_ids_to_tokens(special_ids(tokenizer)))


def special_ids(tokenizer: Any) -> list[int]:
    """Ids of the special tokens: the named ones (begin, end, …) and those added as special."""
    added = [index for index, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [token for token in (*tokenizer.all_special_ids, *added) if token != tokenizer.unk_token_id]


def begin_of_text(tokenizer: Any) -> list[int]:
    """Return the begin-of-text token if the tokenizer puts it before a text of its own accord, as it does for whoever
    uses the model; else nothing, also where it has such a token (Phi-3, OLMo 2)."""
    begin = tokenizer.bos_token_id
    return [begin] if begin is not None and tokenizer("a")["input_ids"][:1] == [begin] else []
