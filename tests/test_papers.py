"""The papers hold together: their commands parse, their links lead somewhere, and each block of commands is tested."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import papers
import pytest

from latxa_cli import cli

COMMANDS = [
    (paper.name, call)
    for paper in papers.ALL
    for kind in (papers.RUN, papers.ELSEWHERE)
    for block in papers.blocks(paper, kind)
    for call in papers.calls(block)
]


@pytest.mark.parametrize(("paper", "call"), COMMANDS)
def test_commands_parse(paper: str, call: str) -> None:
    words = shlex.split(call.replace("{I}", "3").replace("{N}", "16"))
    cli.load(words[1]).make_context(words[1], words[2:]).close()


def test_the_commands_of_all_papers_are_seen() -> None:
    assert {"README.md", *(guide.name for guide in papers.GUIDES)} == {name for name, _ in COMMANDS}
    seen = {call.split()[1] for _, call in COMMANDS}
    assert seen == set(cli.VERBS), "a guide shows every verb"


@pytest.mark.parametrize("paper", papers.ALL, ids=lambda paper: paper.name)
def test_links_lead_to_files(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (paper.parent / link.partition("#")[0]).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(papers.README.read_text(encoding="utf-8").splitlines()) <= 150
