"""Texts to tokens: exactly one BOS where the tokenizer begins texts with one, plain and chat, and none elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from latxa_cli.evaluation.scoring.encoding import Encoder
from latxa_cli.stream.errors import LatxaError

TEXTS = ["red gate", "  red", "", "red gate\n", "<b>red gate", "<b><b>red", "\n<b>red"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {"<b>": 0, "<e>": 1, "<p>": 2} | {
        piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()), 3)
    }
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<b>", eos_token="<e>", pad_token="<p>")


def beginning_with(tokenizer: Any, pattern: str) -> Any:
    from copy import deepcopy

    from tokenizers import processors

    copy = deepcopy(tokenizer)
    specials = [("<b>", 0), ("<e>", 1), ("<p>", 2)]
    copy.backend_tokenizer.post_processor = processors.TemplateProcessing(single=pattern, special_tokens=specials)
    return copy


@pytest.mark.parametrize("pattern", ["<b> $A", "<b> $A <e>"])
def test_one_bos_whatever_the_text_or_template_writes(tokenizer: Any, pattern: str) -> None:
    encoder = Encoder(beginning_with(tokenizer, pattern), 0)
    assert encoder.beginning == [0]
    read = encoder.texts(TEXTS)
    assert all(tokens.count(0) == 1 and 1 not in tokens for tokens in read)
    assert [tokens[0] == 0 for tokens in read] == [True] * 6 + [False]
    encoder.check(read)


def test_none_where_the_tokenizer_begins_with_none(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer, 0)
    assert encoder.beginning == []
    assert [tokens.count(0) for tokens in encoder.texts(TEXTS)] == [0, 0, 0, 0, 1, 2, 1]


def test_beginnings_of_two_tokens(tokenizer: Any) -> None:
    encoder = Encoder(beginning_with(tokenizer, "<p> <b> $A"), 0)
    assert encoder.beginning == [2, 0]
    assert [tokens[:2] for tokens in encoder.texts(["red", "<p><b>red"])] == [[2, 0], [2, 0]]


def test_a_wrong_beginning_is_not_evaluated(tokenizer: Any) -> None:
    encoder = Encoder(beginning_with(tokenizer, "<b> $A"), 0)
    for wrong in ([0, 0, 5], [5, 6]):
        with pytest.raises(LatxaError, match="BOS"):
            encoder.check([[0, 5], wrong])


def test_pairs_are_divided_as_the_harness_divides_them(tokenizer: Any) -> None:
    from lm_eval.models.huggingface import HFLM

    class Bare(HFLM):
        """The harness's own way of reading pairs, without a network."""

        def __init__(self, tokenizer: Any) -> None:
            self.tokenizer, self.add_bos_token, self.backend, self.custom_prefix_token_id = (
                tokenizer,
                None,
                "causal",
                None,
            )

    pairs = [("red gate", " blue"), ("red \n", "blue"), ("<b>red", "x"), ("a", "b c"), ("red", "  blue")]
    for pattern in ("$A", "<b> $A"):
        made = beginning_with(tokenizer, pattern)
        expected = [Bare(made)._encode_pair(*pair) for pair in pairs]
        assert [(one.context, one.continuation) for one in Encoder(made, 0).pairs(pairs)] == expected


def test_without_a_prompt_the_first_token_follows_bos(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer, 0)
    one, two, three = encoder.pairs([("", "red"), ("", "<b>red"), ("\n ", "red")])
    assert one.context == two.context == three.context == [0]
    assert one.continuation == two.continuation == three.continuation[-3:]


def test_the_paper_had_no_bos_before_plain_prompts(tokenizer: Any) -> None:
    from types import SimpleNamespace

    from latxa_cli.evaluation.model import begin_bare

    tokenizer = beginning_with(tokenizer, "<b> $A")
    encoder = Encoder(tokenizer, 0)
    assert encoder.texts(["a"])[0][0] == 0
    model: Any = SimpleNamespace(encoder=None, scorer=SimpleNamespace(encoder=encoder))
    begin_bare(model)
    assert encoder.texts(["a"])[0] == tokenizer("a", add_special_tokens=False)["input_ids"]
    (pair,) = encoder.pairs([("a", " b")])
    assert 0 not in pair.context
    assert encoder.texts(["<b>a"])[0][0] == 0, "a template may write it"
    assert model.scorer.add_bos_token is False
