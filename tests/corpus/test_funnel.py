"""The funnel adds up, and the data card shows it."""

from __future__ import annotations

from latxa_cli.corpus.funnel import Funnel, Losses


def funnel() -> Funnel:
    made = Funnel({"wiki": Losses(), "web": Losses()}, frozenset({"normalise", "language", "exact", "split"}))
    wiki, web = made.sources["wiki"], made.sources["web"]
    wiki.read = [10, 1000, 6000]
    wiki.lose("exact", [1, 100, 600])
    wiki.lose("language", [2, 300, 1800])
    wiki.lose("exact", [1, 100, 600])
    wiki.licences["CC0"] += 6
    wiki.splits["train"] += 6
    wiki.reasons["wrong|language"] += 2
    web.read = [5, 50, 300]
    return made


def test_each_step_shows_what_it_left_in_their_order() -> None:
    steps = funnel().as_dict()["wiki"]
    assert list(steps) == ["read", "normalise", "language", "exact"]
    assert [step["documents"] for step in steps.values()] == [10, 10, 8, 6]
    assert steps["exact"] == {"documents": 6, "words": 500, "bytes": 3000, "tokens": 1000}


def test_tokens_follow_the_measure() -> None:
    made = funnel()
    made.bytes_per_token = 6.0
    assert made.as_dict()["wiki"]["read"]["tokens"] == 1000


def test_people_see_a_line_for_each_source_and_step() -> None:
    lines = funnel().lines()
    assert len(lines) == 1 + 2 * 4
    assert lines[4].split() == ["wiki", "exact", "6", "500", "3,000", "1,000"]


def test_the_card_is_markdown_with_the_sum_of_all() -> None:
    card = funnel().card("Corpus", {"language": "cy"})
    assert card.startswith("# Corpus\n")
    assert "| wiki | 6 | 500 | 3,000 | 1,000 | CC0: 6 | train: 6 |" in card
    assert "| all sources | 11 | 550 | 3,300 | 1,100 | CC0: 6 | train: 6 |" in card
    assert r"wrong\|language" in card
