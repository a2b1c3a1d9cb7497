"""The letter of a generated answer: found in what models really write, in any language, and never guessed."""

from __future__ import annotations

import time
import tomllib

import pytest

from latxa_cli.evaluation.asking.formats import FILE, Words
from latxa_cli.evaluation.asking.letters import letter_of

LANGUAGES = {
    name: Words(**words) for name, words in tomllib.loads(FILE.read_text(encoding="utf-8"))["languages"].items()
}


def letter(text: object, language: str = "en", letters: str = "ABCD") -> str | None:
    words = LANGUAGES[language]
    return letter_of(text, list(letters), words.answers, words.words)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("B", "B"), (" b\n", "B"), ("**B**", "B"), ("(B).", "B"), ("`B`", "B"), ("B.", "B"), ("Ｂ", "B"),
        ("$\\boxed{C}$", "C"),
        ("B. Bilbao", "B"), ("B) Bilbao, since A) is in Araba", "B"), ("B: Bilbao", "B"), ("C\n\nBecause it is.", "C"),
        ("B Bilbao", "B"), ("The answer is (D).", "D"), ("the best ANSWER IS: **C**", "C"), ("**Answer:** B", "B"),
        ("I think of A, then of B. The answer is B.", "B"), ("The answer is A. No: the answer is C.", "C"),
        ("It must be (C), as shown.", "C"), ("So it is \\boxed{A}", "A"), ("Answer: A", "A"),
        ("The answer is A because", "A"),
        ("", None), ("I cannot answer that.", None), ("A dog barks.", None), ("Answer: A dog barks.", None),
        ("E", None),
        ("Bilbao", None), ("Either (A) or (B).", None), ("All of them are right", None), ("A and B are wrong", None),
        ("Vitamin C is one", None), ("The answer is Bilbao", None), (None, None), ("The answer is E", None),
        ("AB", None),
    ],
)  # fmt: skip
def test_letters_of_english_answers(text: object, found: str | None) -> None:
    assert letter(text) == found


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("eu", "Erantzuna B da.", "B"), ("eu", "Erantzun zuzena: **C**", "C"), ("eu", "Ez dakit.", None),
        ("es", "La respuesta correcta es la D.", "D"), ("es", "A veces llueve", None), ("es", "O Bilbao", None),
        ("ca", "La resposta és B", "B"), ("gl", "A resposta é B.", "B"), ("gl", "A resposta non se sabe", None),
        ("zh", "答案是B。", "B"), ("zh", "答案：C", "C"), ("zh", "Ｂ、北京", "B"), ("zh", "我选D项", "D"),
        ("ga", "Is é B an freagra.", "B"), ("cy", "Yr ateb yw C", "C"), ("is", "Svarið er D", "D"),
    ],
)  # fmt: skip
def test_letters_of_answers_in_other_languages(language: str, text: str, found: str | None) -> None:
    assert letter(text, language) == found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_finds_the_letter_of_its_own_sentence(language: str) -> None:
    words = LANGUAGES[language]
    for wanted in "ABCD":
        assert letter(words.cot_answer.replace("{letter}", wanted), language) == wanted
        assert letter(f"{words.answer_prompt} {wanted}", language) == wanted
    assert "A" in words.listed(words.instruction, ["A", "B"]) and words.listed("{letters}", ["A"]) == "A"
    assert all("{letters}" in text for text in (words.instruction, words.cot_instruction))
    assert all("{letter}" in answer for answer in (*words.answers, words.cot_answer))


def test_long_texts_take_linear_time() -> None:
    for piece in ("answer is ", "((((", "**", "A", "the answer", "\\boxed{"):
        start = time.perf_counter()
        letter(piece * (200_000 // len(piece)))
        assert time.perf_counter() - start < 2, piece
