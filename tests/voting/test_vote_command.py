"""`latxa vote`, the real command: votes that come, are kept, are refused; what it says where it cannot begin."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tiny
from full_disk import files_no_larger_than
from killed_server import under_kills
from poll_server import MODELS, Served, Voter, responses, serving, votes_in, write_responses
from tiny import Latxa

from latxa_cli.voting.limits import Rate, TooFastError
from latxa_cli.voting.organiser import _share

FILES = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with responses of two models."""
    write_responses(tmp_path)
    return tmp_path


def test_a_vote_is_a_battle(folder: Path, latxa: Latxa) -> None:
    with serving(folder, *FILES, "--language", "eu") as served:
        voter = Voter.of(served)
        given = voter.ballot()
        assert given["cast"] == 0 and [turn["role"] for turn in given["prompt"]] == ["user"]
        reasons = {"first": ["wrong", "useful"], "second": []}
        status, said = voter.cast(
            given["ballot"], content="second", language="first", overall="tie", reasons=reasons, seconds=20.04
        )
        assert (status, said) == (200, {"cast": 1})
        (vote,) = votes_in(folder / "votes.jsonl")  # before the server ends
        said = served.stop()
    assert said.splitlines()[-1].startswith("latxa vote: 1 in, 1 out; ")
    assert {vote["model_a"], vote["model_b"]} == set(MODELS[:2])
    assert (vote["winner"], vote["winner_content"], vote["winner_language"]) == ("tie", "model_b", "model_a")
    assert vote["reasons"] == {"model_a": ["useful", "wrong"]}
    assert (
        vote["conversation_a"][-1] == given["answers"][0][-1] and vote["conversation_b"][-1] == given["answers"][1][-1]
    )
    assert vote["prompt_id"] in given["prompt"][0]["content"].replace("Question ", "p")
    assert vote["id"] in given["ballot"] and vote["user"].startswith("voter-") and voter.cookie not in str(vote)
    metadata = vote["metadata"]
    assert (metadata["seconds"], metadata["seen"], metadata["suspicion"]) == (20.0, True, [])
    assert metadata["interface"] == "eu" and metadata["first"] == "model_a" and metadata["version"]
    manifest = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())
    assert manifest["counts"] == {"in": 1, "out": 1, "rejected": {}}
    assert [entry["path"] for entry in manifest["inputs"]] == ["0.jsonl", "1.jsonl"]
    assert stat.S_IMODE((folder / "votes.jsonl.key").stat().st_mode) == 0o600
    rated = latxa("arena-score", "votes.jsonl", "--prior", "1", "--criterion", "winner_content", cwd=folder)
    assert rated.returncode == 0, rated.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_it_goes_on(number: int, folder: Path) -> None:
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        first = voter.ballot()
        assert voter.cast(first["ballot"])[0] == 200
        served.stop(number)
    key = (folder / "votes.jsonl.key").read_bytes()
    with serving(folder, *FILES, "--resume") as served:
        assert "1 votes so far" in served.said
        assert not (folder / "votes.jsonl.manifest.json").exists()  # the file is not as it says any more
        again = Voter(served.host, served.port, voter.cookie)
        assert again.cast(first["ballot"]) == (200, {"cast": 1})  # it was cast, and counts once
        second = again.ballot()
        assert second["prompt"] != first["prompt"]
        assert again.cast(second["ballot"])[0] == 200
        assert served.stop().splitlines()[-1].startswith("latxa vote: 2 in, 2 out; ")
    votes = votes_in(folder / "votes.jsonl")
    assert len({vote["id"] for vote in votes}) == 2 and len({vote["user"] for vote in votes}) == 1
    assert (folder / "votes.jsonl.key").read_bytes() == key


def test_a_ballot_outlives_the_server(folder: Path) -> None:
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        given = voter.ballot()
    with serving(folder, *FILES, "--resume") as served:
        again = Voter(served.host, served.port, voter.cookie)
        assert again.cast(given["ballot"]) == (200, {"cast": 1})
    (vote,) = votes_in(folder / "votes.jsonl")
    assert vote["conversation_a"][-1] == given["answers"][0][-1]


