"""Other languages within an answer: what is found, what is left alone, and where runs begin and end."""

from __future__ import annotations

import json
import lzma
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.judging import lexicon
from latxa_cli.judging.code_switch import find_switches
from latxa_cli.stream.errors import UsageError
from latxa_cli.text.words import segment

HOST = "Atzo goizean mendira joan ginen, eta {} arratsaldean berandu itzuli ginen etxera."


def found(text: str, language: str = "eu", *prompts: str) -> list[tuple[str, str]]:
    return [(run.language, run.words) for run in find_switches(text, language, prompts).runs]


@pytest.mark.parametrize(
    ("language", "text", "other", "run"),
    [
        ("eu", HOST, "en", "we could not find the way back"),
        ("eu", HOST, "es", "nadie sabía dónde estaba el camino"),
        ("eu", HOST, "fr", "nous avons perdu notre chemin"),
        ("ca", "Ahir vam pujar a la muntanya, {} i vam tornar tard a casa.", "es", "hacía mucho frío aquella mañana"),
        ("gl", "Onte subimos ao monte, {} e volvemos tarde á casa.", "es", "hacía mucho frío y los perros ladraban"),
        ("cy", "Aethon ni i fyny'r mynydd, {} a daethom adref yn hwyr.", "en", "but nobody knew the right way"),
        ("ga", "Chuamar suas an sliabh, {} agus tháinig muid abhaile.", "en", "but nobody knew the right way"),
        ("ru", "Вчера утром мы пошли в горы, {} и поздно вернулись домой.", "en", "but nobody knew the right way"),
        ("eu", HOST, "ru", "мы долго искали дорогу назад"),
        ("eu", HOST, "zh", "我们找不到回去的路"),
    ],
)  # fmt: skip
def test_a_run_is_found_where_it_stands(language: str, text: str, other: str, run: str) -> None:
    text = text.format(run)
    switches = find_switches(text, language)
    [(start, end)] = [(one.start, one.end) for one in switches.runs]
    assert switches.runs[0].language == other
    assert text[start:end] == switches.runs[0].words
    place = text.index(run)
    shared = min(end, place + len(run)) - max(start, place)
    assert shared >= 0.7 * len(run) and shared >= 0.7 * (end - start)
    assert 0 < switches.share < 1 and switches.switched <= switches.searched


@pytest.mark.parametrize(
    "text",
    [
        HOST.format("bidea galdu genuen, baina"),
        "Ikusi `the first line of this file` eta saiatu berriro.",
        "Honela idatzi:\n\n```python\n# this is the way to do it\nprint('hello to all of you')\n```\n\nEta kito.",
        "Irakurri https://example.org/how-to-write-a-good-letter edo idatzi to.all.of.us@example.org helbidera.",
        "“I have not seen anything like that” esan zuen, eta «no lo sabía nadie todavía» erantzun nion.",
        'Ingelesez "how are you doing today" esaten da.',
        "> It was the best of times and the worst of times\n\nHori da lehen esaldia.",
        "The Lord of the Rings eta Harry Potter and the Goblet of Fire irakurri ditut.",
        "Pekin (北京) hiri handia da, eta Atenas (Αθήνα) zaharra.",
        "Angelua α da, eta aldea Δ.",
        "Formula $\\text{the sum of all the parts} = 3$ da.",
        "2 + 2 = 4 eta 10 km 3 h",
        "",
        "?!",
    ],
)
def test_what_is_no_switch_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_the_words_of_the_prompt_are_no_switch_but_others_are() -> None:
    answer = HOST.format("machine learning models esaten zaie, eta")
    assert found(answer) and not found(answer, "eu", "Zer dira machine learning models?")
    longer = HOST.format("machine learning models are trained on very large amounts of text")
    assert found(longer, "eu", "Zer dira machine learning models?") == [
        ("en", "are trained on very large amounts of text")
    ]


def test_words_of_the_prompt_that_are_the_languages_own_still_speak_for_it() -> None:
    """An answer that repeats its question is in its language all the same."""
    question = "Nola egiten da ogia etxean?"
    switches = find_switches("Ogia etxean egiten da irinarekin eta urarekin.", "eu", [question])
    assert switches.runs == [] and switches.searched == 7


