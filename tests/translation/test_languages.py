"""Languages by code and by name, and what prompts call them."""

from __future__ import annotations

import pytest
from babel import Locale

from latxa_cli.stream.errors import UsageError
from latxa_cli.translation.languages import Language, language_of, pair_of


@pytest.mark.parametrize("text", ["eu", "EU", "eus", "baq", "Basque", "basque", "euskara", " Euskara "])
def test_codes_and_names_are_one_language(text: str) -> None:
    assert language_of(text, "--to") == Language("eu", "Euskara", "Basque")


@pytest.mark.parametrize(
    ("text", "code", "name", "english"),
    [
        ("ca", "ca", "Català", "Catalan"),
        ("cym", "cy", "Cymraeg", "Welsh"),
        ("pt_br", "pt-BR", "Português (Brasil)", "Portuguese (Brazil)"),
        ("SR-LATN", "sr-Latn", "Srpski (latinica)", "Serbian (Latin)"),
        ("Haitian Creole", "ht", "Kreyòl Ayisyen", "Haitian Creole"),
        ("Aymara", "ay", "Aymara", "Aymara"),  # CLDR knows no other name
        ("中文", "zh", "中文", "Chinese"),
    ],
)
def test_names_come_from_the_code(text: str, code: str, name: str, english: str) -> None:
    assert language_of(text, "--to") == Language(code, name, english)


@pytest.mark.parametrize("code", ["eu", "nb", "nn", "no", "sr", "zh", "yue", "tn"])
def test_a_language_is_found_by_the_name_that_babel_gives_it(code: str) -> None:
    """`nb` and `nn` have theirs from the language that they inherit from."""
    assert language_of(Locale(code).languages[code], "--to").code == code


def test_a_name_can_be_said() -> None:
    assert language_of("eu", "--to", "Batua") == Language("eu", "Batua", "Batua")
    assert language_of("qaa", "--to", "Lanbroera") == Language("qaa", "Lanbroera", "Lanbroera")
    assert language_of("crk-Cans", "--to", "Nêhiyawêwin").code == "crk-Cans"
    assert language_of("Basque", "--to", "Batua").code == "eu"


@pytest.mark.parametrize(
    ("text", "name", "message", "hint"),
    [
        ("", None, "`--to` is empty", "a code (`eu`) or a name (`Basque`)"),
        (" \t", "Batua", "`--to` is empty", "a code"),
        ("eu", " ", "`--to-name` is empty", "leave it out"),
        ("zz", None, "no language has the code `zz`", "--to-name NAME"),
        ("und", None, "no language has the code `und`", ""),
        ("mul", None, "no language has the code `mul`", ""),
        ("Basqe", None, "there is no language `Basqe`", "`Basque`"),
        ("not a language", "Not", "there is no language `not a language`", ""),
        ("../eu", None, "there is no language `../eu`", ""),
        ("eu-Nowhere", None, "no language has the code `eu-Nowhere`", ""),
    ],
)
def test_what_is_no_language_is_told(text: str, name: str | None, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        language_of(text, "--to", name)
    assert error.value.message == message and hint in error.value.hint


def test_two_languages_are_needed() -> None:
    assert [one.code for one in pair_of("English", "eu")] == ["en", "eu"]
    assert [one.code for one in pair_of("pt", "pt-BR")] == ["pt", "pt-BR"]
    for source, target in (("eu", "Basque"), ("eus", "euskara"), ("qaa", "qaa")):
        with pytest.raises(UsageError, match="are both"):
            pair_of(source, target, "A", "B")
