"""What the browser keeps, on the page in a real browser: votes that are not stored yet, whatever answers in between."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from chromium import BROWSER, Page
from killed_server import free_port
from model_servers import ModelServer
from poll_server import MODELS, serving, votes_in, write_responses
from test_live import polling, two
from test_live_page import DRAFT, EMPTY, say, shows, texts
from test_vote_page import FILES, OPEN, READY, VOTES

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
TOLD = "document.getElementById('message').textContent"
TRY = "dispatchEvent(new Event('online'))"
CONSENT = "document.getElementById('consent')?.hidden === false"
# What answers in place of the server for a while: `window.odd`, and the server again where there is none.
INSTEAD = """(() => {
  const real = window.fetch;
  window.fetch = async (...asked) => (await window.odd?.(...asked)) || real(...asked);
})()"""
LOGIN = "window.odd = () => new Response('<html>Log in</html>', {headers: {'Content-Type': 'text/html'}}), 1"


def vote(page: Page, verdict: str = "1") -> None:
    for key in (verdict, verdict, "Enter"):
        page.key(key)


@pytest.mark.parametrize(
    "odd",
    [
        "new Response('<html>Log in</html>')", "new Response('{}')", "new Response('null')",
        "new Response('Forbidden', {status: 403})", "new Response('<html>too large', {status: 413})",
        "new Response('', {status: 502})", "Promise.reject(new TypeError('away'))",
    ],
)  # fmt: skip
def test_what_is_not_the_server_takes_no_vote(odd: str, tmp_path: Path, browser: Page) -> None:
    """A proxy, or a network that asks for a login."""
    write_responses(tmp_path)
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        browser.run(INSTEAD)
        browser.run(f"window.odd = () => {odd}, 1")
        vote(browser)
        browser.wait(f"{TOLD}.includes('kept in this browser')")
        browser.run(f"window.odd = null, {TRY}")
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def test_trouble_that_is_over_is_told_no_more(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        browser.run(INSTEAD)
        browser.run(f"{LOGIN}, {TRY}")
        browser.wait(f"{TOLD}.includes('cannot be reached')")
        browser.run(f"window.odd = null, {TRY}")
        browser.wait(f"{TOLD} === ''")
        assert browser.run("!document.querySelector('form .main').disabled")


def test_a_server_that_hangs_is_asked_again(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    soon = "const real = AbortSignal.timeout; AbortSignal.timeout = () => real.call(AbortSignal, 200)"
    with serving(tmp_path, *FILES) as served:
        added = browser.call("Page.addScriptToEvaluateOnNewDocument", source=soon)
        browser.open(served.address, READY)
        browser.call("Page.removeScriptToEvaluateOnNewDocument", **added)
        served.process.send_signal(signal.SIGSTOP)
        vote(browser)
        browser.wait(f"{TOLD}.includes('kept in this browser')")
        served.process.send_signal(signal.SIGCONT)
        browser.run(TRY)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def test_a_vote_waits_for_a_text_that_is_not_accepted_yet(tmp_path: Path, browser: Page) -> None:
    """The organiser changes it while a vote waits for the server."""
    write_responses(tmp_path)
    (tmp_path / "licence.txt").write_text("CC0")
    words = (*FILES, "--consent", "licence.txt", "--port", str(free_port()))
    with serving(tmp_path, *words) as served:
        browser.open(served.address, CONSENT)
        browser.run("document.getElementById('agree').click()")
        browser.wait(READY)
    vote(browser)
    browser.wait(f"{TOLD}.includes('kept in this browser')")
    (tmp_path / "licence.txt").write_text("CC-BY-4.0")
    with serving(tmp_path, *words, "--resume") as served:
        browser.run(TRY)
        browser.wait(CONSENT)
        assert votes_in(tmp_path / "votes.jsonl") == []
        browser.run("document.getElementById('agree').click()")
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def test_a_voter_without_cookies_is_told(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        browser.call("Network.clearBrowserCookies")
        browser.run(TRY)
        browser.wait(f"{TOLD}.includes('needs cookies')")
        browser.open(served.address, READY)


def test_votes_that_are_not_sent_yet_are_withdrawn_with_the_others(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        vote(browser)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
        browser.run(INSTEAD)
        browser.run("window.odd = (address, sent) => address === 'votes' && new Response('{}', {status: 429}), 1")
        vote(browser, "3")
        browser.wait(f"{TOLD}.includes('in a moment')")
        browser.run("document.getElementById('mine').open = true")
        browser.wait("document.getElementById('code').value.length === 34")
        for told in ("'Delete 1 votes'", "'Withdraw'"):
            browser.run("document.getElementById('withdraw').click()")
            browser.wait(f"document.getElementById('withdraw').textContent.includes({told})")
        browser.run(f"window.odd = null, {TRY}")
        browser.wait(f"{VOTES}.includes('0') && {OPEN}")
    assert votes_in(tmp_path / "votes.jsonl") == []


# --- live polls ------------------------------------------------------------------------------------------------------


def test_a_refused_vote_keeps_its_conversation(tmp_path: Path, browser: Page) -> None:
    """The organiser names another model by mistake, and then the right ones again."""
    port = ("--port", str(free_port()))
    others = [ModelServer(MODELS[0]), ModelServer(MODELS[2])]
    servers = two()
    with polling(tmp_path, *servers, words=port) as served:
        browser.open(served.address, EMPTY)
        say(browser, "Kaixo!")
        browser.wait(shows(1))
    with polling(tmp_path, *others, words=(*port, "--resume")):
        vote(browser)
        browser.wait(f"{TOLD}.includes('could not be counted') && {OPEN}")
        say(browser, "Eta gero?")
        browser.wait(f"{TOLD}.includes('cannot go on')")
        assert browser.run(DRAFT) == "Eta gero?" and texts(browser, "prompt") == ["Kaixo!"]
    with polling(tmp_path, *two(), words=(*port, "--resume")):
        say(browser, "")
        browser.wait(shows(2))
        vote(browser)
        browser.wait(f"{VOTES}.includes('1') && {EMPTY}")
    (stored,) = votes_in(tmp_path / "votes.jsonl")
    assert [turn["content"] for turn in stored["conversation_a"][::2]] == ["Kaixo!", "Eta gero?"]


def test_a_conversation_that_is_refused_for_good_can_be_left(tmp_path: Path, browser: Page) -> None:
    port = ("--port", str(free_port()))
    with polling(tmp_path, *two(), words=port) as served:
        browser.open(served.address, EMPTY)
        say(browser, "Kaixo!")
        browser.wait(shows(1))
    with polling(tmp_path, ModelServer(MODELS[0]), ModelServer(MODELS[2]), words=(*port, "--resume")) as served:
        browser.key("0")
        browser.wait(f"{TOLD}.includes('could not be counted') && {EMPTY}")
        browser.open(served.address, EMPTY)


def test_another_tab_sends_the_vote(tmp_path: Path, browser: Page) -> None:
    """Then the browser keeps it no more, and this tab has not heard how it went."""
    with polling(tmp_path, *two()) as served:
        browser.open(served.address, EMPTY)
        say(browser, "Kaixo!")
        browser.wait(shows(1))
        browser.run(INSTEAD)
        browser.run(LOGIN)
        vote(browser)
        browser.wait(f"{TOLD}.includes('kept in this browser')")
        assert browser.run("document.getElementById('talk').hidden")  # nothing is added to what was voted on
        browser.run(
            "(async () => { for (const name of Object.keys(localStorage).filter((name) => name.includes('-vote-'))) {"
            "window.odd = null; await fetch('votes', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            "body: localStorage.getItem(name)}); localStorage.removeItem(name); } })()"
        )
        assert len(votes_in(tmp_path / "votes.jsonl")) == 1
        browser.run(TRY)
        browser.wait(f"{VOTES}.includes('1') && {EMPTY}")
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def test_a_page_that_is_loaded_again_keeps_the_message(tmp_path: Path, browser: Page) -> None:
    """In the middle of writing it, and in the middle of an answer, whose server is started again meanwhile."""
    servers = two()
    port = ("--port", str(free_port()))
    with polling(tmp_path, *servers, words=port) as served:
        browser.open(served.address, EMPTY)
        browser.run("document.getElementById('draft').focus()")
        browser.call("Input.insertText", text="Kaixo, ")
        browser.open(served.address, EMPTY)
        assert browser.run(DRAFT) == "Kaixo, "
        for server in servers:
            server.seconds = 10.0
        browser.run("document.getElementById('draft').setSelectionRange(99, 99)")
        say(browser, "zer moduz?")
        browser.wait(f"{TOLD}.includes('Both models are writing')")
    browser.wait(f"{TOLD}.includes('No answer came')")
    with polling(tmp_path, *two(), words=(*port, "--resume")) as served:
        browser.open(served.address, EMPTY)
        assert browser.run(DRAFT) == "Kaixo, zer moduz?"
        say(browser, "")
        browser.wait(shows(1))
        browser.open(served.address, shows(1))
        assert browser.run(DRAFT) == ""


def test_equal_answers_stay_beside_each_other(tmp_path: Path, browser: Page) -> None:
    with polling(tmp_path, *(ModelServer(name, lambda messages: "Bai.") for name in MODELS[:2])) as served:
        browser.open(served.address, EMPTY)
        for number, text in enumerate(("Kaixo!", "Eta gero?"), 1):
            say(browser, text)
            browser.wait(shows(number))
        assert texts(browser, "prompt") == ["Kaixo!"]
        assert texts(browser, "first") == texts(browser, "second") == ["Bai.", "Eta gero?", "Bai."]
        vote(browser, "2")
        browser.wait(f"{VOTES}.includes('1') && {EMPTY}")
    (stored,) = votes_in(tmp_path / "votes.jsonl")
    assert stored["conversation_a"] == stored["conversation_b"] and len(stored["conversation_a"]) == 4