def test_a_vote_is_on_what_was_shown(folder: Path) -> None:
    """The server is started again with another answer of a model, and with one model more."""
    with serving(folder, *FILES) as served:
        voters = [Voter.of(served) for _ in range(3)]
        given = [voter.ballot() for voter in voters]
    edited = responses(MODELS[1])
    shown = given[0]["prompt"][0]["content"]
    for record in edited:
        if record["messages"][1]["content"] == shown:
            record["messages"][2]["content"] = "Something else."
    tiny.write_jsonl(folder / "1.jsonl", edited)
    tiny.write_jsonl(folder / "2.jsonl", responses(MODELS[2]))
    with serving(folder, "2.jsonl", *FILES, "--resume") as served:
        again = [Voter(served.host, served.port, voter.cookie) for voter in voters]
        cast = [voter.cast(one["ballot"])[0] for voter, one in zip(again, given, strict=True)]
        assert cast == [403 if one["prompt"][0]["content"] == shown else 200 for one in given] and cast[0] == 403
        assert again[0].cast(again[0].ballot()["ballot"])[0] == 200
    assert len(votes_in(folder / "votes.jsonl")) == cast.count(200) + 1


def test_no_name_of_a_model_leaves_before_a_vote_or_after_it(folder: Path) -> None:
    with serving(folder, *FILES, "-v") as served:
        voter = Voter.of(served)
        for path in ("/vote.js", "/vote.css", "/none", "/ballot", "/votes", "/votes.jsonl", "/votes.jsonl.key"):
            voter.ask("GET", path)
        while "ballot" in (given := voter.ballot()):
            voter.cast(given["ballot"], content="none")
            voter.cast(given["ballot"])
        said = served.stop()
    assert len(votes_in(folder / "votes.jsonl")) == 6
    key = (folder / "votes.jsonl.key").read_bytes()
    for name in MODELS:
        assert name.encode() not in voter.got and name not in said
    assert key not in voter.got and key.hex().encode() not in voter.got
    assert b"default-src 'none'" in voter.got and b"unsafe" not in voter.got


def test_the_organiser_sees_how_it_goes(folder: Path) -> None:
    for name, model in zip(FILES[:2], ("<script>hit</script>", "b&b"), strict=True):
        tiny.write_jsonl(folder / name, responses(model))
    with serving(folder, *FILES) as served:
        secret = re.search(r"/organiser/([0-9a-f]{32})\n", served.said)
        assert secret
        voter = Voter.of(served)
        for seconds in (0, 9):
            assert voter.cast(voter.ballot()["ballot"], seconds=seconds)[0] == 200
        assert voter.ask("GET", f"/organiser/{'0' * 32}")[0] == 404
        status, page = voter.ask("GET", f"/organiser/{secret[1]}")
    assert status == 200 and b"<script" not in page and b"&lt;script&gt;hit" in page and b"b&amp;b" in page
    assert b'<td dir="auto">votes<td dir="auto">2' in page
    assert b'votes that look careless: fast<td dir="auto">1' in page
    with serving(folder, *FILES, "--resume") as served:
        assert secret[0].strip() in served.said
        assert voter.cookie and Voter(served.host, served.port).ask("GET", secret[0].strip())[1].startswith(page[:200])


def test_pairs_of_arena_next_come_first(folder: Path, latxa: Latxa) -> None:
    write_responses(folder, MODELS)
    words = ("0.jsonl", "1.jsonl", "2.jsonl", "-o", "votes.jsonl")
    with serving(folder, *words) as served:
        for _ in range(4):
            voter = Voter.of(served)
            assert voter.cast(voter.ballot()["ballot"])[0] == 200
    proposed = latxa("arena-next", "votes.jsonl", "-n", "3", "--model", "newcomer", "-o", "pairs.jsonl", cwd=folder)
    assert proposed.returncode == 0, proposed.stderr
    pair = {"model_a": MODELS[2], "model_b": MODELS[0]}
    tiny.write_jsonl(folder / "pairs.jsonl", [*votes_in(folder / "pairs.jsonl"), pair, pair])
    known = [one for one in votes_in(folder / "pairs.jsonl") if "newcomer" not in (one["model_a"], one["model_b"])]
    with serving(folder, *words, "--pairs", "pairs.jsonl", "--resume") as served:
        assert f"{5 - len(known)} of 5 pairs are of models that are not here" in served.said
        secret = re.search(r"/organiser/\w+", served.said)
        assert secret
        for _ in known[:-1]:
            voter = Voter.of(served)
            assert voter.cast(voter.ballot()["ballot"])[0] == 200
        page = voter.ask("GET", secret[0])[1].decode()
    cast = [{vote["model_a"], vote["model_b"]} for vote in votes_in(folder / "votes.jsonl")[4:]]
    assert cast == [{one["model_a"], one["model_b"]} for one in known[:-1]]
    assert 'votes still wanted<td dir="auto">1' in page and re.search(r">\d+% \(\d+% to \d+%\)", page)
    done = latxa("vote", *words, "--pairs", "0.jsonl", "--resume", cwd=folder)
    assert done.returncode in (1, 2) and b"0.jsonl:1: the field `model_a` is missing" in done.stderr


