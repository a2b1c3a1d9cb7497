"""With a model file made here: its words are known, each of one label."""

import struct
import sys
from pathlib import Path

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.text.fasttext_model import FastTextModel, read_labels
from latxa_cli.text.language import check_language, identifier, known_languages

WORDS = {"etxea": "eus_Latn", "zubia": "eus_Latn", "house": "eng_Latn", "pont": "cym_Latn", "maja": "ekk_Latn"}
SUPERVISED, VECTORS = 3, 2


def model(words: dict[str, str], kind: int = SUPERVISED, prefix: str = "__label__") -> bytes:
    """Return a fastText model without n-grams in which a word of a label has that label's unit vector, times 9."""
    labels = list(dict.fromkeys(words.values()))
    size = len(labels)

    def matrix(rows: list[list[float]]) -> bytes:
        numbers = [number for row in rows for number in row]
        return struct.pack(f"<?2q{len(numbers)}f", False, len(rows), size, *numbers)

    def unit(label: str, length: float) -> list[float]:
        return [length * (label == other) for other in labels]

    settings = [size, 5, 5, 1, 5, 1, 2, kind, 0, 0, 0, 100]  # loss 2: softmax; no buckets
    made = struct.pack("<2i12id", 793712314, 12, *settings, 1e-4)
    made += struct.pack("<3i2q", len(words) + size, len(words), size, 100, -1)
    for text, kind_of_entry in [*((word, 0) for word in words), *((prefix + label, 1) for label in labels)]:
        made += text.encode() + struct.pack("<bqb", 0, 7, kind_of_entry)
    made += matrix([unit(label, 9.0) for label in words.values()])
    return made + matrix([unit(label, 1.0) for label in labels])


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "model.bin"
    file.write_bytes(model(WORDS))
    return str(file)


def test_labels_are_read_from_the_file(path: str) -> None:
    assert read_labels(path) == [f"__label__{name}" for name in ("eus_Latn", "eng_Latn", "cym_Latn", "ekk_Latn")]


def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = model(WORDS)
    file = tmp_path / "model.bin"
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with pytest.raises(LatxaError, match="is damaged or cut off"):
            read_labels(str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + b"x" * 200, "is no fastText model"),
        (b'{"id": "1"}\n' * 20, "is no fastText model"),
        (model(WORDS, kind=VECTORS), "is a model of words"),
        (model(WORDS)[:64] + b"\xff" * 300, "is damaged or cut off"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    with pytest.raises(LatxaError, match=message):
        read_labels(str(file))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="nowhere` cannot be read"):
        identifier("/nowhere")
    with pytest.raises(LatxaError, match="cannot be read"):
        identifier(str(tmp_path))


def test_a_missing_package_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(UsageError, match="the package `fasttext`") as error:
        FastTextModel(path)
    assert error.value.hint == "pip install 'latxa-cli[fasttext]'"


def test_languages_are_those_of_the_labels(path: str) -> None:
    pytest.importorskip("fasttext", reason="needs the extra `fasttext`")
    identify = identifier(path)
    assert identify("Etxe handia: etxea\nzubia \ud800") == ("eu", pytest.approx(0.9996, abs=1e-3))
    assert identify("pont")[0] == "cy" and identify("maja")[0] == "et" and identify("house")[0] == "en"
    assert identify("inork ez daki") == ("und", 0.0)
    assert identify("123") == ("und", 0.0)
    assert known_languages(path) == ["cy", "en", "et", "eu"]
    assert check_language("eu", path) == "eu"
    with pytest.raises(UsageError, match="`eus`"):
        check_language("eus", path)


def test_labels_that_are_codes_or_no_languages(tmp_path: Path) -> None:
    pytest.importorskip("fasttext", reason="needs the extra `fasttext`")
    file = tmp_path / "model.bin"
    file.write_bytes(model({"a": "eu", "b": "zh-Hant", "c": "very positive", "d": "arz_Arab"}))
    assert FastTextModel(str(file)).languages == ["eu", "zh", "very positive", "arz"]
