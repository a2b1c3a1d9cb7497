"""The figures of quality against a second implementation in plain Python, and the rules that stand on them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.corpus.profile import Profile
from latxa_cli.corpus.quality import Figures, foreign_letters, letter_classes, letter_table, measure
from latxa_cli.corpus.rules import QualityRules
from latxa_cli.native.plain import figures as plain_figures
from latxa_cli.native.plain import tokens as plain_tokens
from latxa_cli.text.fences import prose
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment, words


def tokens(text: str) -> list[str]:
    """Return the tokens of a text as the plain twin finds them."""
    found = segment(text)
    spans = list(zip(found.starts.tolist(), found.ends.tolist(), strict=True))
    return [token.text for token in plain_tokens.tokens(text, spans, letter_classes())]


def reference(text: str) -> Figures:
    """Return the figures as the definitions say, in plain Python."""
    if (written := prose(text)) != text:
        return _reference(written)._replace(words=_reference(text).words)
    return _reference(text)


def _reference(text: str) -> Figures:
    found = segment(text)
    tokens, of_words, of_lines, of_ngrams = plain_figures.measure(
        found.codepoints, found.starts, found.ends, found.hashes, letter_classes()
    )
    signs = (text.count("#"), text.count("…") + text.count("..."), text.count("\n"))
    figures = Figures(*of_words, *[sign / max(tokens, 1) for sign in signs], *of_lines, *of_ngrams)
    alone = sum("一" <= word[0] <= "鿿" for word in words(text))
    if not alone:
        return figures
    scale = 1 - alone / 2 / len(found)  # two letters count as one word
    of = (tokens - figures.words * (1 - scale)) / tokens
    return figures._replace(
        words=figures.words * scale,
        mean_word_length=figures.mean_word_length / scale,
        median_word_length=figures.median_word_length / scale,
        alphabetic_tokens=1 - (1 - figures.alphabetic_tokens) / of,
        hash_signs=figures.hash_signs / of,
        ellipses=figures.ellipses / of,
        line_breaks=figures.line_breaks / of,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kaixo, mundua!", ["Kaixo", ",", "mundua", "!"]),
        ("3,5 10.000 12:30 1/2 2020-01-02", ["3,5", "10.000", "12:30", "1/2", "2020", "-", "01", "-", "02"]),
        ("bi-hiru a/b a,b", ["bi", "-", "hiru", "a", "/", "b", "a", ",", "b"]),
        ("Covid-19 ona.Beste", ["Covid-19", "ona", ".", "Beste"]),
        ("x@y.eus foo_bar.py a…b c--d", ["x@y.eus", "foo_bar.py", "a", "…", "b", "c", "--", "d"]),
        ("--help ls -l /etc ./x", ["--help", "ls", "-l", "/etc", "./x"]),
        ("|---|---| ... ** == (bat)", ["|---|---|", "...", "*", "*", "=", "=", "(", "bat", ")"]),
        ("l'aigua d’en l·l", ["l'", "aigua", "d’", "en", "l·l"]),
        ("", []),
    ],
)  # fmt: skip
def test_what_the_second_implementation_takes_for_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def agree(text: str) -> None:
    assert measure(text)._asdict() == pytest.approx(reference(text)._asdict(), abs=1e-12)


@given(st.text("aaabBé1 2.,-_'’·/:=@#…\n\n(•|*!?漢字中", max_size=120))
def test_both_implementations_agree(text: str) -> None:
    agree(text)


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_both_agree_on_what_is_repeated(seed: int, kinds: int) -> None:
    draw = random.Random(seed)
    words = ["bat", "bi,", "hiru.", "lau\n", "bost", "Sei"][: kinds + 2]
    agree(" ".join(draw.choices(words, k=draw.randint(0, 120))))


@pytest.mark.parametrize("language", ["eu", "en", "es"])
def test_both_agree_on_real_documents(shared_data: Path, language: str) -> None:
    lines = (shared_data / f"corpus_{language}.jsonl").read_bytes().splitlines()
    for line in lines[::20]:
        agree(normalise(json.loads(line)["text"])[:4000])


def test_figures_by_hand() -> None:
    lines = measure("ab cd.\n- ef\nab cd.\n\ngh…")
    assert lines.lines == 4
    assert lines.repeated_lines == 1 / 4
    assert lines.repeated_line_characters == 6 / 19
    assert lines.sentence_ends == 2 / 4
    assert (lines.bullet_lines, lines.ellipsis_lines, lines.short_lines) == (1 / 4, 1 / 4, 1)
    assert lines.line_breaks == 4 / 10  # ab cd . - ef ab cd . gh …
    words = measure("bi lauak 33 12345678")
    assert words[:4] == (4, 17 / 4, 3.5, 2 / 4)
    pairs = measure("ab cd ab cd ef")
    assert pairs.top_2grams == 2 * 5 / 14
    phrase = measure("a b c d e " * 2)
    assert phrase.repeated_5grams == 5 / 20
    assert phrase.repeated_6grams == 0


def test_case_and_apostrophes_do_not_hide_repetition() -> None:
    assert measure("L'home nou d'avui mateix. L’HOME NOU d'avui mateix.").repeated_7grams > 0.4


def test_ngrams_of_letters_say_nothing() -> None:
    assert measure("漢字" * 50)[-9:] == (0.0,) * 9
    assert measure("漢字ab " * 50).words == 100
    assert measure("hitz hau " * 50).repeated_10grams > 0.5


@pytest.mark.parametrize("text", ["", " \n ", "…", "\ud800", "\x00", "#" * 100, "- \n- \n"])
def test_text_without_words_has_figures(text: str) -> None:
    assert all(figure >= 0 for figure in measure(text))
    assert QualityRules(Profile()).judge(text, segment(text)) == ("no words", "")


def test_a_very_long_text_of_one_word_is_measured() -> None:
    assert measure("bai " * 200_000).repeated_10grams > 0.7
    assert measure("\n".join(map(str, range(100_000)))).repeated_lines == 0


def test_foreign_letters() -> None:
    table = letter_table("abcñ")
    assert foreign_letters(segment("ABC cba Ñ 123 !"), table) == 0
    assert foreign_letters(segment("abc xyz"), table) == 0.5
    assert foreign_letters(segment("123"), table) == 0
    assert foreign_letters(segment("\U00020000a"), table) == 0.5


GOOD = "Etxe zaharra mendi ondoan dago, eta han bizi dira. Gaur goizean euria ari zuen; bihar eguzkia aterako da."


@pytest.mark.parametrize(
    ("limits", "text", "fault"),
    [
        ({"minimum_words": 4}, "hiru hitz baino", ("too short", "3 < 4")),
        ({"maximum_words": 2}, "hiru hitz baino", ("too long", "3 > 2")),
        ({"minimum_mean_word_length": 3}, "a b c d", ("short words", "1 < 3")),
        ({"maximum_mean_word_length": 10}, "hitzluzeagoa " * 3, ("long words", "12 > 10")),
        ({"minimum_median_word_length": 3}, "a b c luzeena", ("short words", "1 < 3")),
        ({"maximum_median_word_length": 10}, "a hitzluzeagoa hitzluzeagoa", ("long words", "12 > 10")),
        ({"minimum_alphabetic_words": 0.8}, "bat 2 3 lau", ("few alphabetic words", "0.5 < 0.8")),
        ({"minimum_alphabetic_tokens": 0.8}, "bat, bi, hiru", ("few alphabetic words", "0.6 < 0.8")),
        ({"maximum_hash_signs": 0.1}, "# bat", ("many hash signs", "0.5 > 0.1")),
        ({"maximum_ellipses": 0.1}, "bai… ez...", ("many ellipses", "0.5 > 0.1")),
        ({"reject_lorem_ipsum": True}, "Hau Lorem Ipsum da", ("lorem ipsum", "")),
        ({"maximum_line_breaks": 0.25}, "bat\nbi\nhiru", ("many line breaks", "0.667 > 0.25")),
        ({"maximum_repeated_lines": 0.3}, "bat\nbat", ("repeated lines", "0.5 > 0.3")),
        ({"maximum_repeated_line_characters": 0.1}, "bat\nbat", ("repeated lines", "0.5 > 0.1")),
        ({"minimum_sentence_ends": 0.2}, "bat\nbi\nhiru", ("few sentence ends", "0 < 0.2")),
        ({"maximum_short_lines": 0.5}, "bat\nbi", ("short lines", "1 > 0.5")),
        ({"maximum_bullet_lines": 0.9}, "- bat\n• bi\n  * hiru", ("bullet lines", "1 > 0.9")),
        ({"maximum_ellipsis_lines": 0.3}, "bat...\nbi", ("cut-off lines", "0.5 > 0.3")),
        ({"maximum_top_ngrams": (0.5, 0.9, 0.9)}, "ab cd ab cd", ("frequent phrase", "2 words, 0.909 > 0.5")),
        ({"maximum_repeated_ngrams": (0.2,) * 6}, "a b c d e " * 2, ("repeated phrases", "5 words, 0.263 > 0.2")),
        ({"stop_words": ("eta", "da"), "minimum_stop_words": 2}, "Eta eta", ("few stop words", "1 < 2")),
        ({"alphabet": "abc", "maximum_foreign_letters": 0.1}, "abc где", ("foreign letters", "0.5 > 0.1")),
    ],
)
def test_each_rule_rejects_for_its_reason(limits: dict, text: str, fault: tuple[str, str]) -> None:
    text = normalise(text)
    assert QualityRules(Profile(**limits)).judge(text, segment(text)) == fault
    assert QualityRules(Profile()).judge(text, segment(text)) is None
    alphabet = {"alphabet": "abcdefghijklmnopqrstuvwxyz"} if "alphabet" in limits else {}
    if "maximum_words" not in limits:
        assert QualityRules(Profile(**limits | alphabet)).judge(GOOD, segment(GOOD)) is None


def test_a_limit_is_kept_by_what_reaches_it() -> None:
    limits = Profile(minimum_words=3, maximum_words=3, maximum_repeated_lines=0.5)
    assert QualityRules(limits).judge("bat\nbat\nbi\nbi", segment("bat bi bi")) is None
    assert QualityRules(limits).judge("bat bi hiru", segment("bat bi hiru")) is None


def test_a_detail_tells_value_and_limit_apart() -> None:
    text = "bat\n" * 2982 + "\n".join(map(str, range(7021)))
    fault = QualityRules(Profile(maximum_repeated_lines=0.298)).judge(text, segment(text))
    assert fault == ("repeated lines", "0.29801 > 0.298")


def test_stop_words_count_once_each_whatever_their_case() -> None:
    profile = Profile(stop_words=("eta", "da", "l'home"), minimum_stop_words=2)
    assert QualityRules(profile).judge("ETA Da", segment("ETA Da")) is None
    assert QualityRules(profile).judge("eta L’Home", segment("eta L’Home")) is None
    assert QualityRules(profile).judge("eta eta eta", segment("eta eta eta")) == ("few stop words", "1 < 2")


CODE = "```yaml\n# a\n- b: 1\n- b: 1\n- где: {}\n```"


def test_code_in_fences_counts_by_its_words_alone() -> None:
    text = f"{GOOD}\n{CODE}\n{GOOD[::-1]}"
    figures, without = measure(text), measure(f"{GOOD}\n{GOOD[::-1]}")
    assert figures[1:] == without[1:]
    assert figures.words == without.words + 7  # yaml, a, b, 1, b, 1, где
    strict = Profile(maximum_bullet_lines=0.1, maximum_line_breaks=0.05, alphabet="abcdefghijklmnopqrstuvwxyz",
                     maximum_foreign_letters=0.0, maximum_hash_signs=0.0)  # fmt: skip
    assert QualityRules(strict).judge(text, segment(text)) is None
    bare = text.replace("```", "")
    assert QualityRules(strict).judge(bare, segment(bare)) is not None


def test_a_text_of_code_alone_is_judged_by_it() -> None:
    assert measure(CODE).bullet_lines == 3 / 6


def test_letters_of_scripts_without_spaces_count_as_parts_of_words() -> None:
    chinese, thai = measure("我很好，谢谢你！\n他也很好。"), measure("มานี มีนา")
    assert (chinese.words, chinese.mean_word_length, chinese.alphabetic_tokens) == (5, 2, 5 / 8)
    assert chinese.line_breaks == 1 / 8
    assert (thai.words, thai.alphabetic_tokens) == (6 / 4, 1)
    text = "我们在学校里学习中文。" * 9  # 90 letters
    assert QualityRules(Profile(minimum_words=50)).judge(text, segment(text)) == ("too short", "45 < 50")
    assert QualityRules(Profile(minimum_words=45, minimum_mean_word_length=2)).judge(text, segment(text)) is None