def test_an_answer_in_another_language_is_one_run() -> None:
    switches = find_switches("this is all that i can say about it, and i am sorry for that.", "eu")
    assert [run.language for run in switches.runs] == ["en"]
    assert switches.share > 0.9


def test_a_text_in_capitals_is_searched() -> None:
    assert found(HOST.format("we could not find the way back").upper())


def test_the_language_itself_is_never_another_one() -> None:
    assert found("this is all that i can say about it, and i am sorry for that.", "en") == []
    assert found("Ово је реченица на српском језику.", "sr") == found("Ovo je rečenica na srpskom jeziku.", "sr") == []
    assert found("Ovo je rečenica na srpskom jeziku.", "sr-Cyrl")


def test_a_region_is_no_other_language() -> None:
    assert found(HOST.format("we could not find the way back"), "eu-ES") == found(
        HOST.format("we could not find the way back"), "eu"
    )


def test_a_language_that_nobody_can_identify_is_refused() -> None:
    with pytest.raises(UsageError, match="`tlh` is not among those that can be identified"):
        find_switches("nuqneH", "tlh")


def test_places_are_those_of_the_text_as_it_is_even_in_parts_of_letters() -> None:
    text = unicodedata.normalize(
        "NFD", "Això és així, nadie sabía dónde estaba el camino más corto, però ho vam trobar."
    )
    [run] = find_switches(text, "ca").runs
    assert text[run.start : run.end] == run.words
    assert unicodedata.normalize("NFC", run.words) == "nadie sabía dónde estaba el camino más corto"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["eu", "gl", "ja", "ar", "zh"]), st.text(max_size=10))
def test_any_text_has_an_answer(text: str, language: str, prompt: str) -> None:
    switches = find_switches(text, language, [prompt])
    ends = [0]
    for run in switches.runs:
        assert ends[-1] <= run.start < run.end <= len(text)
        assert run.words == text[run.start : run.end]
        assert run.language != language
        ends.append(run.end)
    assert (not switches.runs and not switches.switched) or 0 < switches.switched <= switches.searched


@pytest.mark.parametrize(
    "text", ["“" * 20000, '"' * 19999, " 'a" * 9000, "'a" * 9000, "( " * 9000, "e\u0301 a " * 3000]
)
def test_text_that_is_all_signs_takes_no_time(text: str) -> None:
    find_switches("", "ca")  # loads the model
    began = time.process_time()
    find_switches(text, "ca")
    assert time.process_time() - began < 2


def test_a_lexicon_tells_words_of_one_language_from_those_of_another() -> None:
    assert lexicon.languages() >= {"ca", "es", "gl", "pt"}
    hashes = segment("unha una casa qwxz").hashes
    galician, spanish = lexicon.frequencies("gl", hashes), lexicon.frequencies("es", hashes)
    assert galician[0] > spanish[0] and galician[1] < spanish[1]
    assert galician[2] > galician[3] == spanish[3] == np.min(spanish)


def test_lexicons_are_as_the_hashes_of_words_need_them() -> None:
    """Each word of a file is one word, else its level would be that of its parts."""
    for path in lexicon.FOLDER.glob("*.txt.xz"):
        lines = lzma.decompress(path.read_bytes()).decode().split("\n")[:-1]
        assert all(len(segment(line.partition(" ")[2])) == len(line.split()) - 1 for line in lines), path
    assert sum(path.stat().st_size for path in lexicon.FOLDER.iterdir()) < 2_000_000


def test_few_clean_sentences_are_flagged_and_planted_runs_are_found(shared_data: Path) -> None:
    """A small part of `tests/bench/code_switch.py`."""

    def sentences(language: str, count: int) -> list[str]:
        lines = (shared_data / f"sentences_{language}.jsonl").read_bytes().split(b"\n")[:count]
        return [json.loads(line)["text"] for line in lines]

    clean = sentences("eu", 200)
    assert sum(bool(found(sentence)) for sentence in clean) <= 4
    runs = [words[1:6] for sentence in sentences("en", 200) if len(words := sentence.split()) > 6]
    planted = [
        f"{host} {' '.join(run)}"
        for host, run in zip(clean, runs, strict=False)
        if all(word.isalpha() and word.islower() for word in run)
    ]
    assert len(planted) > 50
    assert sum(bool(found(text)) for text in planted) >= 0.95 * len(planted)
