"""`latxa vote --model …`, the real command, with servers that answer, die, take their time and are hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import openai_server
import pytest
from aiohttp import web
from failing_helpers import faults, under_failures
from killed_server import under_kills
from model_servers import ModelServer
from poll_server import MODELS, Served, Voter, serving, talk, votes_in
from tiny import Latxa

from latxa_cli.stream.records import content_id
from latxa_cli.voting.live import LONGEST_MESSAGE
from latxa_cli.voting.pace import JITTER, TURNS_KEPT, Pace

OUT = ("-o", "votes.jsonl", "--messages-per-minute", "1000", "--votes-per-minute", "1000")


@contextmanager
def polling(folder: Path, *servers: ModelServer, words: tuple[str, ...] = ()) -> Iterator[Served]:
    """Run a live poll of these models, which are served meanwhile."""
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        flags = [word for server in servers for word in server.flag]
        yield stack.enter_context(serving(folder, *flags, *OUT, *words))


def two() -> list[ModelServer]:
    return [ModelServer(name) for name in MODELS[:2]]


def text_of(shown: Any, side: int) -> str:
    return shown["answers"][side][-1]["content"]


def dead(**answers: Any) -> Any:
    async def fails(_request: web.Request) -> web.StreamResponse:
        return web.Response(**answers)

    return fails


def test_a_conversation_is_a_battle(tmp_path: Path, latxa: Latxa) -> None:
    servers = two()
    with polling(tmp_path, *servers, words=("--temperature", "0.5", "--max-tokens", "77")) as served:
        voter = Voter.of(served)
        assert voter.ballot() == {"cast": 0, "live": {"turns": 8, "longest": LONGEST_MESSAGE}}
        status, first = voter.say("  Kaixo!\n")
        assert status == 200 and first["prompt"] == [{"role": "user", "content": "Kaixo!"}]
        status, second = voter.say("Eta gero?", first)
        assert status == 200 and second["ballot"] != first["ballot"]
        assert voter.cast(content="second", language="tie", **sent(second)) == (200, {"cast": 1})
        (vote,) = votes_in(tmp_path / "votes.jsonl")  # before the server ends
        served.stop()
    assert {vote["model_a"], vote["model_b"]} == set(MODELS[:2])
    assert (vote["winner"], vote["winner_content"], vote["winner_language"]) == ("model_b", "model_b", "tie")
    assert [vote["conversation_a"], vote["conversation_b"]] == talk(second)["conversations"]
    for side in ("a", "b"):
        texts = [turn["content"] for turn in vote[f"conversation_{side}"]]
        replies = [f"Reply {len(vote[f'model_{side}']) * 7} to {said}" for said in ("Kaixo!", "Eta gero?")]
        assert texts == ["Kaixo!", replies[0], "Eta gero?", replies[1]]
    assert vote["prompt_id"] == content_id({"turns": ["Kaixo!", "Eta gero?"]})
    metadata = vote["metadata"]
    assert metadata["live"] and metadata["decoding"] == {"max_tokens": 77, "temperature": 0.5, "top_p": 0.95}
    assert {side: len(taken) for side, taken in metadata["answer_seconds"].items()} == {"model_a": 2, "model_b": 2}
    for server in servers:
        assert {(body["model"], body["temperature"], body["max_tokens"]) for body in server.bodies} == {
            (server.name, 0.5, 77)
        }
        assert [len(body["messages"]) for body in server.bodies] == [1, 3]
    manifest = json.loads((tmp_path / "votes.jsonl.manifest.json").read_bytes())
    assert [(one["name"], one["answers"]) for one in manifest["models"]] == [(name, 2) for name in sorted(MODELS[:2])]
    rated = latxa("arena-score", "votes.jsonl", "--prior", "1", cwd=tmp_path)
    assert rated.returncode == 0, rated.stderr


def sent(shown: Any) -> dict[str, Any]:
    """Return what `Voter.cast` takes of the conversations that were shown."""
    said = talk(shown)
    return {"slip": said["ballot"], "conversations": said["conversations"]}


def test_remarks_on_a_conversation(tmp_path: Path) -> None:
    with polling(tmp_path, *two(), words=("--errors", "--corrections")) as served:
        voter, other = Voter.of(served), Voter.of(served)
        shown = voter.say("Eta gero?", voter.say("Kaixo!")[1])[1]
        remarks = {"errors": {"second": [[1, 0, 5], [3, 6, 8]]}, "correction": "Hobeto honela."}
        assert voter.cast(**sent(shown), **remarks)[0] == 200
        skipped = talk(other.say("Kaixo!")[1]) | {"skip": True, "seconds": 3, "seen": True}
        assert other.ask("POST", "/votes", skipped) == (200, {"cast": 0})
    vote, other_one = votes_in(tmp_path / "votes.jsonl")
    marks = [{"turn": 1, "start": 0, "end": 5, "text": "Reply"}, {"turn": 3, "start": 6, "end": 8}]
    assert [one | mark for one, mark in zip(vote["errors"]["model_b"], marks, strict=True)] == vote["errors"]["model_b"]
    assert vote["correction"] == {"side": "model_a", "content": "Hobeto honela."}
    assert other_one["skipped"] is True and "winner" not in other_one and len(other_one["conversation_a"]) == 2


def test_no_name_leaves_before_a_vote_or_after_it(tmp_path: Path) -> None:
    servers = [ModelServer(name, key="s3cret-of-theirs") for name in MODELS]
    (tmp_path / "key").write_text("s3cret-of-theirs\n")
    keys = [word for name in MODELS for word in ("--key", f"{name}=key")]
    with polling(tmp_path, *servers, words=(*keys, "-v")) as served:
        voter = Voter.of(served)
        for path in ("/vote.js", "/live.js", "/none", "/ballot", "/messages", "/votes", "/votes.jsonl.key"):
            voter.ask("GET", path)
        shown = voter.say("Kaixo!")[1]
        for server in servers:  # what they say of themselves, and of the key
            server.fails = dead(status=401, text=f"{server.name} does not take s3cret-of-theirs")
        assert voter.say("Eta gero?", shown) == (503, {"error": "the models gave no answer"})
        assert voter.say("Eta orain?")[0] == 503
        assert voter.cast(**sent(shown), content="none")[0] == 403
        assert voter.cast(**sent(shown))[0] == 200
        organiser = re.search(r"/organiser/\w+", served.said)
        assert organiser
        page = Voter(served.host, served.port).ask("GET", organiser[0])[1].decode()
        said = served.stop()
    addresses = [server.url.removeprefix("http://").removesuffix("/v1") for server in servers]
    for name in (*MODELS, *addresses, "s3cret"):
        assert name.encode() not in voter.got and name not in said, name
    assert all(name in page for name in MODELS) and "no answer: " in page and "s3cret" not in page
    written = "".join(path.read_text() for path in tmp_path.glob("votes.jsonl*") if path.suffix != ".key")
    assert "s3cret" not in written


@pytest.mark.parametrize("way", openai_server.SIX_WAYS, ids=lambda way: way.__name__)
def test_a_model_that_dies_before_the_first_answer_is_replaced(way: Any, tmp_path: Path) -> None:
    servers = [ModelServer(name) for name in MODELS]
    with polling(tmp_path, *servers, words=("--timeout", "2")) as served:
        servers[1].fails = way
        voters = [Voter.of(served) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda voter: voter.say("Kaixo!"), voters))
        assert [status for status, _ in answers] == [200] * 6
        assert all(voter.cast(**sent(shown))[0] == 200 for voter, (_, shown) in zip(voters, answers, strict=True))
        served.stop()
    alive = {MODELS[0], MODELS[2]}
    assert all({vote["model_a"], vote["model_b"]} == alive for vote in votes_in(tmp_path / "votes.jsonl"))
    (one,) = (
        one for one in json.loads((tmp_path / "votes.jsonl.manifest.json").read_bytes())["models"] if one["failures"]
    )
    assert one["name"] == MODELS[1] and one["answers"] == 0


def test_a_model_that_dies_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    servers = two()
    with polling(tmp_path, *servers) as served:
        voter, other = Voter.of(served), Voter.of(served)
        first = voter.say("Kaixo!")[1]
        servers[0].fails = openai_server.reset
        assert voter.say("Eta gero?", first)[0] == 503
        assert other.say("Kaixo!")[0] == 503  # there is no third model
        assert votes_in(tmp_path / "votes.jsonl") == []
        servers[0].fails = None
        status, second = voter.say("Eta gero?", first)
        assert status == 200 and len(talk(second)["conversations"][0]) == 4
        assert voter.cast(**sent(first))[0] == 200  # the page of another tab: the first vote counts
        assert voter.cast(**sent(second), content="second", language="second") == (200, {"cast": 1})
        assert voter.say("Eta orain?", second) == (400, {"error": "voted on already"})
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert vote["winner"] == "model_a" and len(vote["conversation_a"]) == 2


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        while True:
            await response.write(b" " * 100_000)
    except ConnectionError:
        return response


def said(text: str) -> dict[str, Any]:
    return {"text": json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": text}}]})}


REFUSED = {
    "5 MB": dead(**said("a" * 5_000_000)),
    "endless": endless,
    "long": dead(**said("a " * 10_001)),
    "empty": dead(**said(" \n")),
    "surrogate": dead(text=r'{"choices": [{"finish_reason": "stop", "message": {"content": "\ud800"}}]}'),
    "page": dead(text="<html><title>hit</title>", content_type="text/html"),
    "redirect": dead(status=302, headers={"Location": "http://127.0.0.1:9/v1"}),
    "another form": dead(text='{"choices": {"text": "a"}}'),
    "no list": dead(text="[" * 100_000),
    "filtered": dead(text='{"choices": [{"finish_reason": "content_filter", "message": {"content": "a"}}]}'),
}


def test_what_is_no_answer_is_refused(tmp_path: Path) -> None:
    servers = two()
    with polling(tmp_path, *servers) as served:
        voter = Voter.of(served)
        for name, fails in REFUSED.items():
            servers[0].fails = fails
            assert voter.say("Kaixo!") == (503, {"error": "the models gave no answer"}), name
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        servers[0].fails = None
        assert voter.say("Kaixo!")[0] == 200
        served.stop()
    assert int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) < 150_000
    manifest = json.loads((tmp_path / "votes.jsonl.manifest.json").read_bytes())
    (failures,) = (one["failures"] for one in manifest["models"] if one["failures"])
    assert sum(failures.values()) == len(REFUSED) and len(failures) == 4
    assert votes_in(tmp_path / "votes.jsonl") == []


HOSTILE = "<script>alert(1)</script>\x00\x1b[31m\u202eabc\u2028 {{prompt}} مرحبا 🦆 </p>"


def test_hostile_answers_are_kept_as_they_are(tmp_path: Path) -> None:
    servers = [ModelServer(name, lambda messages: HOSTILE) for name in MODELS[:2]]
    with polling(tmp_path, *servers) as served:
        voter = Voter.of(served)
        shown = voter.say(HOSTILE)[1]
        assert text_of(shown, 0) == text_of(shown, 1) == HOSTILE
        assert voter.cast(**sent(shown))[0] == 200
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert vote["conversation_b"] == [{"role": role, "content": HOSTILE} for role in ("user", "assistant")]


def test_equal_answers_are_no_part_of_the_prompt(tmp_path: Path) -> None:
    with polling(tmp_path, *(ModelServer(name, lambda messages: "Bai.") for name in MODELS[:2])) as served:
        voter = Voter.of(served)
        shown = voter.say("Eta gero?", voter.say("Kaixo!")[1])[1]
        assert shown["prompt"] == [{"role": "user", "content": "Kaixo!"}]
        assert [[turn["content"] for turn in answer] for answer in shown["answers"]] == [
            ["Bai.", "Eta gero?", "Bai."]
        ] * 2
        assert voter.cast(**sent(shown))[0] == 200


def test_what_was_not_shown_is_not_voted_on(tmp_path: Path) -> None:
    with polling(tmp_path, *two(), words=("--turns", "2")) as served:
        voter, thief = Voter.of(served), Voter.of(served)
        shown = voter.say("Kaixo!")[1]
        right = talk(shown)["conversations"]
        forged: list[Any] = [right[::-1], right[:1], [right[0], right[0]], [], "x", None, [[], []], [[1], [2]]]
        forged.append([[right[0][0], {"role": "assistant", "content": "other"}], right[1]])
        forged.append([[{"role": "system", "content": "x"}, *right[0]], right[1]])
        for conversations in forged:
            assert voter.cast(shown["ballot"], conversations=conversations)[0] == 403, conversations
            if conversations is not None:  # else it is a new one
                assert voter.say("Eta?", conversations=conversations, ballot=shown["ballot"])[0] == 400
        assert thief.cast(**sent(shown))[0] == 403 and thief.say("Eta?", shown)[0] == 400
        for message in ("", " \n", "a" * (LONGEST_MESSAGE + 1), 3, None, ["x"]):
            assert voter.say(message)[0] == 400  # type: ignore[arg-type]
        assert voter.ask("POST", "/messages", b"{")[0] == 400
        assert voter.ask("POST", "/messages", {"message": "x"}, kind="text/plain")[0] == 415
        assert Voter(served.host, served.port).say("Kaixo!")[0] == 403
        status, second = voter.say("Eta?", shown)
        assert status == 200
        assert voter.say("Eta?", second) == (400, {"error": "a message too many"})
        assert voter.cast(**sent(second))[0] == 200
    assert len(votes_in(tmp_path / "votes.jsonl")) == 1


def test_a_voter_is_held_back(tmp_path: Path) -> None:
    (tmp_path / "licence.txt").write_text("CC0")
    words = ("--messages-per-minute", "2", "--consent", "licence.txt")
    with polling(tmp_path, *two(), words=words) as served:
        voter, other = Voter.of(served), Voter.of(served)
        agreed = voter.ask("GET", "/")[1].decode().partition('data-agreed="')[2].partition('"')[0]
        assert voter.say("Kaixo!") == (403, {"error": "no consent"})
        with ThreadPoolExecutor(3) as pool:  # a double click; and somebody else
            answers = [pool.submit(one.say, "Kaixo!", consent=agreed) for one in (voter, voter, other)]
            statuses = [answer.result()[0] for answer in answers]
        assert sorted(statuses[:2]) == [200, 429] and statuses[2] == 200
        assert [voter.say("Kaixo!", consent=agreed)[0] for _ in range(2)] == [200, 429]


def test_a_conversation_outlives_the_server(tmp_path: Path) -> None:
    servers = two()
    with polling(tmp_path, *servers) as served:
        voter = Voter.of(served)
        first, second = voter.say("Kaixo!")[1], Voter.of(served)
    with polling(tmp_path, *servers, words=("--resume",)) as served:
        again = Voter(served.host, served.port, voter.cookie)
        status, shown = again.say("Eta gero?", first)
        assert status == 200 and second.host
        assert again.cast(**sent(shown))[0] == 200
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert len(vote["conversation_a"]) == 4 and "answer_seconds" not in vote["metadata"]
    for side in ("a", "b"):
        assert vote[f"conversation_{side}"][1]["content"].startswith(f"Reply {len(vote[f'model_{side}']) * 7} ")


def test_the_time_tells_nothing_of_the_sides() -> None:
    """One model is ten times as slow. Sides, lengths and times are those of many ballots."""
    draw, pace = Random(3), Pace(Random(4))
    told = {True: 0, False: 0}
    for number in range(1_000):
        slow, fast = draw.uniform(2, 7), draw.uniform(0.2, 0.7)
        shown = slow + pace.rest(("a", "b"), max(slow, fast))
        assert 8 <= shown <= 8 * (1 + JITTER) or number < TURNS_KEPT
        told[shown > 8.4] += 1
    assert 300 < told[True] < 700  # by the jitter alone
    assert Pace(Random(1)).rest(("a", "b"), 0.1) >= 0.9


# --- what it says where it cannot begin ------------------------------------------------------------------------------


def complaint(latxa: Latxa, folder: Path, *words: str, **options: Any) -> str:
    done = latxa("vote", *words, "-o", "votes.jsonl", cwd=folder, **options)
    lines = done.stderr.decode().splitlines()
    assert done.returncode in (1, 2) and 1 <= len(lines) <= 2 and lines[0].startswith("latxa: "), lines
    assert not list(folder.glob("votes.jsonl*"))
    return "\n".join(lines)


def test_what_cannot_be_asked(tmp_path: Path, latxa: Latxa) -> None:
    with ModelServer("ours") as ours, ModelServer("theirs") as theirs:
        both = (*ours.flag, *theirs.flag)

        def said(*words: str) -> str:
            return complaint(latxa, tmp_path, *words)

        assert "votes need two models or more" in said(*ours.flag)
        assert "`--model` is given twice for `ours`" in said(*both, *ours.flag)
        assert "FILE and `--model` do not go together" in said(*both, "a.jsonl")
        assert "`--model ours` is not `NAME=URL`" in said("--model", "ours", *theirs.flag)
        assert "`--model ours=…` is not the address of a server" in said("--model", "ours=ftp://x", *theirs.flag)
        assert "`--turns` needs `--model`" in said("a.jsonl", "b.jsonl", "--turns", "3")
        assert "there is no `--model third=…`" in said(*both, "--served", "third=x")
        assert "there is no `--model third=…`" in said(*both, "--key", "third=x")
        assert "cannot be read" in said(*both, "--key", "ours=none")
        gone = said("--model", "ours=http://127.0.0.1:9/v1", *theirs.flag)
        assert "`http://127.0.0.1:9/v1` cannot be reached" in gone and "is `--model ours=…` right?" in gone
        absent = said(*both, "--served", "ours=other")
        assert f"`{ours.url}` has no model `other`" in absent and "it has `ours`" in absent
        ours.key = "right-key-of-ours"
        (tmp_path / "key").write_text("wrong-key-of-ours")
        wrong = said(*both, "--key", "ours=key")
        assert "401" in wrong and "`--key ours=…`" in wrong and "wrong-key" not in wrong


def test_a_key_goes_to_one_host(tmp_path: Path, latxa: Latxa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-one-of-them-0123456789")
    words = ("--model", "ours=http://ours.invalid/v1", "--model", "theirs=http://theirs.invalid/v1")
    told = complaint(latxa, tmp_path, *words)
    assert "`OPENAI_API_KEY` would go to 2 hosts" in told and "--key NAME=FILE" in told and "sk-of" not in told


def test_several_models_of_one_server(tmp_path: Path) -> None:
    with ModelServer("one") as server:
        server.models = ["one", "org/the-other"]
        flags = ("--model", f"one={server.url}", "--model", f"other={server.url}", "--served", "other=org/the-other")
        with serving(tmp_path, *flags, *OUT) as served:
            voter = Voter.of(served)
            shown = voter.say("Kaixo!")[1]
            assert voter.cast(**sent(shown))[0] == 200
        assert {body["model"] for body in server.bodies} == {"one", "org/the-other"}
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert {vote["model_a"], vote["model_b"]} == {"one", "other"}


def test_conversations_survive_kills(tmp_path: Path) -> None:
    """Of a server that is killed while models answer and while people vote."""

    def talks(voter: Voter) -> Any:
        status, shown = voter.say("Kaixo!")
        if status != 200:
            raise ConnectionError(status)
        return talk(shown)

    with ExitStack() as stack:
        flags = [word for server in two() for word in stack.enter_context(server).flag]
        told = under_kills(tmp_path, (*flags, *OUT), voters=8, kills=3, votes_between=6, shown=talks)
    votes = votes_in(tmp_path / "votes.jsonl")
    stored = [vote["id"] for vote in votes]
    assert len(stored) == len(set(stored)) and told <= set(stored) and len(told) >= 18
    assert all(vote["conversation_a"][1]["content"].startswith("Reply") for vote in votes)


def test_failing_helpers_cost_no_vote(tmp_path: Path) -> None:
    """A model server that dies, hangs or answers rubbish, and a disk that is full at times: `bench/vote_helpers.py`."""
    voted = under_failures(tmp_path, votes=12, voters=12, share=0.2)
    assert len(voted.told) >= 12
    assert faults(voted, tmp_path / "votes.jsonl") == {"lost": 0, "doubled": 0, "wrong": 0}
