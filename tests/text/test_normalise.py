import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latxa_cli.text.normalise import fingerprint, has_words, normalise, words

# Any text, and text dense in what `normalise` acts on (accents apart from their letters, controls, spaces, line ends).
TROUBLE = "ae\u0301\u0303\x00\x1f\x85\xa0\xad\u200b\u2003\u2028\u2029\u3000\ufeff\ud800 \t\r\n\x0b\x0c.'1漢"
TEXTS = st.one_of(st.text(), st.text(alphabet=TROUBLE, max_size=30))


@pytest.mark.parametrize(
    ("messy", "clean"),
    [
        ("1\r\n2\r3\x854\u20285\u20296\x0b7\x0c8", "1\n2\n3\n4\n5\n6\n7\n8"),
        ("e\u0301 n\u0303", "é ñ"),
        ("a\x00b\x1bc\x7fd\x9fe", "abcde"),
        ("hitz\xadtegi\ufeff", "hitztegi"),
        ("a\xa0b\u2003c\u3000d", "a b c d"),
        ("bat   bi\t \thiru\tlau", "bat bi hiru\tlau"),
        ("bat  \nbi\t\n", "bat\nbi"),
        ("bat\n \n\t\n\n\nbi", "bat\n\nbi"),
        ("  \n bat \n ", "bat"),
        ("def f(x):\n    if x:\n\treturn  1", "def f(x):\n    if x:\n\treturn 1"),
        ("می\u200cخواهم क्\u200dष ភាសា\u200bខ្មែរ", "می\u200cخواهم क्\u200dष ភាសា\u200bខ្មែរ"),
        ("bat\ud800bi", "batbi"),
        (" \x00\u2028 ", ""),
        ("", ""),
    ],
)
def test_clean_form(messy: str, clean: str) -> None:
    assert normalise(messy) == clean


@given(TEXTS)
@example("e\x00\u0301")  # the letter and its accent meet only when the control between them is gone
@example("\r\x00\n")
@example(" \u200a\n\t\n\n \u0301")
def test_twice_is_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(TEXTS)
def test_nothing_unclean_is_left(text: str) -> None:
    clean = normalise(text)
    assert unicodedata.is_normalized("NFC", clean)
    assert not {c for c in clean if unicodedata.category(c) in ("Cc", "Cs", "Zs", "Zl", "Zp")} - set("\n\t ")
    assert "\n\n\n" not in clean and " \n" not in clean and "\t\n" not in clean
    assert clean == clean.strip()


@given(TEXTS)
def test_letters_and_digits_all_stay(text: str) -> None:
    """Nothing that could be read is lost: letters, marks and digits are the same, in the same order."""

    def readable(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c)[0] in "LMN")

    # Reordered marks compare equal only in canonical order, hence NFD of what is left as well.
    kept, given_ = readable(normalise(text)), readable(text)
    assert unicodedata.normalize("NFD", kept) == unicodedata.normalize("NFD", given_)


def test_a_million_spaces_take_no_time() -> None:
    """A pattern that tries every start of a long run would need hours for this."""
    assert normalise("a\n" + " " * 1_000_000 + "b" + "\t" * 1_000_000 + "c") == "a\n" + " " * 1_000_000 + "b c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kaixo, mundua! 3,5 euro.", ["Kaixo", "mundua", "3", "5", "euro"]),
        ("l'home col·lega c’hoari", ["l'home", "col·lega", "c’hoari"]),
        ("'bat' -bi- (hiru)…", ["bat", "bi", "hiru"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("\U0001e900\U0001e901 \U0001f600\U0001f680 bat", ["\U0001e900\U0001e901", "bat"]),
        ("\u060cسلام؟", ["سلام"]),
        ("— … !", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(TEXTS, st.integers(-1, 8))
def test_has_words_agrees_with_words(text: str, minimum: int) -> None:
    assert has_words(text, minimum) == (len(words(text)) >= minimum)


def test_fingerprint_sees_past_case_and_spaces_alone() -> None:
    assert fingerprint("Kaixo\n\nmundua") == fingerprint("KAIXO mundua")
    assert fingerprint("Straße") == fingerprint("STRASSE")
    assert fingerprint("kaixo mundua") != fingerprint("kaixomundua")
    assert fingerprint("kaixo mundua") != fingerprint("kaixo mundua!")
    assert len(fingerprint("")) == 16


def test_clean_text_stays_as_it_is(shared_data: Path) -> None:
    with (shared_data / "sentences_eu.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(next(file))["text"] for _ in range(2000)]
    changed = [text for text in texts if normalise(text) != " ".join(text.split())]
    assert changed == []
