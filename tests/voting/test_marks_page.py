"""Error mode, corrections and skipped pairs in a real browser: by taps, by selecting, by keys, from right to left."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from chromium import BROWSER, Page
from killed_server import free_port
from poll_server import MODELS, responses, serving, votes_in
from test_vote_page import OPEN, READY, VOTES, tap

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
FILES = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl", "--errors", "--corrections")
TEXT = "Zer 😀 moduz zaude,\ngaur <b>egun</b>?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, model in enumerate(MODELS[:2]):
        records = responses(model, 2)
        for record in records:
            record["messages"][2]["content"] = TEXT
        tiny.write_jsonl(tmp_path / f"{number}.jsonl", records)
    return tmp_path


def marked(page: Page, side: str = "first") -> list[str]:
    return page.run(f"[...document.querySelectorAll('#{side} [data-wrong=true]')].map((word) => word.textContent)")


def shift_key(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=8)


def vote(page: Page, folder: Path, number: int) -> dict[str, object]:
    """Cast the vote, and return it as it was stored."""
    page.run("document.activeElement.blur()")
    page.key("Enter")
    page.wait(f"{VOTES}.includes('{number}') && {OPEN}")
    return votes_in(folder / "votes.jsonl")[-1]


def test_words_are_marked_by_taps_and_the_text_stays_as_it_is(folder: Path, browser: Page) -> None:
    browser.look(360, 740)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    with serving(folder, *FILES) as served:
        browser.complaints.clear()
        browser.open(served.address, READY)
        assert browser.run("document.querySelector('#first .text').textContent") == TEXT
        assert browser.run("document.documentElement.scrollWidth") <= 360
        for place in (2, 3, 5):
            tap(browser, f"#first .word:nth-of-type({place})")
        tap(browser, "#first .word:nth-of-type(5)")  # again: not wrong
        tap(browser, "#second .word:nth-of-type(1)")
        assert marked(browser) == ["😀", "moduz"] and marked(browser, "second") == ["Zer"]
        assert browser.run("document.querySelector('.marked').textContent").endswith("2")
        browser.key("1")
        browser.key("1")
        stored = vote(browser, folder, 1)
        assert browser.complaints == []
    browser.call("Emulation.setTouchEmulationEnabled", enabled=False)
    browser.look()
    assert stored["errors"] == {
        "model_a": [{"turn": 2, "start": 4, "end": 11, "text": "😀 moduz"}],
        "model_b": [{"turn": 2, "start": 0, "end": 3, "text": "Zer"}],
    }
    assert stored["errors_per_100_words"] == {"model_a": 33.33, "model_b": 16.67}


def test_words_are_marked_by_keys(folder: Path, browser: Page) -> None:
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        for key in ("e", "ArrowRight", " ", "End"):
            browser.key(key)
        shift_key(browser, "ArrowLeft")
        assert marked(browser) == ["😀", "gaur", "<b>egun</b>?"]
        assert browser.run("document.activeElement.textContent") == "gaur"
        assert browser.run("document.activeElement.ariaPressed") == "true"
        assert browser.run("document.querySelectorAll('#first [role=button]').length") == 3
        for key in ("e", " ", "1", "2"):  # now the other answer; then the vote goes on
            browser.key(key)
        assert marked(browser, "second") == ["Zer"]
        stored = vote(browser, folder, 1)
        assert marked(browser) == marked(browser, "second") == []  # of the next pair
    assert [span["text"] for span in stored["errors"]["model_a"]] == ["😀", "gaur <b>egun</b>?"]  # type: ignore[index]


def test_words_are_marked_by_selecting(folder: Path, browser: Page) -> None:
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        boxes = [
            browser.run(f"document.querySelector('#first .word:nth-of-type({n})').getBoundingClientRect().toJSON()")
            for n in (1, 3)
        ]
        (start, end) = [{"x": box["left"] + 2, "y": box["top"] + box["height"] / 2} for box in boxes]
        press = {"button": "left", "clickCount": 1}
        browser.call("Input.dispatchMouseEvent", type="mousePressed", **start, **press)
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", **(end | {"x": end["x"] + 8}), button="left")
        browser.call("Input.dispatchMouseEvent", type="mouseReleased", **(end | {"x": end["x"] + 8}), **press)
        assert marked(browser) == ["Zer", "😀", "moduz"]


def test_arrows_move_as_the_text_runs(folder: Path, browser: Page) -> None:
    for number, model in enumerate(MODELS[:2]):
        records = responses(model, 1)
        records[0]["messages"][2]["content"] = "مرحبا بالعالم اليوم"
        tiny.write_jsonl(folder / f"{number}.jsonl", records)
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        for key in ("e", "ArrowLeft", " "):
            browser.key(key)
        assert marked(browser) == ["بالعالم"]


def test_the_better_answer_is_corrected(folder: Path, browser: Page) -> None:
    hidden = "document.getElementById('correction').hidden"
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        assert browser.run(hidden)
        for key in ("2", "3"):
            browser.key(key)
        assert not browser.run(hidden)
        browser.key("c")
        assert browser.run("document.activeElement.id") == "corrected"
        assert browser.run("document.activeElement.value") == TEXT
        browser.call("Input.insertText", text="Zer moduz 1 2 zaude gaur?")
        browser.key("3")  # in the text, keys are letters
        browser.key("Escape")
        browser.run("document.querySelector('[name=content][value=first]').click()")  # now they contradict each other
        browser.run("document.querySelector('[name=overall][value=first]').click()")
        assert browser.run("document.getElementById('corrected').value") == TEXT
        browser.run("document.querySelector('[name=overall][value=second]').click()")
        assert browser.run("document.getElementById('corrected').value").endswith("3")  # what was written is kept
        stored = vote(browser, folder, 1)
        for key in ("1", "1"):
            browser.key(key)
        assert "correction" not in vote(browser, folder, 2)  # nothing was written
    assert stored["winner"] == "model_b" and stored["correction"]["side"] == "model_b"  # type: ignore[index]
    assert "1 2 zaude gaur?" in stored["correction"]["content"]  # type: ignore[index]


def test_half_a_character_costs_no_vote(folder: Path, browser: Page) -> None:
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        for key in ("1", "1", "c"):
            browser.key(key)
        browser.run("document.getElementById('corrected').value = 'Zer \\ud83d'")
        assert vote(browser, folder, 1)["correction"]["content"] == "Zer \ufffd"  # type: ignore[index]


def test_a_vote_cast_before_there_was_a_text_to_accept_waits_for_it(folder: Path, browser: Page) -> None:
    port = ("--port", str(free_port()))
    with serving(folder, *FILES, *port) as served:
        browser.open(served.address, READY)
    (folder / "licence.txt").write_text("CC0")
    with serving(folder, *FILES, *port, "--resume", "--consent", "licence.txt"):
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait("document.getElementById('consent')?.hidden === false")  # the page was loaded again
        assert votes_in(folder / "votes.jsonl") == []
        browser.run("document.getElementById('agree').click()")
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
    assert len(votes_in(folder / "votes.jsonl")) == 1


def test_a_pair_is_skipped_by_a_key(folder: Path, browser: Page) -> None:
    with serving(folder, *FILES) as served:
        browser.open(served.address, READY)
        shown = browser.run("document.querySelector('#prompt').textContent")
        browser.key("0")
        browser.wait(f"document.querySelector('#prompt').textContent !== '{shown}' && {OPEN}")
        assert browser.run(VOTES).endswith("0")
    (stored,) = votes_in(folder / "votes.jsonl")
    assert stored["skipped"] is True


def test_without_the_modes_the_page_is_plain(folder: Path, browser: Page) -> None:
    with serving(folder, *FILES[:4]) as served:
        browser.open(served.address, READY)
        for key in ("e", "1", "1", "c"):
            browser.key(key)
        assert browser.run("document.querySelectorAll('.text *').length") == 0
        assert browser.run("document.getElementById('correction').hidden && document.getElementById('marks').hidden")
        assert not {"errors", "correction"} & vote(browser, folder, 1).keys()