def test_pairs_go_on_after_a_restart(folder: Path) -> None:
    """With the same list; another one begins anew."""
    pairs = [dict(zip(("model_a", "model_b"), pair, strict=True)) for pair in (MODELS[:2], MODELS[2:0:-1])]
    tiny.write_jsonl(folder / "pairs.jsonl", [pairs[0], pairs[0], pairs[1]])
    tiny.write_jsonl(folder / "others.jsonl", [pairs[1]])
    words = (*write_responses(folder, MODELS), "-o", "votes.jsonl", "--pairs")
    wanted = []

    def still(served: Served) -> None:
        secret = re.search(r"/organiser/\w+", served.said)
        assert secret
        page = Voter.of(served).ask("GET", secret[0])[1].decode()
        wanted.append(int(page.partition('votes still wanted<td dir="auto">')[2].partition("<")[0]))

    with serving(folder, *words, "pairs.jsonl") as served:
        first = Voter.of(served)
        assert first.cast(first.ballot()["ballot"])[0] == 200
        other = Voter.of(served)
        other.ask("POST", "/votes", {"ballot": other.ballot()["ballot"], "skip": True})
        still(served)
    with serving(folder, *words, "pairs.jsonl", "--resume") as served:
        still(served)
        second = Voter.of(served)
        assert second.cast(second.ballot()["ballot"])[0] == 200
        third = Voter.of(served)
        assert third.cast(third.ballot()["ballot"])[0] == 200
        still(served)
        first = Voter(served.host, served.port, first.cookie)
        code = first.ask("GET", "/code")[1]["code"]
        assert first.ask("POST", "/withdrawal", {"code": code, "sure": True})[1] == {"votes": 1}
        still(served)
    with serving(folder, *words, "pairs.jsonl", "--resume") as served:
        still(served)
    with serving(folder, *words, "others.jsonl", "--resume") as served:
        still(served)
    assert wanted == [2, 2, 0, 1, 1, 1]
    cast = [{vote["model_a"], vote["model_b"]} for vote in votes_in(folder / "votes.jsonl") if "winner" in vote]
    assert cast == [set(MODELS[:2]), set(MODELS[1:])]


def test_a_voter_is_not_held_back_by_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    rate, seconds = Rate(2), [1000.0]
    monkeypatch.setattr("time.time", lambda: 5e9 if len(seconds) % 2 else 0.0)
    monkeypatch.setattr("time.monotonic", lambda: seconds[-1])
    for moment in (1001.0, 1002.0):
        rate.take("u")
        seconds.append(moment)
    with pytest.raises(TooFastError):
        rate.take("u")
    seconds.append(1061.5)
    rate.take("u")


def test_the_share_of_wins_has_an_interval() -> None:
    """Worked out by hand for 20 of 100 with 90 %: 0.142 to 0.273."""
    assert _share(20, 80, 100) == "20% (14% to 27%)"
    assert _share(0, 0, 4) == "50% (18% to 82%)" and _share(3, 0, 3) == "100% (53% to 100%)" and _share(0, 0, 0) == "-"


