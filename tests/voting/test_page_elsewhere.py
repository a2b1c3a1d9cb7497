"""The page of a poll where it is seldom tried.

Behind a proxy and a prefix, in a language of one's own from right to left, without a network, by Tab alone, with texts
of megabytes.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import tiny
from aiohttp import web
from chromium import BROWSER, Page
from poll_server import MODELS, Served, Voter, responses, serving, votes_in, write_responses
from test_vote_page import FILES, OPEN, READY, VOTES
from tiny import Latxa

from latxa_cli.stream.tables import load_toml
from latxa_cli.voting.page import LANGUAGES
from latxa_cli.voting.server import LONGEST_SHOWN

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
HOPS = ("Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding")


@contextmanager
def proxied(served: Served, prefix: str) -> Iterator[str]:
    """Yield the address under which a proxy serves a poll, as nginx does with a `location` of that prefix."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    address: list[str] = []

    async def forward(request: web.Request) -> web.Response:
        heads = {name: value for name, value in request.headers.items() if name not in HOPS}
        heads |= {"X-Forwarded-For": "192.0.2.44", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "vote.example"}
        target = served.address + request.path.removeprefix(prefix)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(request.method, target, data=await request.read(), headers=heads) as answer,
        ):
            body = await answer.read()
            kept = [(name, value) for name, value in answer.headers.items() if name not in HOPS]
            return web.Response(body=body, status=answer.status, headers=kept)

    app = web.Application()
    app.router.add_route("*", prefix + "{rest:.*}", forward)
    runner = web.AppRunner(app)

    async def serve() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://localhost:{runner.addresses[0][1]}{prefix}")
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(20)
    yield address[0]
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_behind_a_proxy_under_a_prefix(tmp_path: Path, browser: Page) -> None:
    """No address that a proxy names is stored, and the page asks for nothing outside its folder."""
    write_responses(tmp_path)
    with (
        serving(tmp_path, *FILES, "--behind-proxy", "--table", "1") as served,
        proxied(served, "/botoa/") as address,
    ):
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(address, READY)
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
        browser.run("document.getElementById('mine').open = true")
        browser.wait("document.getElementById('code').value.length === 34")
        browser.run("document.getElementById('show-table').click()")
        browser.wait("document.querySelectorAll('#table tbody tr').length === 2")
        secret = re.search(r"organiser/\w+", served.said)
        assert secret
        browser.open(address + secret[0], "document.styleSheets.length === 1")
        assert browser.run("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
        assert all(request.startswith(address) for request in browser.requests if "favicon" not in request)
        assert [one for one in browser.complaints if "404" not in one] == []
        served.stop()
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1
    assert all("192.0.2.44" not in path.read_text() for path in tmp_path.glob("votes.jsonl*") if path.suffix != ".key")


def test_a_language_from_right_to_left_by_a_small_file(tmp_path: Path, browser: Page, latxa: Latxa) -> None:
    """Words alone, and no code; on a phone it fits too."""
    words = load_toml(LANGUAGES / "en.toml") | {
        "code": "ar",
        "direction": "rtl",
        "title": "أي إجابة أفضل؟",
        "tie": "متساويتان",
    }
    lines = [f"{name} = {json.dumps(text, ensure_ascii=False)}\n" for name, text in words.items()]
    (tmp_path / "ar.toml").write_text("".join(lines))
    write_responses(tmp_path)
    with serving(tmp_path, *FILES, "--language", "ar.toml") as served:
        browser.complaints.clear()
        browser.open(served.address, READY)
        assert browser.run("[document.documentElement.lang, document.documentElement.dir, document.title]") == [
            "ar", "rtl", words["title"],
        ]  # fmt: skip
        left = {
            name: browser.run(f"document.getElementById('{name}').getBoundingClientRect().left")
            for name in ("first", "second")
        }
        assert left["first"] > left["second"]
        question = "document.querySelector('fieldset[aria-current]')"
        bar = browser.run(f"{question}.getBoundingClientRect().right")
        assert bar - browser.run(f"{question}.querySelector('legend').getBoundingClientRect().right") >= 12
        assert "متساويتان" in browser.run(f"{question}.textContent")
        browser.look(360, 740)
        assert browser.run("document.documentElement.scrollWidth") <= 360
        browser.look()
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
        assert browser.complaints == []
    (tmp_path / "ar.toml").write_text("".join(line for line in lines if not line.startswith("cookies")))
    done = latxa("vote", *FILES, "--resume", "--language", "ar.toml", cwd=tmp_path)
    assert done.returncode == 1 and b"ar.toml: `cookies` is missing" in done.stderr


def test_votes_wait_for_a_network(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        browser.call("Network.emulateNetworkConditions", offline=True, **network)
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait("document.getElementById('message').textContent.includes('kept in this browser')")
        browser.call("Network.emulateNetworkConditions", offline=False, **network)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}", 4)  # before the page would try again by itself
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def press(page: Page, key: str, code: int) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


def test_all_is_reached_by_tab_alone(tmp_path: Path, browser: Page) -> None:
    """With none of the page's own keys, as who uses a switch or a screen reader."""
    write_responses(tmp_path)
    with serving(tmp_path, *FILES, "--corrections") as served:
        browser.open(served.address, READY)
        for question in ("content", "language"):
            while browser.run("document.activeElement.name") != question:
                press(browser, "Tab", 9)
            assert browser.run("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle") == "solid"
            browser.call(
                "Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", windowsVirtualKeyCode=32, text=" "
            )
            browser.call("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space", windowsVirtualKeyCode=32)
            assert browser.run(f"document.querySelector('[name={question}]:checked').value") == "first"
        reached = []
        while (name := browser.run("document.activeElement.id || document.activeElement.tagName")) != "code":
            press(browser, "Tab", 9)
            reached.append(name)
            if name == "skip":
                break
        assert {"SUMMARY", "BUTTON", "skip"} <= set(reached)
        browser.run("document.querySelector('form .main').focus()")
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r")
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="Enter", windowsVirtualKeyCode=13)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
        assert browser.run("document.activeElement.id") == "prompt"  # so that the next pair is read from its beginning
    assert votes_in(tmp_path / "votes.jsonl")[0]["winner"] == "model_a"


