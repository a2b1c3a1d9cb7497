"""The figures of quality against a second implementation in plain Python, and the rules that stand on them."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.corpus.profile import Profile
from latxa_cli.corpus.quality import Figures, foreign_letters, letter_table, measure
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

RULES = ".-|/\\^~@•"
SPACES = re.compile("[\\s\u200b]+")
Token = tuple[str, int, bool, object]  # as it stands, its length, whether it is a word, what it is known by


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text by the words of `segment` and a search in each piece between spaces."""
    found = segment(text)
    starts, ends = found.starts.tolist(), found.ends.tolist()
    made: list[Token] = []
    spans = [match.span() for match in re.finditer("[^\\s\u200b]+", text)]
    for start, end in spans:
        inside = [pair for pair in zip(starts, ends, strict=True) if start <= pair[0] < end]
        made += _of_chunk(text, start, end, inside)
    return made


def _of_chunk(text: str, start: int, end: int, inside: list[tuple[int, int]]) -> list[Token]:
    made: list[Token] = []
    groups: list[list[tuple[int, int]]] = []  # words that signs join
    for pair in inside:
        if groups and _joined(text, groups[-1][-1][1], pair[0]):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    position = start
    for group in [*groups, None]:
        first, last = (group[0][0], group[-1][1]) if group else (end, end)
        signs = re.findall(f"[{re.escape(RULES)}]+|.", text[position:first], re.DOTALL)
        leads = ""
        glued = signs and signs[-1][-1] in RULES.replace(".", "")
        if group and glued and not (made and made[-1][2] and len(signs) == 1 and position > start):
            leads = signs.pop()
        made += [(sign, len(sign), False, sign) for sign in signs]
        if group:
            whole = leads + text[first:last]
            known = _folded(whole)
            pieces = re.findall("[^'’]*['’]|[^'’]+", whole)
            made += [(piece, len(piece), True, (known, place)) for place, piece in enumerate(pieces)]
        position = last
    return made


def _folded(word: str) -> str:
    return word.casefold().replace("’", "'")


def _joined(text: str, end: int, start: int) -> bool:
    signs, before, after = text[end:start], text[end - 1], text[start]
    if not signs or not signs.isascii() or not signs.isprintable():
        return False
    if len(signs) > 1:
        return signs[0] != signs[-1] or signs[0] not in ".-"
    if signs == "-":
        return not after.isalpha() and (before.isalpha() or after.isalpha())
    if signs == ",":
        return not (before.isalpha() and after.isalpha())
    if signs == ".":
        return not (before.isalpha() and not before.isupper() and after.isupper())
    return not (after.isalpha() and signs in "~:<>=/")


def reference(text: str) -> Figures:
    """Return the figures as the definitions say, in plain Python."""
    made = tokens(text)
    lengths = [length for _, length, is_word, _ in made if is_word]
    alphabetic = sum(any(map(str.isalpha, token)) for token, _, is_word, _ in made if is_word)
    words, count = max(len(lengths), 1), max(len(made), 1)
    signs = (text.count("#"), text.count("…") + text.count("..."), text.count("\n"))
    lines = [line for line in text.split("\n") if SPACES.sub("", line)]
    return Figures(
        len(lengths), sum(lengths) / words, median(lengths or [0]), alphabetic / words, alphabetic / count,
        *[sign / count for sign in signs], *_of_lines(text, lines), *_of_ngrams(text, made),
    )  # fmt: skip


def _of_lines(text: str, lines: list[str]) -> list[float]:
    repeated = [line for place, line in enumerate(lines) if line in lines[:place]]
    stripped = [re.sub("^[\\s\u200b]+|[\\s\u200b]+$", "", line) for line in lines]
    of, characters = max(len(lines), 1), max(len(text.replace("\n", "")), 1)
    return [
        len(lines),
        len(repeated) / of,
        sum(map(len, repeated)) / characters,
        sum(line[-1] in ".?!。" for line in stripped) / of,
        sum(len(line) <= 30 for line in lines) / of,
        sum(line[0] in "•-*" for line in stripped) / of,
        sum(line.endswith(("…", "...")) for line in stripped) / of,
    ]


def _of_ngrams(text: str, made: list[Token]) -> list[float]:
    found = segment(text)
    if len(found) and 2 * sum(found.starts[1:] == found.ends[:-1]) >= len(found):
        return [0.0] * 9
    figures = []
    for n in (2, 3, 4):
        grams = Counter(tuple(known for *_, known in made[i : i + n]) for i in range(len(made) - n + 1))
        first = {tuple(known for *_, known in made[i : i + n]): i for i in reversed(range(len(made) - n + 1))}
        top = max(grams, key=lambda gram: (grams[gram], -first[gram]), default=None)
        length = sum(length for _, length, *_ in made[first[top] : first[top] + n]) + n - 1 if top else 0
        figures.append(length * grams[top] / len(text) if top else 0.0)
    for n in (5, 6, 7, 8, 9, 10):
        seen, place, repeated = set(), 0, 0
        while place + n <= len(made):
            gram = tuple(known for *_, known in made[place : place + n])
            repeated += sum(length for _, length, *_ in made[place : place + n]) if gram in seen else 0
            place += n if gram in seen else 1
            seen.add(gram)
        figures.append(repeated / max(len(text), 1))
    return figures


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
    assert [token for token, *_ in tokens(text)] == expected


def agree(text: str) -> None:
    assert measure(text)._asdict() == pytest.approx(reference(text)._asdict(), abs=1e-12)


@settings(deadline=None)  # the first example waits for compiled code
@given(st.text("aaabBé1 2.,-_'’·/:=@#…\n\n(•|*!?漢字中", max_size=120))
def test_both_implementations_agree(text: str) -> None:
    agree(text)


@settings(deadline=None)
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
    assert measure("hitz hau " * 50).repeated_10grams > 0.5


@pytest.mark.parametrize("text", ["", " \n ", "…", "\ud800", "\x00", "#" * 100, "- \n- \n"])
def test_text_without_words_has_figures(text: str) -> None:
    assert all(figure >= 0 for figure in measure(text))
    assert Profile().judge(text, segment(text)) == ("no words", "")


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
    assert Profile(**limits).judge(text, segment(text)) == fault
    assert Profile().judge(text, segment(text)) is None
    alphabet = {"alphabet": "abcdefghijklmnopqrstuvwxyz"} if "alphabet" in limits else {}
    if "maximum_words" not in limits:
        assert Profile(**limits | alphabet).judge(GOOD, segment(GOOD)) is None


def test_a_limit_is_kept_by_what_reaches_it() -> None:
    limits = Profile(minimum_words=3, maximum_words=3, maximum_repeated_lines=0.5)
    assert limits.judge("bat\nbat\nbi\nbi", segment("bat bi bi")) is None
    assert limits.judge("bat bi hiru", segment("bat bi hiru")) is None


def test_a_detail_tells_value_and_limit_apart() -> None:
    text = "bat\n" * 2982 + "\n".join(map(str, range(7021)))
    fault = Profile(maximum_repeated_lines=0.298).judge(text, segment(text))
    assert fault == ("repeated lines", "0.29801 > 0.298")


def test_stop_words_count_once_each_whatever_their_case() -> None:
    profile = Profile(stop_words=("eta", "da", "l'home"), minimum_stop_words=2)
    assert profile.judge("ETA Da", segment("ETA Da")) is None
    assert profile.judge("eta L’Home", segment("eta L’Home")) is None
    assert profile.judge("eta eta eta", segment("eta eta eta")) == ("few stop words", "1 < 2")
