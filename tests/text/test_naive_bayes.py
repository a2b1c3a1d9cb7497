import json
import random
from itertools import islice
from pathlib import Path

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from latxa_cli.text.naive_bayes import NaiveBayes


@pytest.fixture(scope="module")
def ours() -> NaiveBayes:
    return NaiveBayes()


@pytest.fixture(scope="module")
def theirs() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def agree(ours: NaiveBayes, theirs: LanguageIdentifier, texts: list[str]) -> None:
    for text in texts:
        (found, probability), (language, confidence) = ours(text), theirs.classify(text)
        assert found == language and abs(probability - confidence) < 1e-5, repr(text)


@pytest.mark.parametrize("name", ["corpus_eu", "corpus_es", "sentences_en", "sentences_gl", "lid_tatoeba", "udhr"])
def test_answers_are_those_of_the_library(
    shared_data: Path, name: str, ours: NaiveBayes, theirs: LanguageIdentifier
) -> None:
    with (shared_data / f"{name}.jsonl").open(encoding="utf-8") as file:
        agree(ours, theirs, [json.loads(line)["text"][:1500] for line in islice(file, 150)])


WEIRD = [
    "", " ", "a", "\x00", "\ud800", "a\udc80b", "\u200b\u200d", "\U0010ffff", "12345", "😀" * 30, "漢字かな交じり文",
    "KAIXO MUNDUA, ZER MODUZ ZAUDE GAUR?", "ЭТО РУССКИЙ ТЕКСТ", "İIıi" * 9, "e\u0301n\u0303" * 20, "ǅ", "ß" * 50,
    "a" * 9999, "\n" * 99,
]  # fmt: skip


def test_weird_text(ours: NaiveBayes, theirs: LanguageIdentifier) -> None:
    agree(ours, theirs, WEIRD)
    draw = random.Random(0)
    sizes = [0x80, 0x250, 0x3000, 0x110000]
    agree(
        ours,
        theirs,
        ["".join(chr(draw.randrange(draw.choice(sizes))) for _ in range(draw.randrange(50))) for _ in range(300)],
    )


def test_it_can_return_the_languages_of_the_library(ours: NaiveBayes, theirs: LanguageIdentifier) -> None:
    assert ours.languages == theirs.labels
    assert ours("".join(map(chr, range(0x4E00, 0x5000))))[0] in ours.languages
