import json
import re
import sys
import unicodedata
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latxa_cli.text.words import length, segment, words

# Letters with marks, joiners, digits, what joins words and what does not, scripts without spaces, astral characters.
ALPHABET = (
    "aZñßſıİⅧ1²٣ _-.,'’·\n\u0301\u0323\u200c\u200d\u200b\ud800क्षिमیخو漢字々〇かカーｶไทย๑ລາວខ្មែរမြန်မာ한국"
    "\U0001e900\U0001f600\ufe0f\U00020000\U000e0100"
)
TEXTS = st.one_of(st.text(), st.text(alphabet=ALPHABET, max_size=40))


@cache
def reference() -> re.Pattern[str]:
    """The same words by another road: a regular expression over sets of characters."""
    marks = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M")
    mark = f"[{marks}\u200c\u200d]"
    numbers = "".join(c for c in map(chr, range(0x20000)) if unicodedata.category(c) in ("Nd", "No"))
    blocks = (
        "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
        "\u3038-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f"
        "\U00011700-\U0001174f\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
    )
    alone = f"(?![{numbers}{marks}])(?:[^\\W_](?<=[{blocks}])|[\U00020000-\U0003ffff])"
    letter = f"(?!{alone})[^\\W_]"
    run = f"{letter}(?:{letter}|{mark})*"
    return re.compile(f"{alone}{mark}*|{run}(?:['’·]{run})*")


@given(TEXTS)
@example("l''home l'  'l l'é · a·b a·漢 漢'a 漢·字 ไทย'a")
@example("\u0301a \u200da a\u0301'\u0301b ❤\ufe0f 👨\u200d👩 e\u0301e")
def test_words_are_those_of_the_regular_expression(text: str) -> None:
    assert words(text) == reference().findall(text)


@pytest.mark.parametrize("language", ["eu", "en", "es", "ca", "gl", "fr", "ga", "cy", "is"])
def test_words_of_real_text(shared_data: Path, language: str) -> None:
    with (shared_data / "parallel.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)[language] for line in islice(file, 300)]
    assert [words(text) for text in texts] == [reference().findall(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kaixo, mundua! 3,5 euro.", ["Kaixo", "mundua", "3", "5", "euro"]),
        ("l'home col·lega c’hoari", ["l'home", "col·lega", "c’hoari"]),
        ("'bat' -bi- (hiru)… snake_case", ["bat", "bi", "hiru", "snake", "case"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("\U0001e900\U0001e901 \U0001f600\U0001f680 bat", ["\U0001e900\U0001e901", "bat"]),
        ("\u060cسلام؟", ["سلام"]),
        ("日本語です。3日", ["日", "本", "語", "で", "す", "3", "日"]),
        ("ที่นี่ ๑๒", ["ที่", "นี่", "๑๒"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("❤\ufe0f 👨\u200d👩", []),
        ("— … !", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_hashes_see_past_case_and_kind_of_apostrophe() -> None:
    def hashes(text: str) -> list[int]:
        return segment(text).hashes.tolist()

    assert hashes("KAIXO Mundua") == hashes("kaixo mundua")
    assert hashes("ΟΔΟΣ Οδός") == hashes("οδοσ οδόσ")
    assert hashes("l’Home") == hashes("l'home")
    assert hashes("bat") != hashes("tab") != hashes("bata")
    assert hashes("漢 a") == [*hashes("漢"), *hashes("a")], "wherever a word stands"


def test_hashes_of_many_words_are_distinct(shared_data: Path) -> None:
    with (shared_data / "sentences_eu.jsonl").open(encoding="utf-8") as file:
        text = "\n".join([json.loads(line)["text"] for line in file])
    known = dict(zip(segment(text).hashes.tolist(), map(str.lower, words(text)), strict=True))
    assert len(known) == len(set(map(str.lower, words(text)))) > 30_000


def test_hash_of_a_word() -> None:
    """Files of one run are read by another: the hash is part of the format."""

    def by_hand(word: str) -> int:
        value, ones = 0x243F6A8885A308D3, (1 << 64) - 1
        for character in word:
            value = (value ^ (1 << 24 | ord(character))) * 0x9E3779B97F4A7C15 & ones
        for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
            value = (value ^ value >> shift) * factor & ones
        return value ^ value >> 33

    assert segment("Etxe zahar").hashes.tolist() == [by_hand("etxe"), by_hand("zahar")]


def test_positions_are_those_of_the_text() -> None:
    text = "Kaixo, \U0001f600 mundua"
    found = segment(text)
    assert [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)] == ["Kaixo", "mundua"]
    assert len(found) == 2 and len(found.codepoints) == len(text)


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("", 0),
        ("Kaixo, mundua, 3 aldiz!", 4),
        ("Здравствуй мир", 2),
        ("한국어 단어", 2),
        ("漢", 1),
        ("中华人民共和国全国人民代表大会", 7),  # 15 letters
        ("ありがとうございます", 5),
        ("ที่นี่มีต้นไม้ใหญ่", 2),  # 10 letters and 8 marks
        ("ສະບາຍດີທຸກຄົນ", 2),  # 10 letters
        ("ຂ້ອຍຢູ່ເຮືອນ ກັບໝູ່", 2),  # 11 letters
        ("𠀀" * 6, 3),
        ("你好 world 3", 3),
    ],
)
def test_a_length_means_as_much_text_in_every_script(text: str, both: int) -> None:
    assert length(text) == segment(text).length == both


def test_lengths_between_spaces() -> None:
    assert length("See https://a.eus/b?c=d — e.g. snake_case") == 5
    assert length("1 + 1 = 2, bai", lettered=True) == 1
    assert length("1 页 AI技术 GPU强 3", lettered=True) == 4, "AI, GPU and four letters"
    assert segment("snake_case a.eus").length == 4
