"""`latxa profile`: a profile derived from trusted text keeps good documents and rejects others."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.corpus.derive import DerivedProfile, TrustedSample, derive
from latxa_cli.corpus.profile import Profile, load_profile, parse_profile
from latxa_cli.corpus.rules import QualityRules
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import keyed_hash
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

# The words of the invented language that every text has, the most frequent first; all others are made of syllables.
FUNCTION = [
    "na", "ti", "ruk", "sema", "ol", "pi", "dun", "esti", "va", "mor", "ke", "lu", "tan", "ori", "bes",
]  # fmt: skip
SYLLABLES = ["ba", "ko", "ri", "tu", "se", "mi", "no", "la", "ge", "du", "fa", "zo", "pe", "ki", "ro"]
Records = list[dict[str, Any]]


def topic(name: str) -> list[str]:
    """Return the words that only texts on one topic have."""
    draw = random.Random(name)
    return ["".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) + name for _ in range(150)]


def sentence(draw: random.Random, words: list[str]) -> str:
    weights = [1 / (place + 1) for place in range(len(FUNCTION))]
    length = draw.randint(5, 14)
    made = [draw.choice(words) if draw.random() < 0.6 else draw.choices(FUNCTION, weights)[0] for _ in range(length)]
    return " ".join(made).capitalize() + draw.choice(".....?!")


def documents(count: int, seed: int, paragraphs: int = 5) -> Records:
    """Return good documents of an invented language: the first half on one topic, then two others at once."""
    made = []
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        words = topic("x") if number < count / 2 else topic("y") + topic("z")
        lines = [" ".join(sentence(draw, words) for _ in range(draw.randint(2, 5))) for _ in range(paragraphs)]
        made.append({"id": f"{seed}/{number}", "text": "\n\n".join(lines), "source": f"s{number % 2}"})
    return made


def derived(records: Records, language: str | None = "qu") -> DerivedProfile:
    trusted = TrustedSample()
    assert list(trusted.add(records)) == []
    return derive(trusted, language)


def lost(profile: Profile, texts: list[str]) -> float:
    """Return the share of the texts that a profile rejects."""
    rules = QualityRules(profile)
    return sum(rules.judge(normalise(text), segment(normalise(text))) is not None for text in texts) / len(texts)


def texts_of(records: Records) -> list[str]:
    return [record["text"] for record in records]


@pytest.fixture(scope="module")
def whole() -> DerivedProfile:
    return derived(documents(1200, seed=1))


@pytest.fixture(scope="module")
def profile(whole: DerivedProfile) -> Profile:
    return parse_profile(whole.toml.encode(), "derived")


def test_it_keeps_documents_that_it_has_not_seen(profile: Profile) -> None:
    assert lost(profile, texts_of(documents(500, seed=2))) <= 0.03


def test_it_rejects_what_is_none(profile: Profile) -> None:
    draw = random.Random(5)
    good = texts_of(documents(100, seed=3))
    other = ["The gulls sleep on warm roofs while a keeper counts lamps. " * 3 + str(n) for n in range(50)]
    letters = ["".join(draw.sample(text, len(text))) for text in good]
    backwards = ["\n".join(line[::-1] for line in text.split("\n")) for text in good]
    repeated = [text.split("\n")[0] + "\n" + "\n".join([text.split("\n")[2]] * 20) for text in good]
    greek = [
        text.translate(dict(zip(map(ord, "abdegiklmnoprstuz"), "αβδεγικλμνοπρστυζ", strict=True))) for text in good
    ]
    numbers = ["\n".join(" ".join(str(draw.randrange(10**6)) for _ in range(8)) for _ in range(30)) for _ in range(50)]
    for junk in (other, letters, backwards, repeated, greek, numbers):
        assert lost(profile, junk) >= 0.95, junk[0][:100]


def test_stop_words_belong_to_no_topic(profile: Profile) -> None:
    assert set(profile.stop_words) <= set(FUNCTION)
    assert list(profile.stop_words[:4]) == FUNCTION[:4]
    assert profile.minimum_stop_words == 2


def test_limits_are_what_the_documents_have_or_wider(whole: DerivedProfile, profile: Profile) -> None:
    general = load_profile("massivetext")
    assert profile.language == "qu"
    assert set(profile.alphabet) == set("".join(FUNCTION + SYLLABLES) + "xyz")
    assert profile.minimum_words and 40 <= profile.minimum_words <= 50
    assert profile.minimum_mean_word_length and profile.maximum_mean_word_length
    assert 3 < profile.minimum_mean_word_length < 5 < profile.maximum_mean_word_length < 7
    assert profile.maximum_repeated_lines == general.maximum_repeated_lines
    assert profile.maximum_repeated_ngrams and general.maximum_repeated_ngrams
    assert all(a >= b for a, b in zip(profile.maximum_repeated_ngrams, general.maximum_repeated_ngrams, strict=True))


def test_every_value_says_where_it_comes_from(whole: DerivedProfile) -> None:
    values = tomllib.loads(whole.toml)
    lines = [line for line in whole.toml.split("\n") if line and not line.startswith("#")]
    assert len(lines) == len(values) > 20
    assert all("  # " in line for line in lines)
    assert "from 1,080 of 1,200 trusted documents" in whole.toml
    assert f"Of 120 others among them it rejects {whole.rejected.total()}" in whole.toml


def test_the_same_documents_give_the_same_bytes(whole: DerivedProfile) -> None:
    assert derived(documents(1200, seed=1)).toml == whole.toml


def test_sentences_give_no_rules_about_lines_and_phrases() -> None:
    draw = random.Random(7)
    records = [{"id": str(n), "text": sentence(draw, topic("x"))} for n in range(800)]
    found = derived(records[:600])
    profile = parse_profile(found.toml.encode(), "sentences")
    assert "# No rules about lines: most documents have fewer than 3." in found.toml
    assert "# No rules about repeated phrases: most documents have fewer than 50 words." in found.toml
    assert profile.maximum_repeated_lines is None and profile.maximum_top_ngrams is None
    assert profile.minimum_words and profile.minimum_words <= 5
    assert lost(profile, [record["text"] for record in records[600:]]) <= 0.03


def test_few_documents_are_refused_or_warned_about() -> None:
    with pytest.raises(LatxaError, match="3 documents are too few") as caught:
        derived(documents(3, seed=1))
    assert "100" in caught.value.hint
    assert any("120 documents are few" in warning for warning in derived(documents(120, seed=1)).warnings())


SENTENCES = {
    "eu": "Etxe zaharra mendi ondoan dago eta bertan bizi dira nire lagunak.",
    "en": "The old house stands beside the mountain and my friends live there.",
    "es": "La casa vieja está junto a la montaña y mis amigos viven allí.",
}


def test_the_language_is_that_of_most_documents() -> None:
    records = [{"id": f"{n}", "text": f"{SENTENCES['eu']} {n}"} for n in range(150)]
    found = derived(records, None)
    assert (found.language, found.identified) == ("eu", 1)
    assert 'language = "eu"  # found in most of the documents' in found.toml
    mixed = [{"id": f"{n}", "text": f"{SENTENCES[language]} {n}"} for n in range(50) for language in SENTENCES]
    with pytest.raises(LatxaError, match="several languages") as caught:
        derived(mixed, None)
    assert "--language" in caught.value.hint
    assert any("takes only" in warning for warning in derived(mixed, "eu").warnings())
    assert "does not know it" in derived(mixed, "tlh").toml


def test_a_script_of_many_letters_has_no_alphabet() -> None:
    draw = random.Random(1)
    letters = [chr(code) for code in range(0x4E00, 0x4F00)]
    found = derived([{"id": str(n), "text": "".join(draw.choices(letters, k=200)) + "。"} for n in range(120)], "zh")
    profile = parse_profile(found.toml.encode(), "derived")
    assert "# No alphabet: there are more than 200 letters." in found.toml
    assert profile.maximum_foreign_letters is None


def test_digits_alone_have_no_stop_words() -> None:
    found = derived([{"id": str(n), "text": f"{n} {n + 1} {n + 2}"} for n in range(120)])
    assert "# No stop words" in found.toml
    assert parse_profile(found.toml.encode(), "derived").stop_words == ()


def test_the_sample_is_bounded_and_depends_on_no_order() -> None:
    records = documents(400, seed=4, paragraphs=1)
    drawn = []
    for order in (records, records[::-1]):
        trusted = TrustedSample(most=50, most_characters=3000)
        assert list(trusted.add(order)) == []
        assert trusted.read == 400
        assert trusted.characters == sum(len(entry[-1]) for entry in trusted.heap) <= 3000
        drawn.append({entry[-1] for entry in trusted.heap})
    assert drawn[0] == drawn[1]
    smallest = sorted(records, key=lambda record: keyed_hash(0, "profile", record["id"]))[: len(drawn[0])]
    assert drawn[0] == {record["text"] for record in smallest}


def test_the_command(latxa: Any, tmp_path: Path) -> None:
    source, output = tmp_path / "trusted.jsonl", tmp_path / "own.toml"
    lines = [json.dumps(record) for record in documents(200, seed=1)]
    source.write_text("\n".join(lines) + "\n")
    done = latxa("profile", source, "--language", "qu", "-o", output)
    assert (done.returncode, done.stdout) == (0, b"")
    said = done.stderr.decode()
    assert "20 documents set aside" in said and "200 documents are few" in said and "Traceback" not in said
    assert lost(load_profile(str(output)), texts_of(documents(100, seed=9))) <= 0.05
    manifest = json.loads((tmp_path / "own.toml.manifest.json").read_bytes())
    assert manifest["counts"]["in"] == 200 and manifest["inputs"][0]["path"] == str(source)

    source.write_text("\n".join([*lines, '{"id": "wordless", "text": "..."}', "broken"]) + "\n")
    done = latxa("profile", source, "-l", "qu")
    assert done.returncode == 1 and f"{source}:202".encode() in done.stderr
    rejects = tmp_path / "rejects.jsonl"
    done = latxa("profile", "-", "-q", "-l", "qu", "--rejects", rejects, stdin=source.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == output.read_bytes()
    assert sorted(json.loads(line)["reason"] for line in rejects.read_bytes().splitlines()) == ["malformed", "no words"]


@pytest.mark.parametrize(
    ("words", "stdin", "code", "message"),
    [
        ((), b"", 1, "0 documents are too few"),
        ((), b'{"text": "bat"}\n' * 5, 1, "5 documents are too few"),
        (("--language", "e u"), b"", 2, "`--language e u` is not a language code"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    latxa: Any, tmp_path: Path, words: tuple[str, ...], stdin: bytes, code: int, message: str
) -> None:
    done = latxa("profile", *words, "-o", tmp_path / "own.toml", stdin=stdin)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (code, b"")
    assert lines[-2].startswith(f"latxa: {message}") and lines[-1].startswith("hint: ")
    assert not (tmp_path / "own.toml").exists()


def test_real_documents(shared_data: Path) -> None:
    records = {
        language: [json.loads(line) for line in (shared_data / f"corpus_{language}.jsonl").read_bytes().splitlines()]
        for language in ("eu", "en", "es")
    }
    random.Random(1).shuffle(records["eu"])
    found = derived(records["eu"][:500], None)
    profile = parse_profile(found.toml.encode(), "eu")
    assert found.language == "eu"
    assert lost(profile, texts_of(records["eu"][500:])) <= 0.06
    for language, least in (("en", 0.9), ("es", 0.85)):
        assert lost(profile, texts_of(records[language])) >= least