def test_a_ballot_is_the_same_until_it_is_cast_and_no_prompt_comes_twice(folder: Path) -> None:
    with serving(folder, *FILES) as served:
        voter, other = Voter.of(served), Voter.of(served)
        prompts = []
        while "ballot" in (given := voter.ballot()):
            assert voter.ballot() == given  # another tab, or a page that is loaded again
            assert other.ballot()["ballot"] != given["ballot"]
            prompts.append(given["prompt"][0]["content"])
            assert voter.cast(given["ballot"])[0] == 200
        assert given == {"cast": 6, "done": True}
        assert sorted(prompts) == [f"Question {n}?" for n in range(6)]


def test_a_double_click_is_one_vote(folder: Path) -> None:
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        slip = voter.ballot()["ballot"]
        with ThreadPoolExecutor(8) as pool:
            answers = [future.result() for future in [pool.submit(voter.cast, slip) for _ in range(8)]]
        assert answers == [(200, {"cast": 1})] * 8
        assert voter.cast(slip, content="second", language="second") == (200, {"cast": 1})
    (vote,) = votes_in(folder / "votes.jsonl")
    assert vote["winner"] == "model_a"


def forged(slip: str) -> list[object]:
    name, issued, prompt, signature = slip.split(".")
    return [
        f"{name[:-1]}{'0' if name[-1] != '0' else '1'}.{issued}.{prompt}.{signature}",
        f"{name}.{int(issued) + 1}.{prompt}.{signature}",
        f"{name}.{issued}.{prompt}.{'0' * 32}",
        f"{name}.{issued}.{'0' * 16}.{signature}",
        slip + " ", slip[:-1], "", None, 3, ["x"], {"a": slip}, "\u0000", "é" * 90,
    ]  # fmt: skip


def test_what_is_no_vote_is_refused_and_counted(folder: Path) -> None:
    bad_answers = [
        {"content": "A"}, {"language": None}, {"content": ["first"]}, {"overall": "first"}, {"seconds": "9"},
        {"language": "second"}, {"seconds": -1}, {"seconds": 1e99}, {"seconds": True}, {"reasons": ["wrong"]},
        {"reasons": {"third": []}}, {"reasons": {"first": ["bored"]}}, {"reasons": {"first": "wrong"}},
    ]  # fmt: skip
    with serving(folder, *FILES, "--rejects", "rejects.jsonl", "--votes-per-minute", "100") as served:
        voter, thief = Voter.of(served), Voter.of(served)
        slip = voter.ballot()["ballot"]
        tried = [voter.cast(fake) for fake in forged(slip)]  # type: ignore[arg-type]
        tried += [thief.cast(slip), thief.ask("POST", "/votes", b"{"), thief.ask("POST", "/votes", [1])]
        tried += [voter.ask("POST", "/votes", b'{"ballot":' + b"[" * 900 + b"]" * 900 + b"}")]
        tried += [voter.cast(slip, **answers) for answers in bad_answers]
        assert {status for status, _ in tried} == {403}
        assert Voter(served.host, served.port).cast(slip) == (403, {"error": "no cookie"})
        assert Voter(served.host, served.port, "x" * 32).cast(slip)[0] == 403
        assert voter.ask("POST", "/votes", {"ballot": slip}, kind="text/plain")[0] == 415
        assert voter.ask("POST", "/votes", b"[" * 270_000)[0] == 413
        assert voter.ask("POST", "/votes", b"[" * 250_000)[0] == 403
        assert not votes_in(folder / "votes.jsonl")
        assert voter.cast(slip)[0] == 200
        served.stop()
    counts = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())["counts"]
    refused = {"not our ballot": len(tried) - len(bad_answers) + 1, "malformed vote": len(bad_answers)}
    assert counts == {"in": 1 + sum(refused.values()), "out": 1, "rejected": refused}
    assert len(votes_in(folder / "rejects.jsonl")) == sum(refused.values())


def test_a_voter_is_held_back_and_others_are_not(folder: Path) -> None:
    with serving(folder, *FILES, "--votes-per-minute", "2") as served:
        voter, other = Voter.of(served), Voter.of(served)
        for _ in range(2):
            assert voter.cast(voter.ballot()["ballot"])[0] == 200
        assert voter.cast(voter.ballot()["ballot"])[0] == 429
        assert other.cast(other.ballot()["ballot"])[0] == 200


