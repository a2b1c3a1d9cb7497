"""The page of a poll, in a real browser: votes by keys and by taps, hostile answers, a server that is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from chromium import BROWSER, Page
from killed_server import free_port
from poll_server import MODELS, responses, serving, votes_in, write_responses

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
FILES = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl")
HOSTILE = [
    "<script>window.hit = 1</script>", "--><img src=x onerror='hit=3'>", "${window.hit = 4}", "\x00\x07\x1b[31m",
    "\u202eabc\u2066", "مرحبا <b>بالعالم</b>", "a\u2028b\u2029c", "</p></article></main>",
    "<style>*{display:none}</style>",
]  # fmt: skip
READY = "!document.getElementById('ballot').hidden"
DONE = "!document.getElementById('done').hidden"
OPEN = f"(!document.querySelector('form .main').disabled || {DONE})"
VOTES = "document.getElementById('count').textContent"
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


def tap(page: Page, selector: str) -> None:
    """Touch the middle of an element, as a finger does."""
    found = json.dumps(selector)
    page.run(f"document.querySelector({found}).scrollIntoView({{block: 'center'}})")
    box = page.run(f"document.querySelector({found}).getBoundingClientRect().toJSON()")
    point = {"x": box["left"] + box["width"] / 2, "y": box["top"] + box["height"] / 2}
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[point])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_hostile_answers_are_text_and_votes_are_cast_by_keys(tmp_path: Path, browser: Page) -> None:
    for number, model in enumerate(MODELS[:2]):
        records = responses(model, len(HOSTILE))
        for record, text in zip(records, HOSTILE, strict=True):
            record["messages"][1]["content"] += text
            record["messages"][2]["content"] += text
        tiny.write_jsonl(tmp_path / f"{number}.jsonl", records)
    with serving(tmp_path, *FILES) as served:
        browser.complaints.clear()
        browser.requests.clear()
        still = browser.call("Page.addScriptToEvaluateOnNewDocument", source="performance.now = () => 0")
        browser.open(served.address, READY)  # whoever votes here takes no time, however slow the machine is
        browser.call("Page.removeScriptToEvaluateOnNewDocument", **still)
        shown = []
        for number in range(1, len(HOSTILE) + 1):
            browser.run(DRAWN)  # then the page knows which ends are on the screen
            shown += browser.run("[...document.querySelectorAll('#ballot .text')].map((one) => one.textContent)")
            assert browser.run("document.querySelectorAll('.text *').length") == 0
            for key in ("1", "3", "Backspace", "1", "Enter"):  # the same model is better in both
                browser.key(key)
            browser.wait(f"{VOTES}.includes('{number}') && {OPEN}")
        browser.wait(DONE)
        assert browser.run("window.hit") is None
        assert browser.complaints == []
        assert all(request.startswith(served.address) for request in browser.requests)
    texts = [
        turn["content"] for n in (0, 1) for one in votes_in(tmp_path / f"{n}.jsonl") for turn in one["messages"][1:]
    ]
    assert set(shown) == set(texts)
    votes = votes_in(tmp_path / "votes.jsonl")
    assert [(vote["winner"], vote["winner_language"]) for vote in votes] == [("model_a", "model_a")] * len(HOSTILE)
    assert [vote["metadata"]["seen"] for vote in votes] == [True] * len(HOSTILE)
    assert [vote["metadata"]["suspicion"] for vote in votes] == [["fast"]] * len(HOSTILE)


def test_a_phone_votes_by_taps_after_the_licence(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path, prompts=2)
    (tmp_path / "licence.txt").write_text("Zure botoak CC0 lizentziarekin argitaratuko dira.")
    browser.look(360, 740)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    with serving(tmp_path, *FILES, "--language", "eu", "--consent", "licence.txt") as served:
        browser.complaints.clear()
        browser.open(served.address, "!document.getElementById('consent').hidden")
        assert browser.run("document.documentElement.lang") == "eu"
        assert "CC0" in browser.run("document.querySelector('#consent .text').textContent")
        tap(browser, "#agree")
        browser.wait(READY)
        assert browser.run("document.documentElement.scrollWidth") <= 360
        tap(browser, "[data-side=first] [data-reason=useful]")
        tap(browser, "[name=content][value=first]")
        assert browser.run("document.querySelector('[data-question=overall]').hidden")
        tap(browser, "[name=language][value=second]")
        tap(browser, "form .main")  # a third question is open
        browser.wait("document.querySelector('[data-question=overall]').ariaCurrent === 'step'")
        assert votes_in(tmp_path / "votes.jsonl") == []
        tap(browser, "[name=overall][value=second]")
        tap(browser, "form .main")
        browser.wait(f"{VOTES}.includes('1')")
        assert browser.complaints == []
    browser.call("Emulation.setTouchEmulationEnabled", enabled=False)
    browser.look()
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert (vote["winner"], vote["winner_content"], vote["winner_language"]) == ("model_b", "model_a", "model_b")
    assert vote["reasons"] == {"model_a": ["useful"]} and vote["metadata"]["consent"]


def test_a_vote_waits_for_a_server_that_is_away(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path, prompts=3)
    port = ("--port", str(free_port()))
    with serving(tmp_path, *FILES, *port) as served:
        browser.open(served.address, READY)
    for key in ("2", "4", "Enter"):
        browser.key(key)
    browser.wait("document.getElementById('message').textContent.includes('kept')")
    assert votes_in(tmp_path / "votes.jsonl") == []
    with serving(tmp_path, *FILES, *port, "--resume"):
        browser.run("dispatchEvent(new Event('online'))")
        browser.wait(f"{VOTES}.includes('1')")
        browser.open(served.address, READY)
        browser.wait(f"{VOTES}.includes('1')")
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert (vote["winner"], vote["winner_content"], vote["winner_language"]) == ("tie", "tie", "tie (bothbad)")
