"""More pieces for a tokenizer: of every kind, and what stays as it was."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_kinds import KINDS, SPECIAL, gpt_2, llama_2, llama_3
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from latxa_cli.models.byte_pairs import FEWEST
from latxa_cli.models.pieces import Pieces, Scripts, read_pieces
from latxa_cli.models.vocabulary import HOLD_OUT, Fertility, _portions, _with_pieces, learn_pieces, read_words
from latxa_cli.stream.errors import LatxaError

# Basque, Georgian (three bytes a letter, none of which the tokenizers know), Japanese, emoji, digits, accents apart.
SENTENCES = [
    "Gizon-emakume guztiak aske jaiotzen dira, duintasun eta eskubide berberak dituztela.\n\n",
    "ყველა ადამიანი იბადება თავისუფალი და თანასწორი, 2026 წელს; 🐦🐦 すべての人間は自由である。",
    "Etxean  dago <|user|>etxekoa (etxe): e\u0301txe 1024 etxetik 2048 etxera… “etxe”\u00a0etxe\tda",
    "def etxe(x):\n    return x + 12  # <s> etxeak, etxeok\n",
]
DOCUMENTS = [
    {"id": str(number), "text": " ".join([*SENTENCES[number % 4 :], *SENTENCES[: number % 4]]) * (1 + number % 3)}
    for number in range(2 * HOLD_OUT + 1)
]
PIECES = 120


@dataclass
class Extended:
    old: Tokenizer
    new: Tokenizer
    pieces: Pieces
    fertility: Fertility


def extend(old: Tokenizer, documents=DOCUMENTS, most: int = PIECES) -> Extended:
    pieces = read_pieces(old, "model", most)
    fertility = learn_pieces(*read_words(documents, old, pieces), pieces)
    new = Tokenizer.from_str(json.dumps(_with_pieces(json.loads(old.to_str()), pieces)))
    return Extended(old, new, pieces, fertility)


@cache
def extended(kind: str) -> Extended:
    return extend(KINDS[kind]())


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def made_of(made: Extended) -> list[str]:
    """Return the new pieces as they stand in texts."""
    return [made.pieces.spelled(piece.text) for piece in made.pieces.new]


def old_parts(pieces: Pieces, numbers: list[int]) -> list[int]:
    return [part for number in numbers for part in pieces.parts(number)]


every_kind = pytest.mark.parametrize("kind", KINDS)
byte_level = pytest.mark.parametrize("kind", ["llama_3", "gpt_2"])
from_sentencepiece = pytest.mark.parametrize("kind", ["llama_2", "mistral", "gemma"])
any_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*"ეტხexta 1.\n🐦é", *SPECIAL, "etxe", " etxe", "ადამ", *SENTENCES])).map("".join),
)


@every_kind
@settings(max_examples=150)
@given(text=any_text)
def test_any_text_is_read_back_as_before_and_new_tokens_stand_for_the_old_ones(kind, text):
    made = extended(kind)
    old, new = ids(made.old, text), ids(made.new, text)
    assert old_parts(made.pieces, new) == old
    for skip in (False, True):
        decoded = [
            each.decode(numbers, skip_special_tokens=skip) for each, numbers in ((made.old, old), (made.new, new))
        ]
        assert decoded[0] == decoded[1]


@every_kind
def test_old_tokens_keep_their_ids_and_new_ones_stand_behind_them(kind):
    made = extended(kind)
    before, after = made.old.get_vocab(), made.new.get_vocab()
    assert before.items() <= after.items()
    assert len(after) == len(before) + PIECES
    assert sorted(after[token] for token in after.keys() - before.keys()) == list(
        range(max(before.values()) + 1, max(before.values()) + 1 + PIECES)
    )
    text = "a<|user|>b</s>"
    assert [each for each in ids(made.new, text) if made.new.id_to_token(each) in SPECIAL] == [
        before["<|user|>"],
        before["</s>"],
    ]


@every_kind
def test_a_new_piece_is_made_of_what_the_old_tokenizer_cuts_it_into(kind):
    made = extended(kind)
    bare = Tokenizer.from_str(made.old.to_str())
    bare.normalizer = normalizers.Sequence([])
    bare.pre_tokenizer = pre_tokenizers.Sequence([])
    bare_new = Tokenizer.from_str(made.new.to_str())
    bare_new.normalizer, bare_new.pre_tokenizer = bare.normalizer, bare.pre_tokenizer
    for number, piece in enumerate(made.pieces.new, made.pieces.first):
        assert tuple(ids(bare, piece.text)) == piece.parts
        assert made.new.id_to_token(number) == piece.text
        assert ids(bare_new, piece.text) == [number]


@every_kind
def test_fertility_is_that_of_the_documents_held_out(kind):
    made, held = extended(kind), [document["text"] for document in DOCUMENTS[HOLD_OUT - 1 :: HOLD_OUT]]
    assert made.fertility.documents == len(held) == 2 and made.fertility.held_out
    assert made.fertility.bytes == sum(len(text.encode()) for text in held)
    assert made.fertility.tokens_before == sum(len(ids(made.old, text)) for text in held)
    assert made.fertility.tokens_after == sum(len(ids(made.new, text)) for text in held)
    assert made.fertility.tokens_after < 0.7 * made.fertility.tokens_before


def test_nothing_is_learnt_from_what_is_held_out():
    held = [{"id": "h", "text": "zzqq zzqq zzqq zzqq zzqq"}]
    with_held = extend(gpt_2(), DOCUMENTS[: HOLD_OUT - 1] + held)
    assert with_held.fertility.held_out and with_held.fertility.documents == 1
    assert with_held.pieces.new == extend(gpt_2(), DOCUMENTS[: HOLD_OUT - 1]).pieces.new


def test_too_few_documents_to_hold_some_out():
    fertility = extend(gpt_2(), DOCUMENTS[:3], 10).fertility
    assert not fertility.held_out and fertility.documents == 3
    assert "learnt from" in fertility.describe()


@every_kind
def test_no_piece_holds_the_text_of_an_added_token(kind):
    with_token = KINDS[kind]()
    spelled = [made_of(extended(kind))[number] for number in (40, 60)]
    with_token.add_tokens([text.strip() for text in spelled])
    pieces = made_of(extend(with_token))
    assert len(pieces) > PIECES / 2 and all(each.strip() for each in spelled)
    for text in pieces:
        assert not any(each.strip() in text for each in spelled)


@byte_level
def test_no_piece_crosses_the_bounds_of_words(kind):
    made = extended(kind)
    whole = [text for text in made_of(made) if "\ufffd" not in text]
    assert len(whole) > PIECES / 2
    for text in whole:
        assert len(made.old.pre_tokenizer.pre_tokenize_str(text)) == 1


@byte_level
def test_half_characters_are_learnt_only_on_the_way_to_whole_ones(kind):
    made = extended(kind)
    data = [made.pieces._encoded(piece.text) for piece in made.pieces.new]
    halves = [each for each, text in zip(data, made_of(made), strict=True) if "\ufffd" in text]
    assert 0 < len(halves) < PIECES / 5
    for half in halves:
        assert half[0] >= 0xC0 and all(byte & 0xC0 == 0x80 for byte in half[1:])
        assert any(each.startswith(half) and each not in halves for each in data)
    assert "ად" in made_of(made)


@byte_level
@pytest.mark.parametrize("most", range(1, 12))
def test_as_many_pieces_as_asked_for_however_many_steps_they_need(kind, most):
    documents = [{"id": str(number), "text": "ადამიანი 🐦🐧🐧 ყველა 日本"} for number in range(HOLD_OUT)]
    made = extend(KINDS[kind](), documents, most)
    assert len(made.pieces.new) == most - (most == 1)  # no letter can be made with a single one
    assert made.fertility.tokens_after == len(ids(made.new, documents[0]["text"]))
    assert made_of(made)[-1:] != ["\ufffd"]


@from_sentencepiece
def test_missing_characters_become_pieces_and_what_sentencepiece_keeps_apart_stays_so(kind):
    made = extended(kind)
    spelled = made_of(made)
    assert "ა" in spelled and "🐦" in spelled
    assert all((piece.merge is None) == (len(piece.text) == 1) for piece in made.pieces.new)
    for text in spelled:
        bare = text.removeprefix(" ")
        assert len(bare) == 1 or not any(character.isdigit() for character in bare)
        assert not any(character.isspace() for character in bare)
        if len(bare) > 1:
            assert bare.isalpha() or not any(character.isalpha() for character in bare)


def test_habits_that_a_base_does_not_have_are_not_followed():
    """Were digits and punctuation joined to words in the old pieces, they are in the new ones."""
    described = json.loads(llama_2().to_str())
    size = len(described["model"]["vocab"])
    described["model"]["vocab"] |= {"a1": size, "a.": size + 1}
    made = extend(Tokenizer.from_str(json.dumps(described)))
    spelled = made_of(made)
    assert any(len(text) > 1 and any(map(str.isdigit, text)) for text in spelled)
    assert any(any(map(str.isalpha, text)) and not text.removeprefix(" ").isalpha() for text in spelled)


def test_scripts_are_those_of_sentencepiece():
    scripts = Scripts()
    assert scripts.of("a") == scripts.of("ñ") != scripts.of("ა") != 0
    assert scripts.of("ひ") == scripts.of("カ") == scripts.of("漢") == scripts.of("ー")
    assert scripts.of(",") == scripts.of("1") not in (0, scripts.of("a"))
    assert scripts.of("\u0301") == scripts.of("▁") == 0


# --- against a slow and simple one


def simple(old: Tokenizer, texts: list[str], most: int) -> list[tuple[str, str]]:
    """Go on with byte pair encoding on words that the old tokenizer cuts, counting everything anew for each merge."""
    words: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        encoded = old.encode(text, add_special_tokens=False)
        pieces: dict[int, list[str]] = {}
        for token, word in zip(encoded.tokens, encoded.word_ids, strict=True):
            pieces.setdefault(word, []).append(token)
        words.update(tuple(word) for word in pieces.values())
    numbers, merges = dict(old.get_vocab()), []
    while len(merges) < most:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, seen in words.items():
            for pair in pairwise(word):
                pairs[pair] += seen
        left, right = min(pairs, key=lambda pair: (-pairs[pair], numbers[pair[0]], numbers[pair[1]]))
        merges.append((left, right))
        numbers[left + right] = len(numbers)
        now: Counter[tuple[str, ...]] = Counter()
        for word, seen in words.items():
            made: list[str] = []
            for each in word:
                joins = made and (made[-1], each) == (left, right)
                made[-1:] = [left + right] if joins else [*made[-1:], each]
            now[tuple(made)] += seen
        words = now
    return merges


@byte_level
def test_the_merges_are_those_of_a_simple_byte_pair_encoding(kind):
    text = "Gizon-emakume guztiak aske jaiotzen dira, duintasun eta eskubide berberak dituztela; etxean daude 1948."
    documents = [{"id": str(number), "text": text[number:] + text} for number in range(12)]
    made = extend(KINDS[kind](), documents, 60)
    assert [piece.merge for piece in made.pieces.new] == simple(
        KINDS[kind](), [document["text"] for document in documents], 60
    )


def test_the_text_may_give_fewer_pieces():
    made = extend(gpt_2(), [{"id": "1", "text": "zuzuzu"}], 50)
    assert 0 < len(made.pieces.new) < 5
    assert FEWEST == 2


def test_a_long_text_is_tokenised_in_parts(monkeypatch):
    monkeypatch.setattr("latxa_cli.models.vocabulary.BATCH", 50)
    text = "etxe zaharra\n" * 40 + "etxe" * 40
    made = extend(gpt_2(), [{"id": "1", "text": text}], 20)
    assert made.fertility.bytes == len(text)
    assert made.fertility.tokens_before == pytest.approx(len(ids(made.old, text)), abs=8)


@pytest.mark.parametrize(
    ("text", "portions"),
    [
        ("aaa\nbbb\nccc\nd", ["aaa\nbbb\n", "ccc\nd"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("abcdefghij", ["abcdefghij"]),
        ("", [""]),
    ],
)
def test_a_long_text_is_cut_behind_a_line_if_there_is_one(monkeypatch, text, portions):
    monkeypatch.setattr("latxa_cli.models.vocabulary.BATCH", 10)
    assert list(_portions(text)) == portions


def test_conversations_are_learnt_from():
    turns = [{"role": "user", "content": "etxea etxea"}, {"role": "assistant", "content": "etxea etxea"}]
    made = extend(gpt_2(), [{"id": "1", "messages": turns}], 50)
    assert " etxea" in made_of(made)
    assert made.fertility.words == 4


# --- ids, gaps, what is refused


def test_special_tokens_behind_the_vocabulary_leave_no_gap(capfd):
    made = extend(llama_3())
    assert made.pieces.first == 400 + len(SPECIAL)
    Tokenizer.from_str(made.new.to_str())
    assert capfd.readouterr().out == ""  # the library prints a complaint of gaps to stdout


def test_a_token_that_no_merge_makes_is_not_made_twice():
    described = json.loads(llama_3().to_str())
    described["model"]["vocab"]["etxe"] = 403
    described["added_tokens"] = []
    for number, special in enumerate(SPECIAL, 400):
        described["model"]["vocab"][special] = number
    made = extend(Tokenizer.from_str(json.dumps(described)), [{"id": "1", "text": "etxe etxea (etxeak " * 9}], 30)
    assert "etxe" not in [piece.text for piece in made.pieces.new]
    for text in ("etxe", "etxea", " etxe etxeak (etxe"):
        assert old_parts(made.pieces, ids(made.new, text)) == ids(made.old, text)


def test_no_text():
    with pytest.raises(LatxaError, match="no text to learn pieces from"):
        extend(gpt_2(), [{"id": "1", "text": ""}])


def without_bytes() -> Tokenizer:
    described = json.loads(llama_2().to_str())
    described["model"]["byte_fallback"] = False
    return Tokenizer.from_str(json.dumps(described))


def with_endings() -> Tokenizer:
    return Tokenizer(models.BPE({"a": 0, "a</w>": 1}, [], end_of_word_suffix="</w>"))


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (lambda: Tokenizer(models.Unigram([("a", -1.0), ("<unk>", -2.0)], 1)), "is of the kind `Unigram`"),
        (lambda: Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), "is of the kind `WordPiece`"),
        (with_endings, "has `end_of_word_suffix`"),
        (without_bytes, "cannot write every byte"),
    ],
)
def test_other_kinds_are_refused_in_one_line(tokenizer, message):
    with pytest.raises(LatxaError, match=message) as caught:
        read_pieces(tokenizer(), "base", 1)
    assert "\n" not in caught.value.message and "byte-level" in caught.value.hint
