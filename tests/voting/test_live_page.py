"""The page of a live poll, in a real browser: conversations, models that die, a page that is loaded again, two tabs."""

from __future__ import annotations

from pathlib import Path

import openai_server
import pytest
from chromium import BROWSER, Page
from model_servers import ModelServer
from poll_server import MODELS, votes_in
from test_live import HOSTILE, polling

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
EMPTY = "!document.getElementById('talk').hidden && document.getElementById('ballot').hidden"
TOLD = "document.getElementById('message').textContent"
DRAFT = "document.getElementById('draft').value"
VOTES = "document.getElementById('count').textContent"


def texts(page: Page, side: str) -> list[str]:
    found: list[str] = page.run(f"[...document.querySelectorAll('#{side} .text')].map((one) => one.textContent)")
    return found


def say(page: Page, text: str) -> None:
    """Type a message, and send it by keys."""
    page.run("document.getElementById('draft').focus()")
    page.call("Input.insertText", text=text)
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", modifiers=2)


def shows(turns: int) -> str:
    """Return the condition that a page shows so many answers of a model."""
    role = "document.querySelectorAll('#first .text').length"
    return f"!document.getElementById('ballot').hidden && {role} === {2 * turns - 1} && {TOLD} === ''"


def test_a_conversation_in_the_browser(tmp_path: Path, browser: Page) -> None:
    """With a page that is loaded again, and a model that dies in the middle."""
    servers = [
        ModelServer(name, lambda messages, number=number: f"{number}{len(messages)} {HOSTILE}")
        for number, name in enumerate(MODELS[:2])
    ]
    with polling(tmp_path, *servers, words=("--language", "eu", "--turns", "3")) as served:
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(served.address, EMPTY)
        assert browser.run("document.activeElement.id") == "draft"
        say(browser, "1234 <b>Kaixo</b>")  # keys of verdicts, but in a field
        browser.wait(f"{TOLD}.includes('Bi ereduak')")  # no answer before both are there
        browser.wait(shows(1))
        assert browser.run("document.querySelectorAll('input:checked').length") == 0 and browser.run(DRAFT) == ""
        assert texts(browser, "prompt") == ["1234 <b>Kaixo</b>"]
        assert sorted(texts(browser, "first") + texts(browser, "second")) == [f"{n}1 {HOSTILE}" for n in (0, 1)]
        browser.open(served.address, shows(1))  # loaded again, it goes on
        say(browser, "Eta gero?")
        browser.wait(shows(2))
        servers[1].fails = openai_server.reset
        say(browser, "Eta orain?")
        browser.wait(f"{TOLD}.includes('Ez da erantzunik iritsi')")
        assert browser.run(DRAFT) == "Eta orain?" and browser.run("!document.querySelector('form .main').disabled")
        servers[1].fails = None
        say(browser, "")
        browser.wait(shows(3))
        assert browser.run("document.getElementById('talk').hidden")  # three messages are all
        assert browser.run("document.querySelectorAll('.text *').length") == 0
        for key in ("1", "2", "Enter"):
            browser.key(key)
        browser.wait(f"{VOTES}.includes('1') && {EMPTY}")
        browser.open(served.address, EMPTY)
        served.stop()
        assert [one for one in browser.complaints if "503" not in one] == []
        assert all(request.startswith(served.address) for request in browser.requests)
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert (vote["winner"], vote["winner_content"], vote["winner_language"]) == ("model_a", "model_a", "tie")
    asked = [turn["content"] for turn in vote["conversation_a"] if turn["role"] == "user"]
    assert asked == ["1234 <b>Kaixo</b>", "Eta gero?", "Eta orain?"]
    assert vote["conversation_b"][5]["content"] == f"{MODELS.index(vote['model_b'])}5 {HOSTILE}"


def test_a_vote_on_a_conversation_waits_for_the_disk(tmp_path: Path, browser: Page) -> None:
    """The tab is closed meanwhile; another one sends the vote."""
    servers = [ModelServer(name) for name in MODELS[:2]]
    browser.look(360, 740)
    with polling(tmp_path, *servers) as served:
        browser.open(served.address, EMPTY)
        say(browser, "Kaixo!")
        browser.wait(shows(1))
        assert browser.run("document.documentElement.scrollWidth") <= 360
        browser.run("window.fetch = async () => new Response('{}', {status: 507}), 1")
        for key in ("3", "3", "Enter"):
            browser.key(key)
        browser.wait(f"{TOLD}.includes('cannot store')")
        assert votes_in(tmp_path / "votes.jsonl") == []
        browser.open(served.address, f"{VOTES}.includes('1') && {EMPTY}")
    browser.look()
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert vote["winner"] == "model_b" and vote["conversation_a"][0]["content"] == "Kaixo!"