def test_votes_count_for_those_who_accept_the_licence(folder: Path) -> None:
    (folder / "licence.txt").write_text("<b>Zure botoak CC0 izango dira.</b>\n")
    with serving(folder, *FILES, "--consent", "licence.txt") as served:
        voter = Voter.of(served)
        page = voter.ask("GET", "/")[1].decode()
        assert "&lt;b&gt;Zure botoak CC0 izango dira.&lt;/b&gt;" in page
        agreed = page.partition('data-agreed="')[2].partition('"')[0]
        slip = voter.ballot()["ballot"]
        assert voter.cast(slip) == (403, {"error": "no consent"})
        assert voter.cast(slip, consent=agreed)[0] == 200
    assert votes_in(folder / "votes.jsonl")[0]["metadata"]["consent"] == agreed


def test_a_torn_line_is_told_and_cut(folder: Path) -> None:
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        assert voter.cast(voter.ballot()["ballot"])[0] == 200
    whole = (folder / "votes.jsonl").read_bytes()
    (folder / "votes.jsonl").write_bytes(whole + whole[:-20])
    with serving(folder, *FILES, "--resume") as served:
        assert f"a half-written last line of {len(whole) - 20} bytes is cut off" in served.said
        again = Voter(served.host, served.port, voter.cookie)
        assert again.cast(again.ballot()["ballot"])[0] == 200
    assert (folder / "votes.jsonl").read_bytes().startswith(whole)
    assert len(votes_in(folder / "votes.jsonl")) == 2


def test_a_full_disk_loses_nothing(folder: Path) -> None:
    """The server is told so that it cannot write more than some bytes; then it can."""
    import resource

    with files_no_larger_than(3000):
        started = serving(folder, *FILES)
        served = started.__enter__()
    try:
        voter = Voter.of(served)
        slips, answer = [], (200, None)
        while answer[0] == 200:
            slips.append(voter.ballot()["ballot"])
            answer = voter.cast(slips[-1])
        assert answer[0] == 507 and "disk" in answer[1]["error"] and str(folder) not in str(answer)
        assert voter.cast(slips[-1])[0] == 507
        stored = votes_in(folder / "votes.jsonl")
        assert len(stored) == len(slips) - 1 > 0  # whole lines alone
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert voter.cast(slips[-1]) == (200, {"cast": len(slips)})
        served.stop()
    finally:
        started.__exit__(None, None, None)
    assert [vote["id"] for vote in votes_in(folder / "votes.jsonl")] == [slip.partition(".")[0] for slip in slips]


def test_the_organiser_hears_of_a_full_disk_and_of_other_programs(folder: Path) -> None:
    """Once for each time. The votes that are there, and those that come, stay."""
    import resource

    free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        assert voter.cast(voter.ballot()["ballot"])[0] == 200
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (1000, free[1]))
        slip = voter.ballot()["ballot"]
        assert [voter.cast(slip)[0] for _ in range(3)] == [507] * 3
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, free)
        subprocess.run(["sed", "-i", "s/useful/useful/", "votes.jsonl"], cwd=folder, check=True)
        assert voter.cast(slip)[0] == 200 and len(votes_in(folder / "votes.jsonl")) == 2
        with (folder / "votes.jsonl").open("a") as file:
            file.write('{"half')
        assert voter.cast(voter.ballot()["ballot"])[0] == 200 and len(votes_in(folder / "votes.jsonl")) == 3
        code = voter.ask("GET", "/code")[1]["code"]
        assert voter.ask("POST", "/withdrawal", {"code": code, "sure": True})[1] == {"votes": 3}
        assert votes_in(folder / "votes.jsonl") == []
        said = served.stop()
    assert said.count("votes.jsonl: cannot be written (File too large)") == 1
    assert said.count("votes.jsonl: another program has changed it") == 2


