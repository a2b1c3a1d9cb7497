import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.text.language import (
    LINES,
    SLICE_CHARACTERS,
    SLICES,
    check_language,
    identifier,
    identify,
    known_languages,
    other_lines,
)

# Least share of single sentences recognised: measured on the first 500 of each file, less three points.
RECALL = {
    "eu": 0.970, "en": 0.962, "es": 0.912, "ca": 0.904, "gl": 0.854, "fr": 0.960, "ga": 0.958, "cy": 0.968, "is": 0.966,
}  # fmt: skip


def sentences(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in islice(file, count)]


@pytest.mark.parametrize("language", RECALL)
def test_single_sentences(shared_data: Path, language: str) -> None:
    texts = sentences(shared_data / f"sentences_{language}.jsonl", 500)
    found = [identify(text)[0] for text in texts]
    assert found.count(language) / len(texts) >= RECALL[language]
    if language != "eu":
        assert found.count("eu") / len(texts) <= 0.002


def test_probabilities_are_probabilities(shared_data: Path) -> None:
    texts = sentences(shared_data / "sentences_eu.jsonl", 200)
    probabilities = [identify(text)[1] for text in texts]
    assert all(0 < probability <= 1.00001 for probability in probabilities)
    short, long = identify("Kaixo")[1], identify(" ".join(texts[:20]))[1]
    assert short < 0.5 < 0.99 < long


CAPITALS = {
    "eu": "Udalbatzarrak gaurko bileran erabaki du herriko plazan ezingo dela autorik aparkatu asteburuetan.",
    "es": "El ayuntamiento ha decidido que los fines de semana nadie podrá aparcar en la plaza del pueblo.",
    "ca": "L'ajuntament ha decidit que els caps de setmana ningú no podrà aparcar a la plaça del poble.",
    "en": "The council has decided that nobody will be allowed to park in the village square at weekends.",
    "ga": "Shocraigh an chomhairle nach mbeidh cead ag aon duine páirceáil i gcearnóg an bhaile gach Satharn.",
    "ru": "Совет решил, что по выходным никому нельзя будет ставить машину на площади посёлка.",
    "el": "Το συμβούλιο αποφάσισε ότι τα σαββατοκύριακα κανείς δεν θα παρκάρει στην πλατεία του χωριού.",
}


@pytest.mark.parametrize("language", CAPITALS)
def test_capitals_do_not_hide_a_language(language: str) -> None:
    text = CAPITALS[language]
    half = len(text) // 2
    kinds = [text.upper(), text[0].lower() + text[1:].upper(), text.upper() + " www", text.swapcase(), text.title(),
             text[:half].upper() + text[half:], text[:half] + text[half:].upper(),
             "".join(letter.upper() if place % 9 else letter for place, letter in enumerate(text))]  # fmt: skip
    assert [identify(kind)[0] for kind in kinds] == [language] * len(kinds)
    assert min(identify(kind)[1] for kind in kinds) > 0.5
    assert other_lines("\n".join(kinds), language, identify) == 0


@pytest.mark.parametrize("text", ["", "   \n", "12345 + 678", "😀 !?", "\u0301"])
def test_text_without_letters_is_undetermined(text: str) -> None:
    assert identify(text) == ("und", 0.0)


ENGLISH = "The old bridge over the river was built of stone by the people of the valley."
BASQUE = "Ibaiaren gaineko zubi zaharra haraneko jendeak eraiki zuen harriz, duela urte asko."


def test_slices_of_the_whole_text_count() -> None:
    """A text has the language of most of it, whatever stands at its ends."""
    for menu in (600, 1200):
        text = (ENGLISH * 20)[:menu] + "\n" + BASQUE * 100
        assert identify(text)[0] == "eu" and identify(BASQUE * 100 + ENGLISH * (menu // 80))[0] == "eu"
    assert identify(BASQUE * 12 + ENGLISH * 100)[0] == "en"
    # Up to so many characters it is judged as a whole.
    whole = ENGLISH + (BASQUE * 100)[: SLICES * SLICE_CHARACTERS - len(ENGLISH)]
    assert identify(whole) != identify(whole + BASQUE)


def test_two_identifiers_are_one() -> None:
    assert identifier() is identifier()
    assert identifier()("Kaixo, zer moduz zaude?") == identify("Kaixo, zer moduz zaude?")


def test_share_of_lines_in_other_languages() -> None:
    def share(*lines: str) -> float:
        return other_lines("\n".join(lines), "eu", identify)

    assert share(BASQUE, BASQUE, ENGLISH, "") == pytest.approx(len(ENGLISH) / (2 * len(BASQUE) + len(ENGLISH)))
    assert share(BASQUE, BASQUE) == 0.0
    assert share(ENGLISH, "Home", "Log in") == 1.0
    assert share("Home", "Log in | 2021-03-04 12:00", "-" * 80, "1234567890 " * 12) == 0.0, "too short to tell"
    assert share() == 0.0
    many = [BASQUE, ENGLISH] * 500
    assert share(*many) == pytest.approx(0.5, abs=1 / LINES)


@pytest.mark.parametrize("language", ["eu", "ca", "gl", "cy", "ga"])
def test_lines_of_another_language_are_found(shared_data: Path, language: str) -> None:
    """News in one language, and the same with the English version of every third sentence instead."""
    with (shared_data / "parallel.jsonl").open(encoding="utf-8") as file:
        pairs = [(record[language], record["en"]) for record in map(json.loads, islice(file, 480))]
    clean = mixed = expected = 0.0
    for start in range(0, len(pairs), 12):
        part = pairs[start : start + 12]
        lines = [pair[number % 3 == 2] for number, pair in enumerate(part)]
        clean += other_lines("\n".join(pair[0] for pair in part), language, identify)
        mixed += other_lines("\n".join(lines), language, identify)
        expected += sum(map(len, lines[2::3])) / sum(map(len, lines))
    assert clean == 0.0
    assert mixed == pytest.approx(expected, rel=0.12)


def test_known_languages() -> None:
    known = known_languages()
    assert known == sorted(set(known))
    assert {"eu", "ca", "gl", "ga", "cy", "qu", "en"} <= set(known)
    assert "zxx" not in known and len(known) > 90


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("eus", "`eu`"),
        ("EU", "did you mean `eu`?"),
        ("eu-ES", "did you mean `eu`?"),
        ("cy_GB", "`cy`"),
        ("xqz", "known: ace af"),
    ],
)
def test_unknown_code_names_near_ones(code: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"`{code}`") as error:
        check_language(code)
    assert hint in error.value.hint


def test_known_code_passes() -> None:
    assert check_language("eu") == "eu"


def test_says_nothing_and_warns_of_nothing() -> None:
    """A fresh process with warnings as errors: the library loads late and stays silent."""
    code = (
        "import sys; from latxa_cli.text.language import identify; assert 'py3langid' not in sys.modules;"
        "identify('Kaixo, zer moduz zaude gaur?')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
