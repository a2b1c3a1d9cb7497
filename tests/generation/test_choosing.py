"""Tokens that may come next in a text of choices, for the tokenizers of today's models."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from tokenizer_kinds import ENGLISH, KINDS
from tokenizers import Tokenizer

from latxa_cli.generation.choosing import Chooser
from latxa_cli.generation.lines import choices_of

END = 10**6
VALUES = {"content_a": [0, 1, 10, 100], "content_b": ["good", "goods", "naïve"], "é": [-1, 7]}
CHOICES = choices_of(
    {
        "type": "object",
        "properties": {key: {"enum": values} for key, values in VALUES.items()},
        "required": list(VALUES),
        "additionalProperties": False,
    }
)
LINES = [json.dumps({"content_a": n, "content_b": text, "é": 7}) for n in range(101) for text in ("good", "naïve")]


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    make: Callable[..., Tokenizer] = KINDS[request.param]
    return make([*ENGLISH, *LINES])


def chooser_of(tokenizer: Tokenizer) -> Chooser:
    return Chooser(lambda ids: tokenizer.decode(ids, skip_special_tokens=False), tokenizer.get_vocab_size(), [END])


def test_every_walk_ends_with_one_of_the_objects_and_all_are_reached(tokenizer: Tokenizer) -> None:
    chooser, reached = chooser_of(tokenizer), set()
    assert CHOICES is not None
    for seed in range(60):
        draw, written = random.Random(seed), list[int]()
        while not written or written[-1] != END:
            allowed = chooser.allowed(CHOICES, written)
            assert allowed and len(written) < 200, "it always goes on, and comes to an end"
            written.append(draw.choice(allowed))
        found = json.loads(tokenizer.decode(written[:-1], skip_special_tokens=False))
        assert list(found) == list(VALUES) and all(found[key] in values for key, values in VALUES.items())
        reached |= set(found.values())
    assert reached == {one for values in VALUES.values() for one in values}


def test_what_the_tokenizer_writes_itself_is_allowed(tokenizer: Tokenizer) -> None:
    chooser = chooser_of(tokenizer)
    assert CHOICES is not None
    text = json.dumps({"content_a": 10, "content_b": "naïve", "é": -1}, ensure_ascii=False)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    for place, token in enumerate(ids):
        assert token in chooser.allowed(CHOICES, ids[:place]), tokenizer.decode(ids[: place + 1])
    assert chooser.allowed(CHOICES, ids) == [END]


def test_what_has_begun_otherwise_is_left_alone(tokenizer: Tokenizer) -> None:
    assert CHOICES is not None
    ids = tokenizer.encode("Seven lamps", add_special_tokens=False).ids
    assert chooser_of(tokenizer).allowed(CHOICES, ids) == []