def test_names_that_lead_here_are_refused(folder: Path) -> None:
    """Which is how a page elsewhere would read this one (DNS rebinding); and a page elsewhere that sends votes."""
    with serving(folder, *FILES) as served:
        voter, port = Voter.of(served), served.port
        slip = voter.ballot()["ballot"]
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[::",
            "",
        ):
            assert voter.ask("GET", "/ballot", host=host)[0] in (400, 421), host
            assert voter.ask("POST", "/votes", {"ballot": slip}, host=host)[0] in (400, 421)
        for origin in ("http://evil.example", "null", "", "http://localhost.evil.example", "http://[::"):
            assert voter.ask("POST", "/votes", {"ballot": slip}, origin=origin)[0] == 421, origin
        assert votes_in(folder / "votes.jsonl") == []
        for host in (f"localhost:{port}", "LOCALHOST", "127.0.0.1", "[::1]:9", "vote.localhost:80"):
            assert voter.ask("GET", "/ballot", host=host, origin=f"http://{host}")[0] == 200, host
        assert served.stop().count("not this machine's was refused: see `--behind-proxy`") == 1
    with serving(folder, *FILES, "--resume", "--behind-proxy") as served:
        voter = Voter(served.host, served.port)
        host = {"host": "vote.example", "origin": "https://vote.example"}
        assert voter.ask("GET", "/", **host)[0] == 200 and b"; Secure" in voter.got
        assert voter.cast(voter.ballot()["ballot"])[0] == 200
    with serving(folder, *FILES, "--resume", "--host", "0.0.0.0") as served:
        assert Voter("127.0.0.1", served.port).ask("GET", "/", host="vote.lan")[0] == 200


def test_votes_survive_kills(folder: Path) -> None:
    write_responses(folder, prompts=400)
    told = under_kills(folder, FILES, voters=4, kills=5, votes_between=8)
    stored = [vote["id"] for vote in votes_in(folder / "votes.jsonl")]
    assert len(stored) == len(set(stored))
    assert told <= set(stored) and len(told) >= 40


# --- what it says where it cannot begin ------------------------------------------------------------------------------


def said(latxa: Latxa, folder: Path, *words: str) -> list[str]:
    done = latxa("vote", *words, cwd=folder)
    assert done.returncode in (1, 2) and done.stdout == b""
    assert not (folder / "votes.jsonl").exists() and not (folder / "votes.jsonl.key").exists()
    lines = done.stderr.decode().splitlines()
    assert 1 <= len(lines) <= 2 and lines[0].startswith("latxa: "), lines
    return lines


def test_it_needs_a_file_for_the_votes(folder: Path, latxa: Latxa) -> None:
    assert "-o" in said(latxa, folder, "0.jsonl", "1.jsonl")[0]


def test_one_model_is_too_few(folder: Path, latxa: Latxa) -> None:
    assert f"there is only `{MODELS[0]}`" in said(latxa, folder, "0.jsonl", "-o", "votes.jsonl")[0]
    (folder / "none.jsonl").write_bytes(b"")
    assert "there are no responses" in said(latxa, folder, "none.jsonl", "-o", "votes.jsonl")[0]


def test_a_port_in_use(folder: Path, latxa: Latxa) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines = said(latxa, folder, *FILES, "--port", str(port))
    assert lines == [
        f"latxa: `127.0.0.1` port {port} cannot be used (Address already in use)",
        "hint: `--port` names another; 0 takes one that is free",
    ]


def test_an_address_that_is_not_ours(folder: Path, latxa: Latxa) -> None:
    assert "`192.0.2.7` port" in said(latxa, folder, *FILES, "--host", "192.0.2.7", "--port", "0")[0]


def test_prompts_that_differ(folder: Path, latxa: Latxa) -> None:
    other = responses(MODELS[1])
    other[3]["messages"][1]["content"] = "Another question?"
    tiny.write_jsonl(folder / "1.jsonl", other)
    assert "answered different prompts under the id `p3`" in said(latxa, folder, *FILES)[0]
    tiny.write_jsonl(folder / "1.jsonl", [one | {"id": f"q{n}", "messages": [{"role": "user", "content": f"{n}"},
        {"role": "assistant", "content": "a"}]} for n, one in enumerate(other)])  # fmt: skip
    assert "no prompt was answered by two models" in said(latxa, folder, *FILES)[0]


def test_two_responses_of_a_model(folder: Path, latxa: Latxa) -> None:
    words = ("0.jsonl", "0.jsonl", "1.jsonl", "-o", "votes.jsonl")
    assert f"`{MODELS[0]}` has two responses to the prompt `p0`" in said(latxa, folder, *words)[0]