def test_a_choice_is_seen_in_colours_of_ones_own(tmp_path: Path, browser: Page) -> None:
    """As people with low vision set them for all pages (forced colours)."""
    write_responses(tmp_path)
    with serving(tmp_path, *FILES) as served:
        browser.open(served.address, READY)
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
        browser.key("1")
        colours = browser.run(
            "[...document.querySelectorAll('[data-question=content] input + span')]"
            ".map((one) => getComputedStyle(one).backgroundColor)"
        )
        browser.look()
        assert len(set(colours[1:])) == 1 and colours[0] != colours[1]


def test_texts_of_megabytes(tmp_path: Path, browser: Page) -> None:
    """Their beginning is shown, and all of them is stored."""
    texts = ("x" * 5_000_000, "abc\n" * 1_250_000)
    for name, model, text in zip(FILES[:2], MODELS, texts, strict=False):
        (record,) = responses(model, 1)
        record["messages"][2]["content"] = text
        tiny.write_jsonl(tmp_path / name, [record])
    with serving(tmp_path, *FILES, "--errors", "--corrections") as served:
        assert len(Voter.of(served).ballot()["answers"][0][0]["content"]) == LONGEST_SHOWN
        assert browser.open(served.address, READY) < 20
        assert browser.run("document.querySelector('#answers').textContent.split('The rest is not shown').length") == 3
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait("!document.getElementById('done').hidden", 20)
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert {vote["conversation_a"][2]["content"], vote["conversation_b"][2]["content"]} == set(texts)
