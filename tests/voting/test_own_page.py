"""What voters do with their own votes, on the page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import BROWSER, Page
from poll_server import MODELS, serving, votes_in, write_responses
from test_own_votes import ABOUT
from test_vote_page import OPEN, READY, VOTES

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")


def press(page: Page, selector: str) -> None:
    page.run(f"document.querySelector('{selector}').click()")


def test_a_voter_says_a_level_sees_a_table_and_withdraws(tmp_path: Path, browser: Page) -> None:
    write_responses(tmp_path)
    (tmp_path / "about.toml").write_text(ABOUT + ABOUT.replace("user_language", "user_other").replace("Zer", "<b>"))
    words = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl", "--about", "about.toml", "--table", "2")
    told = "document.getElementById('told').textContent"
    with serving(tmp_path, *words) as served:
        browser.complaints.clear()
        browser.open(served.address, "!document.getElementById('about').hidden")
        assert browser.run("document.querySelectorAll('#asked label *').length") == 2 * 5  # the fields, and no <b>
        browser.run("document.querySelector('[name=user_language]').value = 'C1-C2'")
        press(browser, "#go")
        browser.wait(READY)
        for number in (1, 2):
            assert browser.run("document.getElementById('show-table').disabled")
            for key in ("1", "1", "Enter"):
                browser.key(key)
            browser.wait(f"{VOTES}.includes('{number}') && {OPEN}")
        browser.open(served.address, READY)  # nobody is asked twice
        browser.run("document.getElementById('mine').open = true")
        browser.wait("document.getElementById('code').value.length === 34")
        press(browser, "#show-table")
        browser.wait("document.querySelectorAll('#table tbody tr').length === 2")
        assert {browser.run(f"document.querySelectorAll('#table tbody tr td')[{n}].textContent") for n in (0, 3)} == {
            *MODELS[:2]
        }
        press(browser, "#withdraw")
        browser.wait("document.getElementById('withdraw').textContent.includes('2')")
        assert len(votes_in(tmp_path / "votes.jsonl")) == 2
        press(browser, "#withdraw")
        browser.wait(f"{told}.includes('2')")
        browser.wait(f"{VOTES}.includes('0')")
        assert votes_in(tmp_path / "votes.jsonl") == []
        press(browser, "#withdraw")
        browser.wait(f"{told}.startsWith('No votes')")
        browser.run("document.activeElement.blur()")
        for key in ("1", "1", "Enter"):
            browser.key(key)
        browser.wait(f"{VOTES}.includes('1') && {OPEN}")
        assert browser.complaints == []
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert vote["user_language"] == "C1-C2" and "user_other" not in vote
    assert "informed" in vote["metadata"]["suspicion"]
