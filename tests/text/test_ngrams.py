import pickle
import random
from collections import Counter

import pytest

from latxa_cli.text.ngrams import LENGTH, SHORTEST, NgramIndex
from latxa_cli.text.words import segment


def brute(items: list[tuple[str, str]], text: str, length: int) -> dict[str, int]:
    """Shared n-grams by sets of tuples of words."""

    def grams(words: list[str], size: int) -> set[tuple[str, ...]]:
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    in_text = set().union(*(grams(text.split(), size) for size in range(1, length + 1)))
    of_item: dict[str, set[tuple[str, ...]]] = {}
    for key, item in items:
        size = min(length, len(item.split()))
        if size >= min(SHORTEST, length):
            of_item.setdefault(key, set()).update(grams(item.split(), size))
    return {key: len(mine & in_text) for key, mine in of_item.items() if mine & in_text}


@pytest.mark.parametrize("seed", range(8))
def test_against_sets_of_tuples(seed: int) -> None:
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(draw.choice([2, 3, 200]))]
    length = draw.choice([4, 9, LENGTH])

    def some(most: int) -> str:
        return " ".join(draw.choices(vocabulary, k=draw.randint(0, most)))

    items = [(f"item {draw.randint(0, 30)}", some(40)) for _ in range(40)]
    index = NgramIndex(items, length)
    assert index.skipped == sum(len(text.split()) < min(SHORTEST, length) for _, text in items)
    for _ in range(20):
        text = some(60) + " " + draw.choice(items)[1] + " " + some(60)
        assert dict(index.find(segment(text))) == brute(items, text, length)


ITEM = "Zein da herriko zubirik zaharrena, eta nork egin zuen harrizko arku handi hori bertan?"  # 14 words


def test_a_leak_is_found_whatever_its_case_and_punctuation() -> None:
    index = NgramIndex([("q/1", ITEM), ("q/2", "Beste galdera bat: " + ITEM), ("q/3", "Ez da inon ageri " * 5)])
    text = "Ikasleei galdetu zieten: «ZEIN da herriko zubirik zaharrena eta\nnork egin zuen harrizko arku handi hori» —"
    assert index.find(segment(text)) == [("q/1", 1), ("q/2", 1)]
    assert index.find(segment(text.replace("arku", "zubi"))) == []
    assert index.find(segment(ITEM)) == [("q/1", 2), ("q/2", 2)]
    assert index.find(segment("Beste galdera bat: " + ITEM)) == [("q/2", 5), ("q/1", 2)], "most first"


def test_short_items() -> None:
    short = "bat bi hiru lau bost sei zazpi"
    index = NgramIndex([("seven", short), ("eight", short + " zortzi"), ("none", "")])
    assert index.skipped == 2
    assert index.find(segment(f"zero {short} zortzi bederatzi")) == [("eight", 1)]
    assert index.find(segment(short)) == []


NAME = "中华人民共和国全国人民代表大会"  # 15 letters, as long as 7 words
CHINESE = "村里最古老的桥是哪一座，是谁用石头建造了那座跨过小河的大拱桥？"  # 29 letters


def test_letters_are_no_words() -> None:
    index = NgramIndex(
        [("q/1", f"{NAME}每届任期几年？A 三年 B 五年"), ("q/2", NAME), ("q/3", CHINESE), ("q/4", CHINESE[:18])]
    )
    assert index.skipped == 1
    assert index.find(segment(f"昨天新闻里说，{NAME}的代表来到我们县里。")) == []
    assert index.find(segment(f"老师问：「{CHINESE[:27]}」")) == [("q/3", 1), ("q/4", 1)]
    assert index.find(segment(f"老师问：「{CHINESE[:26]}」")) == [("q/4", 1)]
    assert index.find(segment(CHINESE)) == [("q/3", 4), ("q/4", 1)]


def test_a_text_in_two_scripts() -> None:
    item = "请问下面的程序 prints what when it runs on a machine with little memory 为什么"
    index = NgramIndex([("q", item)])
    assert index.find(segment(f"网上有人问：{item}？")) and not index.find(
        segment("It runs on a machine with little memory")
    )


def test_texts_under_one_key_are_one_item() -> None:
    index = NgramIndex([("q", ITEM), ("q", ITEM), ("q", "Bestelakoa da " + ITEM)])
    assert index.find(segment(ITEM)) == [("q", 2)]


@pytest.mark.parametrize("items", [[], [("short", "bat bi")]])
def test_an_empty_index_finds_nothing(items: list[tuple[str, str]]) -> None:
    assert NgramIndex(items).find(segment(ITEM)) == []


def test_items_are_taken_in_clean_form() -> None:
    assert NgramIndex([("q", ITEM.replace("ñ", "n\u0303").replace(" ", "\u00a0"))]).find(segment(ITEM)) == [("q", 2)]


def test_it_can_be_pickled() -> None:
    index = NgramIndex([("q/1", ITEM), ("q/2", "bat bi hiru lau bost sei zazpi zortzi")])
    again = pickle.loads(pickle.dumps(index))
    assert again.find(segment(ITEM)) == index.find(segment(ITEM)) == [("q/1", 2)]


def test_what_repeats_itself_takes_no_time() -> None:
    """Compared pair by pair, this would take 10^11 steps."""
    loop = "bat bi hiru lau bost sei zazpi zortzi bederatzi hamar hamaika hamabi hamahiru "
    index = NgramIndex([(f"q/{number}", loop * 20) for number in range(1000)])
    found = index.find(segment(loop * 30_000))
    assert Counter(number for _, number in found) == {13: 1000}
    assert [key for key, _ in found] == [f"q/{number}" for number in range(1000)]
