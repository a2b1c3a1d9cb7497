"""Tokenizers for all verbs: loaded so that they read text as their file says.

A model names a class of tokenizers, and that class may have rules of its own. Libraries differ in whether they go by
the class or by `tokenizer.json`, so a model that is trained on other tokens than its readers use answers wrongly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latxa_cli.model import cannot_load, check, is_local, quiet_libraries

# What a tokenizer is to give back as it was, unless its file says otherwise.
IN_SCRIPTS = (
    "If it's 1 or 2,\n  wait!", "Ñandú, où çà? Łódź, þjóð", "Привет, мир", "Καλημέρα σου", "שלום עולם", "مرحبا بكم",
    "नमस्ते दुनिया", "สวัสดี", "你好，世界", "안녕 하세요",
)  # fmt: skip

UNREADABLE = (OSError, ValueError, KeyError, TypeError, ImportError)  # what transformers raises for a file
RULES = ("normalizer", "pre_tokenizer", "decoder")  # of a tokenizer, as its file names them


def load_tokenizer(model: str, *, trust_remote_code: bool = False) -> Any:
    """Return the model's tokenizer, by its file alone where the class that is named misreads it; raises LatxaError."""
    named = _named_tokenizer(model, trust_remote_code=trust_remote_code)
    return _better_by_file(model, named) or named


def names_a_wrong_tokenizer(directory: Path) -> bool:
    """Whether the settings in `directory` name a class of tokenizers that misreads the file; raises LatxaError."""
    return _better_by_file(str(directory), _named_tokenizer(str(directory))) is not None


def _named_tokenizer(model: str, *, trust_remote_code: bool = False) -> Any:
    check(model)
    from transformers import AutoTokenizer

    quiet_libraries()
    try:
        return AutoTokenizer.from_pretrained(
            model, trust_remote_code=trust_remote_code, local_files_only=is_local(model)
        )
    except Exception as error:  # tokenizers raises a bare `Exception` for a file that it cannot read
        if not isinstance(error, UNREADABLE) and type(error) is not Exception:
            raise
        raise cannot_load(model, "tokenizer", error) from None


def _better_by_file(model: str, named: Any) -> Any:
    """Return the tokenizer that `tokenizer.json` describes where the one of the named class reads text otherwise.

    transformers 5 gives some classes rules of their own, whatever the file says, and builds their tokens anew:

    - `LlamaTokenizerFast`, which stands beside pieces of bytes in distillations by DeepSeek, loses spaces and accents;
    - beside those of SentencePiece (Llama 2), it gives other tokens behind special ones and for spaces in front;
    - `Qwen2Tokenizer` gives special tokens other numbers where the settings do not list all that the file has.

    transformers 4 and others go by the file. One that loses text which the class keeps is not taken.
    """
    if not named.is_fast or _is_as_in_file(model, named):
        return None
    from transformers import PreTrainedTokenizerFast

    try:
        by_file = PreTrainedTokenizerFast.from_pretrained(model, local_files_only=True)  # the cache has it by now
    except UNREADABLE:  # there is no such file
        return None
    texts = [*IN_SCRIPTS, "  a  b", "".join(f"{token}a\n{token} b" for token in by_file.get_added_vocab())]
    if all(_ids(named, text) == _ids(by_file, text) for text in texts):
        return None
    lost, loses = ({text for text in IN_SCRIPTS if not _keeps(one, text)} for one in (named, by_file))
    return by_file if loses <= lost else None


def _is_as_in_file(model: str, tokenizer: Any) -> bool:
    """Whether the rules and the added tokens of a tokenizer are those in its `tokenizer.json`; true without a file."""
    from huggingface_hub import try_to_load_from_cache

    path = Path(model) / "tokenizer.json" if is_local(model) else try_to_load_from_cache(model, "tokenizer.json")
    try:
        described = json.loads(Path(str(path)).read_bytes())
        added = {token["content"]: token["id"] for token in described["added_tokens"]}
        rules = [described[name] for name in RULES]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    backend = tokenizer.backend_tokenizer
    own = [state and json.loads(state.__getstate__()) for state in (getattr(backend, name) for name in RULES)]
    return own == rules and all(backend.token_to_id(token) == number for token, number in added.items())


def _keeps(tokenizer: Any, text: str) -> bool:
    return bool(tokenizer.decode(_ids(tokenizer, text), clean_up_tokenization_spaces=False).strip() == text)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
