"""What voters do with their own votes: withdraw them, say who they are, and see which models they preferred."""

from __future__ import annotations

import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xxhash
from poll_server import MODELS, Voter, serving, votes_in, write_responses
from tiny import Latxa

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.writer import Appender
from latxa_cli.voting.ballots import ContestBallots
from latxa_cli.voting.contest import Contest

FILES = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl")
FAST = ("--votes-per-minute", "100000")
ABOUT = """
[user_language]
question = "Zer maila duzu?"
answers = ["A1-A2", "B1-B2", "C1-C2"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_responses(tmp_path)
    return tmp_path


def code_of(voter: Voter) -> str:
    return voter.ask("GET", "/code")[1]["code"]


def withdraw(voter: Voter, code: object, **more: object) -> tuple[int, object]:
    return voter.ask("POST", "/withdrawal", {"code": code, "sure": True} | more)


def vote_all(voter: Voter, most: int = 1000) -> int:
    for number in range(most):
        if "ballot" not in (given := voter.ballot()):
            return number
        assert voter.cast(given["ballot"])[0] == 200
    return most


# --- withdrawal ------------------------------------------------------------------------------------------------------


def test_withdrawn_votes_are_gone_at_once_and_others_stay_as_they_are(folder: Path, latxa: Latxa) -> None:
    with serving(folder, *FILES) as served:
        voter, other = Voter.of(served), Voter.of(served)
        slips = [voter.ballot()["ballot"]]
        assert voter.cast(slips[0])[0] == 200
        voter.ask("POST", "/votes", {"ballot": voter.ballot()["ballot"], "skip": True})
        assert vote_all(other) == 6
        code = code_of(voter)
        before = (folder / "votes.jsonl").read_bytes().splitlines()
        assert withdraw(other, code, sure=False) == (200, {"votes": 2})  # asked, and not done
        assert (folder / "votes.jsonl").read_bytes().splitlines() == before
        assert withdraw(other, f" {code.upper().replace('-', ' ')}\n") == (200, {"votes": 2})  # from another device
        left = (folder / "votes.jsonl").read_bytes().splitlines()
        assert left == before[2:]
        assert withdraw(other, code) == (200, {"votes": 0})
        assert (
            voter.cast(slips[0])[0] == 200 and len(votes_in(folder / "votes.jsonl")) == 6
        )  # sent again: not stored again
        assert voter.ballot()["cast"] == 0
        secret = re.search(r"/organiser/\w+", served.said)
        assert secret and b'votes<td dir="auto">6' in voter.ask("GET", secret[0])[1]
        assert vote_all(voter, 1) == 1
        served.stop()
    counts = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())["counts"]
    assert counts == {"in": 9, "out": 7, "rejected": {"withdrawn": 2}}
    manifest = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())
    data = (folder / "votes.jsonl").read_bytes()
    assert manifest["outputs"][0]["xxh3_128"] == xxhash.xxh3_128_hexdigest(data)
    assert not list(folder.glob("*.part"))
    with serving(folder, *FILES, "--resume") as served:
        assert "7 votes so far" in served.said
        again = Voter(served.host, served.port, voter.cookie)
        assert code_of(again) == code and withdraw(again, code) == (200, {"votes": 1})
    assert len(votes_in(folder / "votes.jsonl")) == 6
    assert latxa("arena-score", "votes.jsonl", "--prior", "1", cwd=folder).returncode == 0


def test_a_code_is_of_one_voter_and_cannot_be_made(folder: Path) -> None:
    ballots = ContestBallots(Contest({}, [], ""), bytes(range(32)))
    user = ballots.pseudonym("c")
    code = ballots.code(user)
    assert re.fullmatch(r"([0-9a-f]{4}-){6}[0-9a-f]{4}", code) and ballots.owner(code) == user
    forged = [code[:-1] + ("0" if code[-1] != "0" else "1"), ("0" if code[0] != "0" else "1") + code[1:], code[:-5]]
    for none in (*forged, code + "-0000", "", None, 3, ["x"], {"code": code}, "voter-" + code, "é" * 28):
        assert ballots.owner(none) is None
    assert ContestBallots(Contest({}, [], ""), bytes(32)).owner(code) is None
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        vote_all(voter, 1)
        for none in (code, "", None, 3, {"x": 1}):
            assert withdraw(voter, none) == (200, {"votes": 0})
        assert voter.ask("POST", "/withdrawal", b"{")[1] == {"votes": 0}
        assert voter.ask("POST", "/withdrawal", {"code": code}, kind="text/plain")[0] == 415
        tried = [withdraw(voter, "0" * 28)[0] for _ in range(30)]
        assert tried[-1] == 429  # nobody tries codes until one fits
    assert len(votes_in(folder / "votes.jsonl")) == 1


def test_votes_come_while_others_are_withdrawn(folder: Path) -> None:
    write_responses(folder, prompts=40)
    with serving(folder, *FILES, *FAST) as served:
        going, staying = [Voter.of(served) for _ in range(3)], [Voter.of(served) for _ in range(3)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda voter: vote_all(voter, 20), going))
            kept = [pool.submit(vote_all, voter, 40) for voter in staying]
            gone = [pool.submit(lambda one: withdraw(one, code_of(one)), voter) for voter in going]
            assert [future.result()[1] for future in gone] == [{"votes": 20}] * 3
            assert [future.result() for future in kept] == [40] * 3
        served.stop()
    votes = votes_in(folder / "votes.jsonl")
    assert len(votes) == len({vote["id"] for vote in votes}) == 120
    assert len({vote["user"] for vote in votes}) == 3


def test_a_kill_leaves_all_of_somebodys_votes_or_none(folder: Path) -> None:
    write_responses(folder, prompts=60)
    with serving(folder, *FILES, *FAST) as served:
        keeper = Voter.of(served)
        vote_all(keeper, 60)
    kept = (folder / "votes.jsonl").read_bytes()
    for _ in range(4):
        with serving(folder, *FILES, *FAST, "--resume") as served:
            voter = Voter.of(served)
            vote_all(voter, 30)
            code = code_of(voter)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(lambda: withdraw(voter, code))  # noqa: B023
                time.sleep(random.random() * 0.02)
                served.process.kill()
        left = (folder / "votes.jsonl").read_bytes()
        assert left.startswith(kept) and left.count(b"\n") in (60, 90)
        (folder / "votes.jsonl").write_bytes(kept)
    (folder / "votes.jsonl.part").write_bytes(kept)  # what a kill in the middle of it leaves
    with serving(folder, *FILES, "--resume"):
        assert not (folder / "votes.jsonl.part").exists()


def test_a_disk_that_does_not_take_it_leaves_everything(tmp_path: Path) -> None:
    writer = Appender(tmp_path / "v.jsonl")
    writer.append([{"user": name} for name in "abab"])
    before = (tmp_path / "v.jsonl").read_bytes()
    (tmp_path / "v.jsonl.part").mkdir()
    with pytest.raises(LatxaError, match="cannot be written"):
        writer.remove(b"a", lambda record: record["user"] == "a")
    assert (tmp_path / "v.jsonl").read_bytes() == before
    (tmp_path / "v.jsonl.part").rmdir()
    assert len(writer.remove(b'"a"', lambda record: record["user"] == "a")) == 2
    writer.append([{"user": "c"}])
    assert [record["user"] for record in votes_in(tmp_path / "v.jsonl")] == ["b", "b", "c"]
    with pytest.raises(LatxaError, match="another run"):
        Appender(tmp_path / "v.jsonl")  # the new file is locked as the old one was
    writer.close()


# --- who voters are --------------------------------------------------------------------------------------------------


def test_what_voters_say_of_themselves_is_a_field_of_their_votes(folder: Path) -> None:
    (folder / "about.toml").write_text(ABOUT)
    with serving(folder, *FILES, "--about", "about.toml") as served:
        voter = Voter.of(served)
        page = voter.ask("GET", "/")[1].decode()
        assert "Zer maila duzu?" in page and "C1-C2" in page
        slip = voter.ballot()["ballot"]
        for none in ([], "x", None, 3):
            assert voter.cast(slip, about=none)[0] == 403
        assert voter.cast(slip, about={"user_language": "B1-B2"})[0] == 200
        assert voter.cast(voter.ballot()["ballot"], about={})[0] == 200
        # A page from before the organiser changed the questions; and somebody who makes up fields.
        for odd in ({"user_language": "C3"}, {"user_name": "Ane"}, {"user": "x"}, {"user_language": ["A1-A2"]}):
            assert voter.cast(voter.ballot()["ballot"], about=odd)[0] == 200
    first, second, *others = votes_in(folder / "votes.jsonl")
    assert first["user_language"] == "B1-B2" and first["user"].startswith("voter-") and len(others) == 4
    for vote in (second, *others):
        assert vote.keys().isdisjoint(("user_language", "user_name")) and vote["user"] == first["user"]


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("[user]\n", "`user` is no name of a field of voters"), ("[user_a]\nquestion = 'q'\n", "has not just"),
        ("[user_a]\nquestion = ' '\nanswers = ['a']\n", "`question` is no text"), ("user_a = 1\n", "has not just"),
        ("[user_a]\nquestion = 'q'\nanswers = []\n", "`answers` are no texts"), ("[", "is not TOML"),
        ("[user_a]\nquestion = 'q'\nanswers = [1]\n", "`answers` are no texts"), (None, "cannot be read"),
    ],
)  # fmt: skip
def test_questions_that_are_none(written: str | None, what: str, folder: Path, latxa: Latxa) -> None:
    if written is not None:
        (folder / "about.toml").write_text(written)
    done = latxa("vote", *FILES, "--about", "about.toml", cwd=folder)
    assert done.returncode in (1, 2) and what in done.stderr.decode() and done.stderr.count(b"\n") <= 2
    assert not (folder / "votes.jsonl").exists()


# --- the voter's own table -------------------------------------------------------------------------------------------


def test_the_table_comes_late_and_later_votes_say_so(folder: Path) -> None:
    with serving(folder, *FILES, "--table", "3") as served:
        voter = Voter.of(served)
        vote_all(voter, 2)
        assert voter.ask("GET", "/table") == (403, {"error": "too early"})
        assert not any(name.encode() in voter.got for name in MODELS)
        vote_all(voter, 1)
        status, said = voter.ask("GET", "/table")
        cookie = re.search(r"(informed-\w+=1); HttpOnly", voter.got.decode())
        assert status == 200 and cookie
    votes = votes_in(folder / "votes.jsonl")
    won = {name: sum(vote["model_a"] == name for vote in votes) for name in MODELS[:2]}
    order = sorted(won, key=lambda name: (-won[name], name))
    assert said["rows"] == [{"model": name, "votes": 3, "won": won[name]} for name in order]
    with serving(folder, *FILES, "--table", "3", "--resume") as served:
        again = Voter(served.host, served.port, f"{voter.cookie}; {cookie[1]}")  # what the browser sends
        assert again.ask("GET", "/table")[1] == said
        vote_all(again, 1)
        elsewhere = Voter(served.host, served.port, f"{'0' * 32}; informed-{'0' * 16}=1")  # that of another poll
        vote_all(elsewhere, 1)
    marks = [vote["metadata"]["suspicion"] for vote in votes_in(folder / "votes.jsonl")]
    assert marks == [[], [], [], ["informed"], []]
    with serving(folder, *FILES, "--resume") as served:
        assert Voter(served.host, served.port, voter.cookie).ask("GET", "/table")[0] == 403  # the organiser's choice
