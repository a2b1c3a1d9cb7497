"""The guide for votes of a community: its poll is served, people vote in it, and its data set is published."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import papers
import tiny
from poll_server import Voter, responses, serving, votes_in
from tiny import Latxa

GUIDE = papers.ROOT / "recipes" / "voting.md"
PEOPLE, VOTES = 4, 5  # and how often each votes
MAIL = "Idatzi ane@posta.eus helbidera."


def poll_of_the_guide() -> list[str]:
    """Return the words of the guide's `latxa vote`."""
    calls = [call for block in papers.blocks(GUIDE, papers.ELSEWHERE) for call in papers.calls(block)]
    return shlex.split(next(call for call in calls if call.startswith("latxa vote")))[2:]


def vote_as_people_do(folder: Path) -> None:
    """Cast votes with marks, corrections and skipped pairs in the guide's poll, and make them a month old."""
    with serving(folder, *poll_of_the_guide()) as served:
        for _ in range(PEOPLE):
            voter = Voter.of(served)
            agreed = re.search(r'data-agreed="(\w+)"', voter.ask("GET", "/")[1].decode())
            assert agreed
            for number in range(VOTES):
                given = voter.ballot()
                more = (
                    {"correction": "Hobeto.", "errors": {"first": [[1, 0, 2]]}}
                    if number == 1
                    else {"skip": number == 2}
                )
                assert voter.cast(given["ballot"], consent=agreed[1], **more)[0] == 200
        served.stop()
    cast = (datetime.now(UTC) - timedelta(days=30)).isoformat(timespec="seconds")
    tiny.write_jsonl(
        folder / "people.jsonl", [vote | {"timestamp": cast} for vote in votes_in(folder / "people.jsonl")]
    )


def test_from_a_poll_to_a_data_set(tmp_path: Path, latxa: Latxa) -> None:
    papers.write_files(GUIDE, tmp_path)
    for model in ("ours", "theirs"):
        records = responses(model, 8, language="eu")
        for number, record in enumerate(records):
            record["messages"] = record["messages"][1:]
            record["messages"][-1]["content"] = (
                MAIL if (model, number) == ("ours", 3) else f"{model}, {number}. erantzuna"
            )
        tiny.write_jsonl(tmp_path / f"{model}.jsonl", records)
    vote_as_people_do(tmp_path)
    papers.run(GUIDE, latxa, tmp_path)
    skipped = PEOPLE
    published = votes_in(tmp_path / "data" / "votes.jsonl")
    assert len(published) == PEOPLE * VOTES - skipped
    assert "ane@posta.eus" not in (tmp_path / "data" / "votes.jsonl").read_text()
    assert len(votes_in(tmp_path / "corrected.jsonl")) == sum("correction" in vote for vote in published) == PEOPLE
    assert all("conv_a" in vote for vote in votes_in(tmp_path / "ebaluatoia.jsonl"))
    counts = json.loads((tmp_path / "data" / "votes.jsonl.manifest.json").read_bytes())["counts"]
    assert counts["rejected"] == {"skipped": skipped}
    assert f"{len(published)} votes of {PEOPLE} people" in (tmp_path / "data" / "README.md").read_text()
