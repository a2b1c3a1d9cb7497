import json
import unicodedata
from pathlib import Path

import pytest
import xxhash
from hypothesis import assume, example, given
from hypothesis import strategies as st

from latxa_cli.text.normalise import fingerprint, normalise

# Any text, and text dense in what `normalise` acts on (accents apart from their letters, controls, spaces, line ends,
# bytes of UTF-8 read as Windows-1252).
TROUBLE = "ae\u0301\u0303\x00\x1f\x85\xa0\xad\u200b\u2003\u2028\u2029\u3000\ufeff\ud800 \t\r\n\x0b\x0c.'1漢"
BYTES = "AaÃÂâðÅ©±€œ™ŸŽ\x9d\xa0\u0303 \n"
TEXTS = st.one_of(st.text(), st.text(alphabet=TROUBLE, max_size=30), st.text(alphabet=BYTES, max_size=30))


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
@example("A\u0303©")  # a letter and its accent make what looks like a byte of UTF-8
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


@given(st.one_of(st.text(), st.text(alphabet=TROUBLE, max_size=30)))
def test_letters_and_digits_all_stay(text: str) -> None:
    """Nothing that could be read is lost: letters, marks and digits are the same, in the same order."""
    assume(not set(text) & set(map(chr, range(0xC2, 0xF5))))  # what may begin a wrongly read character

    def readable(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c)[0] in "LMN")

    # Reordered marks compare equal only in canonical order, hence NFD of what is left as well.
    kept, given_ = readable(normalise(text)), readable(text)
    assert unicodedata.normalize("NFD", kept) == unicodedata.normalize("NFD", given_)


def test_code_in_fences_keeps_its_spaces_and_empty_lines() -> None:
    code = "```python\nx    = 1\ny\t\t= 2  \n\n\n\nlong = 3  # three\n```"
    assert normalise(f"So   it is:\n\n\n\n{code}\n\n\nAnd  so on. ") == f"So it is:\n\n{code}\n\nAnd so on."
    assert normalise(f"{code}\n") == code
    assert normalise(code.replace("x", "x\x07")) == code, "controls go"


def test_a_million_spaces_take_no_time() -> None:
    """A pattern that tries every start of a long run would need hours for this."""
    assert normalise("a\n" + " " * 1_000_000 + "b" + "\t" * 1_000_000 + "c") == "a\n" + " " * 1_000_000 + "b c"


def misread(text: str, encoding: str) -> str:
    """Return what text in UTF-8 becomes when it is read in another encoding; undefined bytes become controls."""
    return "".join(bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
@pytest.mark.parametrize(
    "text",
    [
        "Iruñeko kañaberak, «españolez» ere bai",
        "àèìòù ÁÉÍÓÚ ïü ç l·l — “hitza” ‘bat’ …",
        "Tá an ghrian ag taitneamh.\nDia dhuit, a Sheáin!",
        "mae'r tŷ ŵyr yn fawr, â'r môr",
        "prezioa: 3 € — 😀\n\nzubia",
    ],
)
def test_wrongly_read_text_is_repaired(text: str, encoding: str) -> None:
    assert normalise(misread(text, encoding)) == text
    assert normalise(misread(misread(text, encoding), encoding)) == text, "twice"
    assert normalise(f"漢字 ñ\n{misread(text, encoding)}\nç") == f"漢字 ñ\n{text}\nç", "some lines of a text"


@pytest.mark.parametrize(
    "text",
    [
        "«\xa0Un défilé\xa0», dit-il à l’aube… où\xa0?",
        "MAÇÃ VERDE, AMANHÃ É DIA. NÃO…",
        "„Die GRÖSSE“ — Ä“ Ö” Ü… É’",
        "São Paulo, Ångström, Åse, ÅÄÖ, Ðð Þþ",
        "5 °C ± 2 µm × 3, § 4, © 2021 ™ ® ½",
        "Ã, Â, ñ, â: hizkiak",
    ],
)
def test_rare_characters_are_no_wrong_encoding(text: str) -> None:
    assert normalise(text) == text.replace("\xa0", " ")


@pytest.mark.parametrize("language", ["eu", "en", "es", "ca", "gl", "fr", "ga", "cy", "is"])
def test_wrongly_read_documents_are_repaired(shared_data: Path, language: str) -> None:
    documents: dict[str, list[str]] = {}
    with (shared_data / "parallel.jsonl").open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            documents.setdefault(record["doc"], []).append(record[language])
    clean = [normalise("\n".join(lines)) for lines in documents.values()]
    assert clean == ["\n".join(" ".join(line.split()) for line in lines) for lines in documents.values()], "unharmed"
    for encoding in ("latin-1", "windows-1252"):
        assert [normalise(misread(text, encoding)) for text in clean] == clean


def test_fingerprint_is_of_the_text_as_it_is() -> None:
    assert fingerprint("kaixo mundua") == xxhash.xxh3_128(b"kaixo mundua").digest()
    assert len({fingerprint(text) for text in ("kaixo mundua", "Kaixo mundua", "kaixo  mundua", "")}) == 4
    assert len(fingerprint("\ud800")) == 16


def test_clean_text_stays_as_it_is(shared_data: Path) -> None:
    with (shared_data / "sentences_eu.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(next(file))["text"] for _ in range(2000)]
    changed = [text for text in texts if normalise(text) != " ".join(text.split())]
    assert changed == []
