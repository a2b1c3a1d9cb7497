import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.text.language import HEAD_CHARACTERS, check_language, identify, known_languages

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


@pytest.mark.parametrize("text", ["", "   \n", "12345 + 678", "😀 !?", "\u0301"])
def test_text_without_letters_is_undetermined(text: str) -> None:
    assert identify(text) == ("und", 0.0)


def test_only_the_head_counts() -> None:
    head = "The old bridge over the river was built of stone by the people of the valley. " * 20
    assert identify(head + "Zubi zaharra harriz egin zuten. " * 500) == identify(head[:HEAD_CHARACTERS])


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