def test_a_lone_surrogate_and_a_broken_line(folder: Path, latxa: Latxa) -> None:
    text = (folder / "1.jsonl").read_text()
    (folder / "1.jsonl").write_text(text.replace("Question 2?", "\\ud800"))
    assert said(latxa, folder, *FILES)[0].startswith("latxa: 1.jsonl:3: not JSON")


def test_a_language_that_is_not_there(folder: Path, latxa: Latxa) -> None:
    assert "there is no language `xx`" in said(latxa, folder, *FILES, "--language", "xx")[0]
    (folder / "own.toml").write_text('title = "T"\n')
    assert said(latxa, folder, *FILES, "--language", "own.toml")[0] == "latxa: own.toml: `code` is missing"


@pytest.mark.parametrize(("content", "what"), [(b"", "is empty"), (b"\xff", "is not UTF-8"), (None, "cannot be read")])
def test_a_consent_that_will_not_do(content: bytes | None, what: str, folder: Path, latxa: Latxa) -> None:
    if content is not None:
        (folder / "consent.txt").write_bytes(content)
    assert what in said(latxa, folder, *FILES, "--consent", "consent.txt")[0]


def test_votes_are_never_replaced(folder: Path, latxa: Latxa) -> None:
    with serving(folder, *FILES) as served:
        voter = Voter.of(served)
        assert voter.cast(voter.ballot()["ballot"])[0] == 200
    before = (folder / "votes.jsonl").read_bytes()
    done = latxa("vote", *FILES, cwd=folder)
    assert done.returncode == 2 and b"`-o votes.jsonl` exists already" in done.stderr
    (folder / "votes.jsonl.key").unlink()
    done = latxa("vote", *FILES, "--resume", cwd=folder)
    assert done.returncode == 1 and b"votes.jsonl.key: the key of what was written before is gone" in done.stderr
    assert (folder / "votes.jsonl").read_bytes() == before


def test_it_adds_to_nothing_but_votes(folder: Path, latxa: Latxa) -> None:
    battle = {"model_a": "x", "model_b": "y", "winner": "tie"}
    for written, what in ((battle, "is no vote of `latxa vote`"), ({"text": "t"}, "votes.jsonl:1: ")):
        tiny.write_jsonl(folder / "votes.jsonl", [written])
        before = (folder / "votes.jsonl").read_bytes()
        (folder / "votes.jsonl.key").write_bytes(bytes(32))
        done = latxa("vote", *FILES, "--resume", cwd=folder)
        assert done.returncode in (1, 2) and what in done.stderr.decode(), done.stderr
        assert (folder / "votes.jsonl").read_bytes() == before


def test_two_servers_do_not_share_a_file(folder: Path, latxa: Latxa) -> None:
    with serving(folder, *FILES) as served:
        done = latxa("vote", *FILES, "--resume", "--port", "0", cwd=folder)
        assert done.returncode == 1 and b"another run is writing it" in done.stderr
        voter = Voter.of(served)
        assert voter.cast(voter.ballot()["ballot"])[0] == 200


def test_an_input_is_no_output(folder: Path, latxa: Latxa) -> None:
    (folder / "link.jsonl").hardlink_to(folder / "0.jsonl")
    before = (folder / "0.jsonl").read_bytes()
    for flag in ("-o", "--rejects"):
        words = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl", flag, "link.jsonl", "--resume")
        done = latxa("vote", *words, cwd=folder)
        assert done.returncode == 2 and b"is an input too" in done.stderr
    assert (folder / "0.jsonl").read_bytes() == before


def test_missing_responses_are_named_and_the_others_shown(folder: Path) -> None:
    tiny.write_jsonl(folder / "1.jsonl", responses(MODELS[1])[:4])
    with serving(folder, *FILES) as served:
        assert f"2 responses are missing, such as that of `{MODELS[1]}` to `p4`" in served.said
        assert "2 models on 4 prompts" in served.said


def test_at_rest_it_is_small(folder: Path) -> None:
    with serving(folder, *FILES) as served:
        Voter.of(served).ballot()
        status = Path(f"/proc/{served.process.pid}/status").read_text()
    kilobytes = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert kilobytes < 120_000
